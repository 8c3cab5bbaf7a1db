# SPDX-License-Identifier: BSD-3-Clause
"""Greedy merging of components, every component remembering its best partner.

Where a partner is gone, its cost remains a lower bound: another one is looked for only
when that bound is the least of all. Light components are the best partners of many, so
that most of these searches never happen.

A row is laid out with components innermost, those that are left at the front: the rows
of `packed` are weights, then for every output means, scales, 1 / scales, log-scales.

References
----------
A. R. Runnalls, "Kullback-Leibler approach to Gaussian mixture reduction", IEEE Trans.
Aerosp. Electron. Syst. 43, 2007, equation 21.
"""

import math

from skmdn._jit.policy import compiled, helper, loop_helper
from skmdn._jit.vector import wide_vectors
from skmdn._jit.vector64 import log64

_FARTHEST = 1e150  # scales; a square beyond this would overflow
_MEAN, _SCALE, _INVERSE, _LOG_SCALE = range(4)
_GONE = -1


def packed_rows(n_outputs):
    """Rows of `packed` that `reduce` needs."""
    return 1 + 4 * n_outputs


@loop_helper
def _costs(packed, i, n, out):
    """Bounds of the divergences that merging i with others brings; 0 without weight."""
    weights, weight = packed[0, :n], packed[0, i]
    for j in range(n):
        out[j] = 0.0
    for d in range((packed.shape[0] - 1) // 4):
        part = packed[1 + 4 * d : 5 + 4 * d]
        means, mean = part[_MEAN, :n], part[_MEAN, i]
        scales, scale = part[_SCALE, :n], part[_SCALE, i]
        inverses, inverse = part[_INVERSE, :n], part[_INVERSE, i]
        log_scales, log_scale = part[_LOG_SCALE, :n], part[_LOG_SCALE, i]
        for j in range(n):
            a = weight / (weight + weights[j])
            b = 1.0 - a
            unit = min(inverse, inverses[j])
            u, v = scale * unit, scales[j] * unit
            apart = abs(mean - means[j]) * unit
            apart = _FARTHEST if apart > _FARTHEST else apart
            wider = log_scale - log_scales[j]
            shrunk = b * wider if wider > 0.0 else -a * wider
            merged = a * u * u + b * v * v + a * b * apart * apart
            out[j] += 0.5 * log64(merged) + shrunk
    for j in range(n):
        total = weight + weights[j]
        idle = (weight == 0.0) | (weights[j] == 0.0)
        out[j] = 0.0 if idle else total * out[j]


@helper
def _find_partner(packed, i, n, cost, partner, values):
    """Best partner of component i."""
    _costs(packed, i, n, values)
    best = 1 if i == 0 else 0
    for j in range(n):
        if j != i and values[j] < values[best]:
            best = j
    cost[i], partner[i] = values[best], best


@helper
def _cheapest(packed, n, cost, partner, values):
    """Component of the pair that costs least."""
    while True:
        best = 0
        for i in range(1, n):
            if cost[i] < cost[best]:
                best = i
        if partner[best] != _GONE:
            return best
        _find_partner(packed, best, n, cost, partner, values)


@helper
def _merge(packed, i, j):
    """Put the Gaussian with the moments of i and j together into i."""
    total = packed[0, i] + packed[0, j]
    a, b = 0.5, 0.5
    if total > 0.0:  # Not b = 1 - a: the lighter one may decide the variance.
        a, b = packed[0, i] / total, packed[0, j] / total
    for d in range((packed.shape[0] - 1) // 4):
        part = packed[1 + 4 * d : 5 + 4 * d]
        half = 0.5 * part[_MEAN, j] - 0.5 * part[_MEAN, i]
        unit = max(part[_SCALE, i], part[_SCALE, j], abs(half))
        u, v = part[_SCALE, i] / unit, part[_SCALE, j] / unit
        apart = 2.0 * (half / unit)
        scale = unit * math.sqrt(a * u * u + b * v * v + a * b * apart * apart)
        if scale == 0.0:  # One is too narrow to be squared, the other too light.
            scale = min(part[_SCALE, i], part[_SCALE, j])
        # From the heavier one: equal means stay equal, however narrow the components.
        part[_MEAN, i] = (
            part[_MEAN, i] + (2.0 * b) * half
            if b < a
            else part[_MEAN, j] - (2.0 * a) * half
        )
        part[_SCALE, i] = scale
        part[_INVERSE, i], part[_LOG_SCALE, i] = 1.0 / scale, math.log(scale)
    packed[0, i] = total


@helper
def _take_out(packed, j, n, cost, partner):
    """Move the last of n components to the place of j."""
    last = n - 1
    for row in range(packed.shape[0]):
        packed[row, j] = packed[row, last]
    cost[j], partner[j] = cost[last], partner[last]
    for i in range(last):
        if partner[i] == last:
            partner[i] = j


@helper
def _reduce_row(packed, k, cost, partner, values):
    n = partner.size
    for i in range(n):
        _find_partner(packed, i, n, cost, partner, values)
    while n > k:
        i = _cheapest(packed, n, cost, partner, values)
        j = partner[i]
        i, j = min(i, j), max(i, j)
        for m in range(n):
            if partner[m] == i or partner[m] == j:
                partner[m] = _GONE
        _merge(packed, i, j)
        _take_out(packed, j, n, cost, partner)
        n -= 1
        if n == 1:
            break
        _find_partner(packed, i, n, cost, partner, values)
        for m in range(n):
            if m != i and values[m] < cost[m]:
                cost[m], partner[m] = values[m], i


@compiled
def reduce(weights, means, scales, k, packed, cost, partner, values):
    """Merge in place until k components are left, which move to the front.

    weights (n, K); means, scales (n, K, D); packed (`packed_rows(D)`, K), cost (K,),
    partner (K,) int64 and values (K,) are scratch.
    """
    wide_vectors()
    n_outputs = means.shape[2]
    for row in range(weights.shape[0]):
        for i in range(weights.shape[1]):
            packed[0, i] = weights[row, i]
            for d in range(n_outputs):
                part = packed[1 + 4 * d : 5 + 4 * d]
                part[_MEAN, i], scale = means[row, i, d], scales[row, i, d]
                part[_SCALE, i] = scale
                part[_INVERSE, i], part[_LOG_SCALE, i] = 1.0 / scale, math.log(scale)
        _reduce_row(packed, k, cost, partner, values)
        for i in range(k):
            weights[row, i] = packed[0, i]
            for d in range(n_outputs):
                part = packed[1 + 4 * d : 5 + 4 * d]
                means[row, i, d], scales[row, i, d] = part[_MEAN, i], part[_SCALE, i]
