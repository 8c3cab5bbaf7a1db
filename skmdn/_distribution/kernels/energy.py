# SPDX-License-Identifier: BSD-3-Clause
r"""Mean Euclidean lengths of Gaussian vectors, by quadrature over one variable.

With :math:`M(t) = E e^{-t \|V\|^2} = \prod_d (1 + 2 t s_d^2)^{-1/2}
\exp(-t m_d^2 / (1 + 2 t s_d^2))`,

.. math:: E\|V\| = \frac1{2\sqrt\pi} \int_0^\infty (1 - M(t)) t^{-3/2} dt,

A. M. Mathai and S. B. Provost, "Quadratic Forms in Random Variables", 1992, chapter 3.
In units where E||V||^2 = 1, the integral for 1 / (1 + t) in place of M is pi; the
difference of the two decays quickly on both sides of t = exp(v), v the variable of a
trapezoidal rule. It is analytic for |Im v| < pi / 2, hence the error of the rule
exp(-pi^2 / step); with what the ends cut off 1e-9 in all.
"""

import math

import numpy as np

from skmdn._jit.policy import compiled, helper, loop_helper
from skmdn._jit.vector import wide_vectors
from skmdn._jit.vector64 import exp64

_STEP = 0.525
N_NODES = 64
_V = -13.5 + _STEP * np.arange(N_NODES)
T = np.exp(_V)
WEIGHT = _STEP * np.exp(-0.5 * _V)
_REFERENCE = math.pi + float(np.sum(WEIGHT / (1 + T)))
_FACTOR = 1 / (2 * math.sqrt(math.pi))


@loop_helper
def _add_length(times, m, s, t, exponent, spread, sums):
    """Add ``times`` E||V||, V of means m and scales s; return the part known already.

    The rest is minus the sum of `sums`, which is per node.
    """
    unit = 0.0
    for d in range(m.size):
        unit = max(unit, max(abs(m[d]), s[d]))
    square = 0.0
    for d in range(m.size):
        square += (m[d] / unit) ** 2 + (s[d] / unit) ** 2
    root = math.sqrt(square)
    # The product of all 1 + 2 t s^2, and the sum of t m^2 / (1 + 2 t s^2) times that:
    # one division in all. For dozens of outputs both overflow, where M is 0.
    for i in range(N_NODES):
        exponent[i], spread[i] = 0.0, 1.0
    for d in range(m.size):
        mean, scale = m[d] / unit / root, s[d] / unit / root
        a, b = mean * mean, 2.0 * scale * scale
        for i in range(N_NODES):
            grown = 1.0 + b * t[i]
            exponent[i] = exponent[i] * grown + a * t[i] * spread[i]
            spread[i] *= grown
    size = times * unit * root
    for i in range(N_NODES):
        r = 1.0 / math.sqrt(spread[i])
        value = r * exp64(-exponent[i] * r * r)
        sums[i] += size * value if r > 0.0 else 0.0
    return size * _REFERENCE


@helper
def _rest(sums, node_weights):
    total = 0.0
    for i in range(N_NODES):
        total += sums[i] * node_weights[i]
        sums[i] = 0.0
    return total


@compiled
def distance_to_points(weights, means, scales, points, nodes, out, scratch, pair):
    """E||Y - y|| of every row at its points.

    weights (n, K); means, scales (n, K, D); points (n or 1, m, D); nodes (2, N_NODES);
    out (n, m); scratch (3, N_NODES) and pair (2, D).
    """
    wide_vectors()
    m, s = pair[0], pair[1]
    for i in range(N_NODES):
        scratch[2, i] = 0.0
    for row in range(weights.shape[0]):
        at = row if points.shape[0] > 1 else 0
        for column in range(points.shape[1]):
            total = 0.0
            for k in range(weights.shape[1]):
                if weights[row, k] == 0.0:
                    continue
                for d in range(m.size):
                    m[d] = means[row, k, d] - points[at, column, d]
                    s[d] = scales[row, k, d]
                total += _add_length(
                    *(weights[row, k], m, s, nodes[0]),
                    *(scratch[0], scratch[1], scratch[2]),
                )
            out[row, column] = _FACTOR * (total - _rest(scratch[2], nodes[1]))


@compiled
def distance_within(weights, means, scales, nodes, out, scratch, pair):
    """E||Y - Y'|| of every row, Y' independent of Y and alike; out (n,)."""
    wide_vectors()
    m, s = pair[0], pair[1]
    for i in range(N_NODES):
        scratch[2, i] = 0.0
    for row in range(weights.shape[0]):
        total = 0.0
        for i in range(weights.shape[1]):
            if weights[row, i] == 0.0:
                continue
            for j in range(i + 1):
                both = weights[row, i] * weights[row, j] * (2.0 if j < i else 1.0)
                if both == 0.0:
                    continue
                for d in range(m.size):
                    m[d] = means[row, i, d] - means[row, j, d]
                    large = max(scales[row, i, d], scales[row, j, d])
                    ratio = min(scales[row, i, d], scales[row, j, d]) / large
                    s[d] = large * math.sqrt(1.0 + ratio * ratio)
                total += _add_length(
                    *(both, m, s, nodes[0]), *(scratch[0], scratch[1], scratch[2])
                )
        out[row] = _FACTOR * (total - _rest(scratch[2], nodes[1]))
