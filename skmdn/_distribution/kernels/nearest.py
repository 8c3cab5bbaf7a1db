# SPDX-License-Identifier: BSD-3-Clause
"""Which components are near: squared distances in scales, next to the nearest one's.

Far from all components the squares are huge, and what counts is their difference. It is
a product, (z - z') (z + z'), of factors that are right to their last digits.

References
----------
N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 1.7
(cancellation). D. E. Knuth, The Art of Computer Programming 2, section 4.2.2, theorem B
(what the rounding of a sum leaves).
"""

import math

from skmdn._jit.policy import compiled, helper

_QUARTER, _UNIT = 0.25, 16.0  # places are divided by 4: no sum of four overflows
_LEAST = -1e300
_FAR = 100.0  # next to smaller squares, huge ones need not be exact


@helper
def _difference(a, b):
    """a - b, and what its rounding left."""
    total = a - b
    part = total - a
    return total, (a - (total - part)) - (b + part)


@helper
def _factors(y, means, scales, k, other, d, n_outputs):
    """z - z' and z + z' of output d in units of the smaller scale; scale and sign."""
    step = means.size // scales.size  # n_outputs where all share one scale
    i, j = k * n_outputs + d, other * n_outputs + d
    sign = 1.0
    if scales[i // step] > scales[j // step]:
        i, j, sign = j, i, -1.0
    narrow, wide = scales[i // step], scales[j // step]
    mean, other_mean = _QUARTER * means[i], _QUARTER * means[j]
    a, a_rest = _difference(_QUARTER * y[d], mean)
    b, b_rest = _difference(_QUARTER * y[d], other_mean)
    ratio = narrow / wide
    between = (a + b * ratio) + (a_rest + b_rest * ratio)
    if ratio < 0.5:
        apart = (a - b * ratio) + (a_rest - b_rest * ratio)
    else:  # Nothing is left of the difference of equal scales.
        apart = (other_mean - mean) + b * ((wide - narrow) / wide)
    return apart, between, narrow, sign


@helper
def _excess(y, means, scales, k, other):
    """Squared distance of component k less that of another, over all outputs."""
    total = 0.0
    for d in range(y.size):
        apart, between, unit, sign = _factors(y, means, scales, k, other, d, y.size)
        if apart == 0.0 or between == 0.0:
            continue
        # In this order nothing overflows or vanishes that the result does not.
        first = apart / unit
        product = first * between / unit if unit < 1.0 else first * (between / unit)
        total += sign * product
    if abs(total) < math.inf:
        return _UNIT * total
    return _infinite_excess(y, means, scales, k, other)


@helper
def _infinite_excess(y, means, scales, k, other):
    """Infinity of the sign that the largest terms have together."""
    top, total = -math.inf, 0.0
    for summing in (False, True):
        for d in range(y.size):
            apart, between, unit, sign = _factors(y, means, scales, k, other, d, y.size)
            if apart == 0.0 or between == 0.0:
                continue
            size = math.log(abs(apart)) + math.log(abs(between)) - 2.0 * math.log(unit)
            if summing:
                negative = (apart < 0.0) != (between < 0.0)
                total += (-sign if negative else sign) * math.exp(size - top)
            else:
                top = max(top, size)
    return math.copysign(math.inf, total) if total != 0.0 else 0.0


@helper
def _plain_terms(y, log_factors, means, scales, out):
    """Terms with the squares as they are; return the least square of all components."""
    n_scales = scales.size // log_factors.size
    least = math.inf
    for k in range(log_factors.size):
        square = 0.0
        for d in range(y.size):
            scale = scales[k * n_scales + (d if n_scales > 1 else 0)]
            z = (y[d] - means[k * y.size + d]) / scale
            square += z * z
        out[k] = log_factors[k] - 0.5 * square
        if square < least and log_factors[k] > -math.inf:
            least = square
    return least


@helper
def _terms_from_far(y, log_factors, means, scales, out):
    """Terms with the squares less that of the nearest component with weight."""
    nearest = -1
    for k in range(log_factors.size):
        if log_factors[k] > -math.inf:
            if nearest < 0 or _excess(y, means, scales, k, nearest) < 0.0:
                nearest = k
    for k in range(log_factors.size):
        excess = _excess(y, means, scales, k, nearest)
        out[k] = log_factors[k] - 0.5 * max(excess, _LEAST)


@compiled
def log_terms(log_factors, means, scales, values, out):
    """Log of weight times density of every component, up to what all have in common.

    log_factors (n, K): log-weights less the logarithms of the scales; means (n, K * D);
    scales (n, K * D) or (n, K); values (n, m, D) or (1, m, D); out (n, m, K).
    """
    for row in range(out.shape[0]):
        parts = log_factors[row], means[row], scales[row]
        for column in range(out.shape[1]):
            y = values[row if values.shape[0] > 1 else 0, column]
            if not _plain_terms(y, *parts, out[row, column]) < _FAR:
                _terms_from_far(y, *parts, out[row, column])
