# SPDX-License-Identifier: BSD-3-Clause
"""Modes of several outputs: climb from the means, and from where two components meet.

References
----------
M. A. Carreira-Perpinan, "Mode-finding for mixtures of Gaussian distributions", IEEE
Trans. Pattern Anal. Mach. Intell. 22, 2000: the fixed point (mean shift) and Newton's
method from every mean. S. Ray and B. G. Lindsay, "The topography of multivariate normal
mixtures", Ann. Statist. 33, 2005: maxima of two components lie on their ridgeline.
"""

import math

import numpy as np

from skmdn._jit.policy import compiled, helper, loop_helper
from skmdn._jit.vector import wide_vectors
from skmdn._jit.vector64 import exp64

LANES = 32
_MAX_ITER = 1000
_SAME = 0.1  # in units of the smallest scale: two climbs that came to one mode
_CONVERGED = 1e-12
_LONGEST_STRIDE = 16.0  # in steps of mean shift
_FARTHEST = 1e150  # scales; a square beyond this would overflow
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
N_PAIRED = 12  # components whose ridgelines are looked at: those of the densest means
_ALONG = (0.5, 0.25, 0.75)  # places on a ridgeline
N_ALONG = len(_ALONG)
_HEIGHT, _MASS, _PEAK = 0, 1, 2


@helper
def _pack(weights, means, scales, unit, packed):
    """Lay a row out with components innermost, those of weight 0 left out."""
    n_outputs, used = means.shape[1], 0
    for d in range(n_outputs):
        unit[d] = np.inf
    for k in range(weights.size):
        if weights[k] == 0.0:
            continue
        packed[0, used] = math.log(weights[k])
        for d in range(n_outputs):
            packed[0, used] -= math.log(scales[k, d]) + _HALF_LOG_2PI
            packed[1 + d, used] = means[k, d]
            packed[1 + n_outputs + d, used] = 1.0 / scales[k, d]
            unit[d] = min(unit[d], scales[k, d])
        used += 1
    end = -(-used // LANES) * LANES
    for k in range(used, end):
        packed[0, k] = -np.inf
        for row in range(1, packed.shape[0]):
            packed[row, k] = packed[row, 0]
    return used, end


@loop_helper
def _terms(x, packed, end, terms, lanes):
    """Fill in log of weight times density of every component; return the largest."""
    n_outputs = x.size
    for lane in range(LANES):
        lanes[lane] = -np.inf
    for first in range(0, end, LANES):
        block = terms[first : first + LANES]
        log_factor = packed[0, first : first + LANES]
        for lane in range(LANES):
            block[lane] = log_factor[lane]
        for d in range(n_outputs):
            mu = packed[1 + d, first : first + LANES]
            inverse = packed[1 + n_outputs + d, first : first + LANES]
            for lane in range(LANES):
                z = abs(x[d] - mu[lane]) * inverse[lane]
                z = _FARTHEST if z > _FARTHEST else z
                block[lane] -= 0.5 * z * z
        for lane in range(LANES):
            lanes[lane] = max(lanes[lane], block[lane])
    best = -np.inf
    for lane in range(LANES):
        best = max(best, lanes[lane])
    return best


@loop_helper
def _log_density(x, packed, end, terms, lanes):
    best = _terms(x, packed, end, terms, lanes)
    for lane in range(LANES):
        lanes[lane] = 0.0
    for first in range(0, end, LANES):
        block = terms[first : first + LANES]
        for lane in range(LANES):
            lanes[lane] += exp64(block[lane] - best)
    total = 0.0
    for lane in range(LANES):
        total += lanes[lane]
    return best + math.log(total)


@loop_helper
def _expand(x, unit, packed, end, terms, sums, slopes, gradient, precision, hessian):
    """Log-density with gradient and Hessian in units of the smallest scales.

    `precision` is the mean of 1 / scale^2 that the step of mean shift divides by.
    """
    n_outputs = x.size
    best = _terms(x, packed, end, terms, sums[0])
    for row in range(sums.shape[0]):
        for lane in range(LANES):
            sums[row, lane] = 0.0
    for first in range(0, end, LANES):
        share = terms[first : first + LANES]
        for lane in range(LANES):
            share[lane] = exp64(share[lane] - best)
            sums[0, lane] += share[lane]
        for d in range(n_outputs):
            mu = packed[1 + d, first : first + LANES]
            inverse = packed[1 + n_outputs + d, first : first + LANES]
            for lane in range(LANES):
                ratio = unit[d] * inverse[lane]
                z = (mu[lane] - x[d]) * inverse[lane]
                z = _FARTHEST if z > _FARTHEST else z
                z = -_FARTHEST if z < -_FARTHEST else z
                slopes[d, lane] = z * ratio
                sums[1 + d, lane] += share[lane] * slopes[d, lane]
                sums[1 + n_outputs + d, lane] += share[lane] * ratio * ratio
        row = 1 + 2 * n_outputs
        for i in range(n_outputs):
            for j in range(i + 1):
                for lane in range(LANES):
                    sums[row, lane] += share[lane] * slopes[i, lane] * slopes[j, lane]
                row += 1
    for row in range(sums.shape[0]):
        for lane in range(1, LANES):
            sums[row, 0] += sums[row, lane]
    total, row = sums[0, 0], 1 + 2 * n_outputs
    for d in range(n_outputs):
        gradient[d] = sums[1 + d, 0] / total
        precision[d] = sums[1 + n_outputs + d, 0] / total
    for i in range(n_outputs):
        for j in range(i + 1):
            hessian[i, j] = sums[row, 0] / total - gradient[i] * gradient[j]
            row += 1
        hessian[i, i] -= precision[i]
    return best + math.log(total)


@helper
def _factorise(hessian):
    """Cholesky factor of minus the Hessian, in place; whether it is positive."""
    n = hessian.shape[0]
    for i in range(n):
        for j in range(i + 1):
            total = -hessian[i, j]
            for k in range(j):
                total -= hessian[i, k] * hessian[j, k]
            if i > j:
                hessian[i, j] = total / hessian[j, j]
            elif total > 0.0:
                hessian[i, i] = math.sqrt(total)
            else:
                return False
    return True


@helper
def _solve(factor, gradient, step):
    """Newton's step: the solution for a Cholesky factor."""
    n = gradient.size
    for i in range(n):
        total = gradient[i]
        for k in range(i):
            total -= factor[i, k] * step[k]
        step[i] = total / factor[i, i]
    for i in range(n - 1, -1, -1):
        total = step[i]
        for k in range(i + 1, n):
            total -= factor[k, i] * step[k]
        step[i] = total / factor[i, i]


@helper
def _near(x, unit, modes, count):
    """Number of the mode that a point belongs to, or -1."""
    for m in range(count):
        square = 0.0
        for d in range(x.size):
            # The difference first: it is small where it matters.
            square += ((x[d] - modes[m, d]) / unit[d]) ** 2
        if square < _SAME * _SAME:
            return m
    return -1


@helper
def _move(x, unit, step):
    """Turn a step in units into the place it leads to; return its length."""
    length = 0.0
    for d in range(x.size):
        length = max(length, abs(step[d]))
        step[d] = x[d] + step[d] * unit[d]
    return length


@helper
def _climb(x, unit, packed, end, terms, sums, slopes, small, hessian, modes, count):
    """Climb from x, in place, to a maximum or into the reach of a known one.

    Returns the number of the known one or -1, the log-density and if x is a peak.
    By Newton's steps where the log-density is concave, by steps of mean shift and up to
    a few times as long elsewhere. Where these do not ascend, mean shift always does.
    """
    gradient, precision, step, target = small[0], small[1], small[2], small[3]
    value, is_peak, stride = -np.inf, False, 2.0
    for _ in range(_MAX_ITER):
        known = _near(x, unit, modes, count)
        if known >= 0:
            return known, value, True
        value = _expand(
            *(x, unit, packed, end, terms, sums, slopes, gradient, precision, hessian)
        )
        is_peak = _factorise(hessian)
        for d in range(x.size):
            shift = gradient[d] / precision[d] if precision[d] > 0.0 else 0.0
            step[d] = stride * shift
            target[d] = shift
        if is_peak:
            _solve(hessian, gradient, step)
        moved = _move(x, unit, step)
        reached = _log_density(step, packed, end, terms, sums[0])
        if not reached > value:
            stride = 2.0
            for d in range(x.size):
                step[d] = target[d]
            moved = _move(x, unit, step)
            reached = _log_density(step, packed, end, terms, sums[0])
        else:
            stride = min(2.0 * stride, _LONGEST_STRIDE)
        if not reached > value:
            break
        for d in range(x.size):
            x[d] = step[d]
        value = reached
        if moved <= _CONVERGED:
            break
    return _near(x, unit, modes, count), value, is_peak


@helper
def _meeting_point(mu, sigma, i, j, along, x):
    """Point of the ridgeline of two components."""
    for d in range(x.size):
        ratio = sigma[i, d] / sigma[j, d]
        share = 1.0 / (1.0 + along / (1.0 - along) * ratio * ratio)
        x[d] = share * mu[i, d] + (1.0 - share) * mu[j, d]


@helper
def _densest(heights, weights, order):
    """Number the components of the greatest heights, greatest first."""
    for place in range(order.size):
        best = -1
        for k in range(weights.size):
            if weights[k] == 0.0:
                continue
            taken = False
            for earlier in range(place):
                taken = taken or order[earlier] == k
            if not taken and (best < 0 or heights[k] > heights[best]):
                best = k
        order[place] = best


@compiled
def find_modes(
    weights, means, scales, packed, terms, sums, slopes, small, hessian, order, modes
):
    """Modes of one row; return how many, and how many components have weight.

    weights (K,); means, scales (K, D). packed (1 + 2 D, padded K), terms (2, padded K),
    sums (1 + 2 D + D (D + 1) / 2, LANES), slopes (D, LANES), small (6, D), hessian
    (D, D), order (K,) int64 are scratch. modes (starts, D + 3) is filled with the
    places, log-densities, masses, and 1 for a peak or 0 for a place where the climb
    ended though the density is not concave.
    """
    wide_vectors()
    n_outputs, count = means.shape[1], 0
    x, unit = small[4], small[5]
    used, end = _pack(weights, means, scales, unit, packed)
    heights = terms[1]
    for k in range(weights.size):
        heights[k] = _log_density(means[k], packed, end, terms[0], sums[0])
    _densest(heights, weights, order[:used])
    n_paired = min(used, N_PAIRED)
    n_pairs = n_paired * (n_paired - 1) // 2
    i, j = 0, 0
    for start in range(used + N_ALONG * n_pairs):
        if start < used:
            mass = weights[order[start]]
            for d in range(n_outputs):
                x[d] = means[order[start], d]
        else:
            mass, turn = 0.0, (start - used) % N_ALONG
            if turn == 0:
                j = j + 1 if j < i else 0
                i = i + 1 if j == 0 else i
                if j == i:
                    i, j = i + 1, 0
            _meeting_point(means, scales, order[i], order[j], _ALONG[turn], x)
        known, height, is_peak = _climb(
            *(x, unit, packed, end, terms[0], sums, slopes, small, hessian),
            *(modes, count),
        )
        if known >= 0:
            modes[known, n_outputs + _MASS] += mass
            continue
        for d in range(n_outputs):
            modes[count, d] = x[d]
        modes[count, n_outputs + _HEIGHT] = height
        modes[count, n_outputs + _MASS] = mass
        modes[count, n_outputs + _PEAK] = 1.0 if is_peak else 0.0
        count += 1
    return count
