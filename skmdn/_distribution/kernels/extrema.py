# SPDX-License-Identifier: BSD-3-Clause
"""Extrema of mixture densities, one row at a time.

Extrema are sign changes of the derivative at points half a scale apart, refined by
Newton's method, so that no mode is missed and none is found twice. The line is halved
until a few points are enough for the components that matter there: the others, which
bounds show to be below rounding, are left out.

A row is laid out as the rows of `packed`: log(weight / scale), means, 1 / scales; what
fills it up has the weight 0. Derivatives are per `unit`, the smallest scale.
"""

import math

import numpy as np

from skmdn._distribution.kernels.normal import normal_cdf
from skmdn._jit.policy import compiled, helper, loop_helper
from skmdn._jit.vector import wide_vectors
from skmdn._jit.vector64 import exp64

LANES = 32
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_FLAT = 1e-13  # a derivative this much smaller than its terms is rounding
_MAX_ITER = 2200  # halvings from the largest float64 down to the smallest
_SPACING = 0.5  # of the points where the slope is looked at, in scales
_JUMP = 1e-9  # relative; log-densities differ by more than rounding
_NEGLIGIBLE = 60.0  # nats below the density: nothing of value, slope and curvature
_FARTHEST = 1e150  # scales; a square beyond this would overflow
_BEYOND = 0.4 * _FARTHEST**2  # nats; all squares are beyond, and alike
_LARGEST = np.finfo(np.float64).max


@helper
def pack(weights, means, scales, packed):
    """Lay a row out, components of weight 0 left out; return (how many, unit)."""
    used, unit = 0, np.inf
    for k in range(weights.size):
        if weights[k] > 0.0:
            packed[0, used] = math.log(weights[k]) - math.log(scales[k])
            packed[1, used] = means[k]
            packed[2, used] = min(1.0 / scales[k], _LARGEST)
            packed[3, used] = weights[k]
            unit, used = min(unit, scales[k]), used + 1
    for k in range(used, packed.shape[1]):
        packed[0, k], packed[3, k] = -np.inf, 0.0
        packed[1, k], packed[2, k] = packed[1, 0], packed[2, 0]
    return used, unit


@helper
def _padded(n):
    return -(-n // LANES) * LANES


@helper
def _towards_nearest(x, packed, n, unit):
    """1 or -1, towards the component that is the fewest scales away."""
    least, direction = np.inf, 0.0
    for k in range(n):
        distance = abs(x - packed[1, k]) * (unit * packed[2, k])
        if distance < least:
            least, direction = distance, math.copysign(1.0, packed[1, k] - x)
    return direction


@loop_helper
def derivatives(x, packed, n, unit, lanes):
    """Log-density, its derivative, and the second derivative of the density itself.

    Of the first n components, summed in lanes. Derivatives are 0 where they are
    rounding; the second one is divided by the density.
    """
    terms = lanes[0]
    for lane in range(LANES):
        for row in range(1, 6):
            lanes[row, lane] = 0.0
        terms[lane] = -np.inf
    for first in range(0, _padded(n), LANES):
        factor = packed[0, first : first + LANES]
        mu = packed[1, first : first + LANES]
        inverse = packed[2, first : first + LANES]
        for lane in range(LANES):
            z = abs(x - mu[lane]) * inverse[lane]
            z = _FARTHEST if z > _FARTHEST else z
            terms[lane] = max(terms[lane], factor[lane] - 0.5 * z * z)
    best = -np.inf
    for lane in range(LANES):
        best = max(best, terms[lane])
    if best < -_BEYOND:
        return best, _towards_nearest(x, packed, n, unit), 0.0
    for first in range(0, _padded(n), LANES):
        factor = packed[0, first : first + LANES]
        mu = packed[1, first : first + LANES]
        inverse = packed[2, first : first + LANES]
        for lane in range(LANES):
            z = (x - mu[lane]) * inverse[lane]
            z = _FARTHEST if z > _FARTHEST else z
            z = -_FARTHEST if z < -_FARTHEST else z
            share = exp64(factor[lane] - 0.5 * z * z - best)
            ratio = unit * inverse[lane]
            ratio = 1.0 if ratio > 1.0 else ratio  # of those that fill up
            lanes[1, lane] += share
            lanes[2, lane] -= share * z * ratio
            lanes[3, lane] += share * abs(z) * ratio
            lanes[4, lane] += share * (z * z - 1.0) * ratio * ratio
            lanes[5, lane] += share * (z * z + 1.0) * ratio * ratio
    for row in range(1, 6):
        for lane in range(1, LANES):
            lanes[row, 0] += lanes[row, lane]
    total, slope, bend = lanes[1, 0], lanes[2, 0], lanes[4, 0]
    slope = 0.0 if abs(slope) <= _FLAT * lanes[3, 0] else slope / total
    bend = 0.0 if abs(bend) <= _FLAT * lanes[5, 0] else bend / total
    return best + math.log(total) - _HALF_LOG_2PI, slope, bend


@loop_helper
def mass_between(low, high, packed, lanes):
    """P(low < Y < high), from the smaller tails of every component."""
    sums = lanes[0]
    for lane in range(LANES):
        sums[lane] = 0.0
    for first in range(0, packed.shape[1], LANES):
        mu = packed[1, first : first + LANES]
        inverse = packed[2, first : first + LANES]
        weight = packed[3, first : first + LANES]
        for lane in range(LANES):
            a, b = (low - mu[lane]) * inverse[lane], (high - mu[lane]) * inverse[lane]
            mirror = a > 0.0
            below, above = -b if mirror else a, -a if mirror else b
            sums[lane] += weight[lane] * (normal_cdf(above) - normal_cdf(below))
    total = 0.0
    for lane in range(LANES):
        total += sums[lane]
    return total


@helper
def _turning_point(low, high, rising, packed, n, unit, lanes):
    """Extremum between low, where the density rises (or falls), and high."""
    x, step = 0.5 * low + 0.5 * high, high - low
    for _ in range(_MAX_ITER):
        if not low < x < high:
            break
        _, slope, bend = derivatives(x, packed, n, unit, lanes)
        if slope == 0.0 and (bend == 0.0 or (bend < 0.0) == rising):
            return x
        if slope == 0.0 or (slope > 0.0) == rising:
            low = x
        else:
            high = x
        # Newton's method for the derivative of the density.
        target = x - slope / bend * unit
        if not low < target < high or not abs(target - x) <= 0.5 * step:
            target = 0.5 * low + 0.5 * high
        step, x = abs(target - x), target
    # Neighbouring numbers: the one that is higher, or lower.
    left, right = (
        derivatives(low, packed, n, unit, lanes)[0],
        derivatives(high, packed, n, unit, lanes)[0],
    )
    return low if (left > right) == rising else high


@helper
def _turned_between(low, high, rising, packed, n, unit, lanes):
    """Point between two of equal slope where the slope has another sign, or NaN.

    Both ends of the slope lead away from 0 there: look where it is closest to it.
    """
    for _ in range(_MAX_ITER):
        middle = 0.5 * low + 0.5 * high
        if not low < middle < high:
            break
        _, slope, bend = derivatives(middle, packed, n, unit, lanes)
        if slope != 0.0 and (slope > 0.0) != rising:
            return middle
        # The rest of the way is too short for the slope to get to 0.
        if bend == 0.0 or abs(slope) > 4.0 * abs(bend) * ((high - low) / unit):
            break
        if (bend < 0.0) == rising:
            low = middle
        else:
            high = middle
    return np.nan


@helper
def _keep_relevant(a, b, packed, n):
    """Move what matters between a and b to the front; return how many, and more.

    Of the first n components, by bounds of their densities on the interval. Also
    returned: the largest 1 / scale, and if all are convex on the interval.
    """
    least = -np.inf
    for k in range(n):
        z = max(abs(packed[1, k] - a), abs(packed[1, k] - b)) * packed[2, k]
        z = _FARTHEST if z > _FARTHEST else z
        least = max(least, packed[0, k] - 0.5 * z * z)
    kept, finest, convex = 0, 0.0, True
    for k in range(n):
        z = max(max(a - packed[1, k], packed[1, k] - b), 0.0) * packed[2, k]
        z = _FARTHEST if z > _FARTHEST else z
        if packed[0, k] - 0.5 * z * z >= least - _NEGLIGIBLE:
            finest = max(finest, packed[2, k])
            convex = convex and z >= 1.0
            for row in range(packed.shape[0]):
                swapped = packed[row, kept]
                packed[row, kept] = packed[row, k]
                packed[row, k] = swapped
            kept += 1
    return kept, finest, convex


@helper
def _is_jump(left, left_value, right, value):
    """Whether log-densities of neighbouring numbers are far apart."""
    if left != left or left < 0.5 * left + 0.5 * right < right:
        return False
    return abs(value - left_value) > _JUMP * (1.0 + abs(value))


@helper
def _find_extrema(packed, used, unit, lanes, stack, extrema):
    """Fill in the extrema, maximum first, alternating; return how many there are."""
    low, high = np.inf, -np.inf
    for k in range(used):
        low = min(low, packed[1, k] - _SPACING / packed[2, k])
        high = max(high, packed[1, k] + _SPACING / packed[2, k])
    low, high = max(low, -_LARGEST), min(high, _LARGEST)
    count, rising, depth = 0, True, 1
    left, left_value, left_bend = np.nan, 0.0, 0.0
    stack[0, 0], stack[0, 1], stack[0, 2] = low, high, used
    while depth > 0:
        depth -= 1
        a, b = stack[depth, 0], stack[depth, 1]
        n, finest, convex = _keep_relevant(a, b, packed, int(stack[depth, 2]))
        middle = 0.5 * a + 0.5 * b
        steps = (0.5 * b - 0.5 * a) * finest * (2.0 / _SPACING)
        if convex:  # One minimum at most: a single step finds it.
            steps = 1.0
        if steps > LANES and a < middle < b and depth + 2 <= stack.shape[0]:
            stack[depth + 1, 0], stack[depth + 1, 1] = a, middle
            stack[depth, 0], stack[depth, 1] = middle, b
            stack[depth, 2], stack[depth + 1, 2] = n, n
            depth += 2
            continue
        local = 1.0 / finest
        # An even number: where two components are alike, the valley is in the middle.
        n_steps = 1 if convex else 2 * math.ceil(min(0.5 * steps, 0.5 * LANES))
        n_steps = max(1, n_steps)
        for i in range(0 if left != left else 1, n_steps + 1):
            share = i / n_steps
            right = b if i == n_steps else (1.0 - share) * a + share * b
            if right <= left or count + 4 > extrema.size:
                continue
            value, slope, bend = derivatives(right, packed, n, local, lanes)
            if _is_jump(left, left_value, right, value):
                # Slopes say nothing of what is between neighbouring numbers.
                if (value > left_value) != rising:
                    extrema[count] = left
                    count, rising = count + 1, not rising
                left, left_value, left_bend = right, value, bend
                continue
            is_extremum = slope == 0.0
            if is_extremum:
                if bend == 0.0:
                    continue
                slope = -bend  # its sign just before
            if (slope > 0.0) != rising:
                left = right if left != left else left
                extrema[count] = _turning_point(
                    left, right, rising, packed, n, local, lanes
                )
                count, rising = count + 1, not rising
            elif (left_bend < 0.0) == rising and (bend > 0.0) == rising:
                turned = _turned_between(left, right, rising, packed, n, local, lanes)
                if left < turned < right:
                    extrema[count] = _turning_point(
                        left, turned, rising, packed, n, local, lanes
                    )
                    extrema[count + 1] = _turning_point(
                        turned, right, not rising, packed, n, local, lanes
                    )
                    count += 2
            if is_extremum:
                extrema[count] = right
                count, rising = count + 1, not rising
            left, left_value, left_bend = right, value, bend
    if rising:  # To the last number.
        extrema[count] = left if left == left else packed[1, 0]
        count += 1
    return count


@helper
def _drop_unresolved(extrema, heights, count):
    """Leave out minima not below both of their maxima, and the lower of these.

    Between neighbouring numbers a density may turn, which none of its values shows.
    """
    kept = 0  # place of the last maximum kept
    for i in range(2, count, 2):
        if heights[i - 1] < min(heights[kept], heights[i]):
            extrema[kept + 1], heights[kept + 1] = extrema[i - 1], heights[i - 1]
            kept += 2
        elif heights[i] <= heights[kept]:
            continue
        extrema[kept], heights[kept] = extrema[i], heights[i]
    return kept + 1


@compiled
def find_extrema(
    weights, means, scales, packed, lanes, stack, extrema, heights, counts
):
    """Extrema of every row, in order: maximum, minimum, ..., maximum.

    packed (4, K filled up to whole LANES), lanes (6, LANES) and stack (m, 3) are
    scratch; extrema, heights (n, m) are filled with the places and the log-densities,
    counts (n,) int64 with how many there are.
    """
    wide_vectors()
    for row in range(weights.shape[0]):
        used, unit = pack(weights[row], means[row], scales[row], packed)
        counts[row] = _find_extrema(packed, used, unit, lanes, stack, extrema[row])
        for i in range(counts[row]):
            at = extrema[row, i]
            heights[row, i], _, _ = derivatives(at, packed, used, unit, lanes)
        counts[row] = _drop_unresolved(extrema[row], heights[row], counts[row])


@compiled
def masses(weights, means, scales, packed, lanes, edges, counts, out):
    """Probabilities between neighbouring edges (n, m + 1), the first counts[row]."""
    wide_vectors()
    for row in range(weights.shape[0]):
        pack(weights[row], means[row], scales[row], packed)
        for i in range(counts[row]):
            out[row, i] = mass_between(edges[row, i], edges[row, i + 1], packed, lanes)
