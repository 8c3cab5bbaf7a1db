# SPDX-License-Identifier: BSD-3-Clause
"""Adam with decoupled decay, for one parameter: the same formula on every device."""

from skmdn._engine.training import BETA1, BETA2
from skmdn._jit.policy import loop_helper
from skmdn._jit.vector import rsqrt


@loop_helper
def adam(p, g, m, v, correction, shrink):
    """One parameter and its moments after a step (Loshchilov & Hutter 2019, alg. 2).

    `correction` is the learning rate with the bias correction (Kingma & Ba 2015,
    section 2), `shrink` the learning rate times alpha. Epsilon = 1e-8 stands under the
    root, where one reciprocal root does all the work.
    """
    kind = type(p)
    one, beta1, beta2 = kind(1), kind(BETA1), kind(BETA2)
    m = beta1 * m + (one - beta1) * g
    v = beta2 * v + (one - beta2) * g * g
    return p - correction * m * rsqrt(v + kind(1e-16)) - shrink * p, m, v
