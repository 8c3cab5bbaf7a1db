# SPDX-License-Identifier: BSD-3-Clause
"""Logistic components: log p(y) = -|z| - 2 log(1 + exp(-|z|)) - log scale."""

from scipy import stats

from skmdn._families.base import Family
from skmdn._jit.policy import loop_helper
from skmdn._jit.vector import exp, log, sqrt


@loop_helper
def log_density(distance, precision):
    """Log-density without its constant, and derivatives, see `Family`."""
    kind = type(distance)
    one, two = kind(1), kind(2)
    inverse = sqrt(precision)
    size = abs(distance) * inverse
    e = exp(-size)
    value = kind(0.5) * log(precision) - size - two * log(one + e)
    pull = (one - e) / (one + e)  # tanh(|z| / 2)
    slope = inverse * (pull if distance > kind(0) else -pull)
    return value, slope, size * pull - one


LOGISTIC = Family("logistic", log_density, 0.0, stats.logistic)
