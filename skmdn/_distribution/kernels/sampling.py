# SPDX-License-Identifier: BSD-3-Clause
"""Draws from mixtures, from random numbers that depend on a seed and a count alone.

References
----------
G. L. Steele, D. Lea and C. H. Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014 (SplitMix64). G. E. P. Box and M. E. Muller, "A note on the generation of
random normal deviates", Ann. Math. Statist. 29, 1958.
"""

import math

import numpy as np

from skmdn._distribution.kernels.mixture import LANES
from skmdn._jit.policy import compiled, helper, overload
from skmdn._jit.vector import wide_vectors
from skmdn._jit.vector64 import cos_turn64, log64

_GOLDEN, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_MASK = 2**64 - 1
_U53 = 2.0**-53
_FEW_DRAWS = 4


def uniform(seed, count):
    """Uniform number in [0, 1) number `count` of the stream of a seed (uint64 each)."""
    x = (int(seed) + (int(count) + 1) * _GOLDEN) & _MASK
    x = ((x ^ (x >> 30)) * _MIX_1) & _MASK
    x = ((x ^ (x >> 27)) * _MIX_2) & _MASK
    return ((x ^ (x >> 31)) >> 11) * _U53


def _uniform(seed, count):
    x = np.uint64(seed) + (np.uint64(count) + np.uint64(1)) * np.uint64(_GOLDEN)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(_MIX_1)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(_MIX_2)
    x = x ^ (x >> np.uint64(31))
    # Through a signed integer: the conversion of an unsigned one is slow.
    return np.float64(np.int64(x >> np.uint64(11))) * _U53


@overload(uniform)
def _overload_uniform(seed, count):
    return _uniform


@helper
def _last_with_weight(weights, row):
    """Last component of a row that has any weight: where rounding ends up."""
    last = 0
    for k in range(weights.shape[1]):
        if weights[row, k] > 0.0:
            last = k
    return last


@helper
def _choose(weights, row, u):
    """Component that u of [0, 1) falls into; for a few draws of a row."""
    total, chosen = 0.0, 0
    for k in range(weights.shape[1] - 1):
        total += weights[row, k]
        chosen += 1 if u >= total else 0
    if weights[row, chosen] == 0.0:
        chosen = _last_with_weight(weights, row)
    return chosen


@helper
def _cumulate(weights, row, cumulated):
    """Cumulated weights of a row, infinite from the last with any weight on."""
    total = 0.0
    for k in range(weights.shape[1]):
        total += weights[row, k]
        cumulated[k] = total
    for k in range(_last_with_weight(weights, row), weights.shape[1]):
        cumulated[k] = np.inf


@helper
def _search(cumulated, u):
    """First component whose cumulated weight is above u, by bisection."""
    low, high = 0, cumulated.size - 1
    while low < high:
        middle = (low + high) // 2
        if u < cumulated[middle]:
            high = middle
        else:
            low = middle + 1
    return low


@helper
def _draw_numbers(seed, first, numbers):
    """Fill numbers: a uniform one and D normal ones for each of LANES draws."""
    n_outputs = numbers.shape[0] - 1
    # Numbers of the stream that one draw takes: one, and two for every output.
    taken = np.uint64(1 + 2 * n_outputs)
    for lane in range(LANES):
        numbers[0, lane] = uniform(seed, np.uint64(first + lane) * taken)
    for d in range(n_outputs):
        for lane in range(LANES):
            count = np.uint64(first + lane) * taken + np.uint64(2 * d + 1)
            radius = math.sqrt(-2.0 * log64(1.0 - uniform(seed, count)))
            turn = uniform(seed, count + np.uint64(1))
            numbers[1 + d, lane] = radius * cos_turn64(turn)


@compiled
def fill_uniform(seed, first, out):
    """Fill out (m,) with the numbers `first` and on of the stream of a seed."""
    for i in range(out.size):
        out[i] = uniform(seed, np.uint64(first + i))


@helper
def _correlated(factors, numbers, lane, d):
    """Entry d of F z; factors (D, D), z below the first row of numbers."""
    total = 0.0
    for j in range(d + 1):
        total += factors[d, j] * numbers[1 + j, lane]
    return total


@compiled
def sample(weights, means, scales, factors, seed, before, out, cumulated, numbers):
    """Fill out (n, D, m) with m draws of every row; `before` others were drawn.

    factors (n, K or 1, D, D), or with a second axis of 0 for independent outputs.
    cumulated (K,) and numbers (1 + D, LANES) are scratch.
    """
    wide_vectors()
    n_factors = factors.shape[1]
    n_outputs, n_draws = out.shape[1], out.shape[2]
    step = 0 if scales.shape[1] < means.shape[1] else 1
    n_scales = scales.shape[1] // weights.shape[1]
    total = out.shape[0] * n_draws
    row, draw = 0, 0
    for first in range(0, total, LANES):
        _draw_numbers(seed, before + first, numbers)
        for lane in range(min(LANES, total - first)):
            if n_draws < _FEW_DRAWS:
                k = _choose(weights, row, numbers[0, lane])
            else:
                if draw == 0:
                    _cumulate(weights, row, cumulated)
                k = _search(cumulated, numbers[0, lane])
            for d in range(n_outputs):
                scale, z = scales[row, k * n_scales + step * d], numbers[1 + d, lane]
                if n_factors > 0:
                    own = factors[row, k if n_factors > 1 else 0]
                    z = _correlated(own, numbers, lane, d)
                out[row, d, draw] = means[row, k * n_outputs + d] + scale * z
            draw += 1
            if draw == n_draws:
                row, draw = row + 1, 0
