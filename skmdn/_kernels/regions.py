# SPDX-License-Identifier: BSD-3-Clause
"""Extrema of mixture densities, and highest-density regions, one row at a time.

Between neighbouring extrema a density is monotone: every level is crossed at most once.
Extrema are found as sign changes of the derivative on a grid fit to every component,
then by bisection, so that no mode is missed and none is found twice.
"""

import math

import numpy as np

from skmdn._kernels.jit import compiled, helper
from skmdn._kernels.normal import normal_cdf

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_FLAT = 1e-13  # a derivative this much smaller than its terms is rounding
_LEVEL_EXACT = 1e-11  # in mass
_MAX_ITER = 200


@helper
def _derivatives(x, factor, mu, sigma):
    """Log-density, its derivative, and the second derivative of the density itself.

    factor is log(w / sigma). Derivatives are 0 where they are rounding; the second one
    is divided by the density.
    """
    best = -np.inf
    for k in range(factor.size):
        z = (x - mu[k]) / sigma[k]
        best = max(best, factor[k] - 0.5 * z * z)
    total, slope, size, bend, bends = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(factor.size):
        z = (x - mu[k]) / sigma[k]
        share = math.exp(factor[k] - 0.5 * z * z - best)
        if share > 0.0:
            total += share
            slope -= share * z / sigma[k]
            size += share * abs(z) / sigma[k]
            bend += share * (z * z - 1.0) / sigma[k] / sigma[k]
            bends += share * (z * z + 1.0) / sigma[k] / sigma[k]
    slope = 0.0 if abs(slope) <= _FLAT * size else slope / total
    bend = 0.0 if abs(bend) <= _FLAT * bends else bend / total
    return best + math.log(total) - _HALF_LOG_2PI, slope, bend


@helper
def _mass(low, high, w, mu, sigma):
    """P(low < Y < high), from the smaller tails of every component."""
    total = 0.0
    for k in range(w.size):
        a, b = (low - mu[k]) / sigma[k], (high - mu[k]) / sigma[k]
        if a > 0.0:
            a, b = -b, -a
        total += w[k] * (normal_cdf(b) - normal_cdf(a))
    return total


@helper
def _turning_point(low, high, rising, factor, mu, sigma):
    """Extremum between low, where the density rises (or falls), and high."""
    for _ in range(_MAX_ITER):
        middle = 0.5 * low + 0.5 * high
        if not low < middle < high:
            break
        _, slope, bend = _derivatives(middle, factor, mu, sigma)
        if slope == 0.0 and (bend == 0.0 or (bend < 0.0) == rising):
            return middle
        if slope == 0.0 or (slope > 0.0) == rising:
            low = middle
        else:
            high = middle
    return 0.5 * low + 0.5 * high


@helper
def _turned_between(low, high, rising, factor, mu, sigma):
    """Point between two of equal slope where the slope has another sign, or NaN.

    Both ends of the slope lead away from 0 there: look where it is closest to it.
    """
    for _ in range(_MAX_ITER):
        middle = 0.5 * low + 0.5 * high
        if not low < middle < high:
            break
        _, slope, bend = _derivatives(middle, factor, mu, sigma)
        if slope != 0.0 and (slope > 0.0) != rising:
            return middle
        if bend == 0.0:
            break
        if (bend < 0.0) == rising:
            low = middle
        else:
            high = middle
    return np.nan


@helper
def _find_extrema(factor, mu, sigma, grid, extrema):
    """Fill in the extrema, maximum first, alternating; return how many there are."""
    count, rising, left = 0, True, grid[0]
    _, _, left_bend = _derivatives(left, factor, mu, sigma)
    for i in range(1, grid.size):
        right = grid[i]
        _, slope, bend = _derivatives(right, factor, mu, sigma)
        is_extremum = slope == 0.0
        if is_extremum:
            if bend == 0.0:
                continue
            slope = -bend  # its sign just before
        if (slope > 0.0) != rising:
            extrema[count] = _turning_point(left, right, rising, factor, mu, sigma)
            count, rising = count + 1, not rising
        elif (left_bend < 0.0) == rising and (bend > 0.0) == rising:
            turned = _turned_between(left, right, rising, factor, mu, sigma)
            if left < turned < right:
                extrema[count] = _turning_point(left, turned, rising, factor, mu, sigma)
                extrema[count + 1] = _turning_point(
                    turned, right, not rising, factor, mu, sigma
                )
                count += 2
        if is_extremum:
            extrema[count] = right
            count, rising = count + 1, not rising
        left, left_bend = right, bend
    return count


@compiled
def find_extrema(factors, means, scales, grid, extrema, heights, counts):
    """Extrema of every row, in order: maximum, minimum, ..., maximum.

    factors are log(weights / scales); grid (n, m) are sorted points beyond and between
    all means; extrema, heights (n, 2 m) are filled with the places and the
    log-densities, counts (n,) int64 with how many there are.
    """
    for row in range(factors.shape[0]):
        factor, mu, sigma = factors[row], means[row], scales[row]
        counts[row] = _find_extrema(factor, mu, sigma, grid[row], extrema[row])
        for i in range(counts[row]):
            heights[row, i], _, _ = _derivatives(extrema[row, i], factor, mu, sigma)


@compiled
def masses(weights, means, scales, edges, counts, out):
    """Probabilities between neighbouring edges (n, m + 1), the first counts[row]."""
    for row in range(weights.shape[0]):
        for i in range(counts[row]):
            low, high = edges[row, i], edges[row, i + 1]
            out[row, i] = _mass(low, high, weights[row], means[row], scales[row])


@helper
def _crossing(level, low, high, x, factor, mu, sigma):
    """Where the log-density, monotone from low to high, is at a level.

    low is below the level, high above; low may be the larger number. x is a guess.
    """
    if not min(low, high) < x < max(low, high):
        x = 0.5 * low + 0.5 * high
    step = abs(high - low)
    for _ in range(_MAX_ITER):
        value, slope, _ = _derivatives(x, factor, mu, sigma)
        if value < level:
            low = x
        else:
            high = x
        if abs(value - level) <= 1e-14 + 4e-16 * abs(level):
            break
        change = (level - value) / slope
        if abs(change) <= 1e-15 * abs(x):
            break
        # Steps that do not shrink may go round in circles: halve the bracket instead.
        target = x + change
        if not min(low, high) < target < max(low, high) or abs(change) > 0.5 * step:
            target = 0.5 * low + 0.5 * high
            if not min(low, high) < target < max(low, high):
                return high
        step, x = abs(target - x), target
    return x


@helper
def _region(level, extrema, heights, count, w, factor, mu, sigma, edges):
    """Intervals where the log-density is above a level; return (how many, mass).

    edges (m, 2) holds guesses for the edges on either side of every maximum: even rows
    of extrema. Intervals are written to the rows `len(edges) // 2` and on.
    """
    half = edges.shape[0] // 2
    intervals, mass, open_since = 0, 0.0, np.nan
    for i in range(0, count, 2):
        if heights[i] <= level:
            continue
        if i == 0 or heights[i - 1] < level:
            outside = extrema[i - 1] if i > 0 else edges[half - 1, 0]
            open_since = _crossing(
                level, outside, extrema[i], edges[i // 2, 0], factor, mu, sigma
            )
            edges[i // 2, 0] = open_since
        if i == count - 1 or heights[i + 1] < level:
            outside = extrema[i + 1] if i < count - 1 else edges[half - 1, 1]
            end = _crossing(
                level, outside, extrema[i], edges[i // 2, 1], factor, mu, sigma
            )
            edges[i // 2, 1] = end
            edges[half + intervals, 0], edges[half + intervals, 1] = open_since, end
            mass += _mass(open_since, end, w, mu, sigma)
            intervals += 1
    return intervals, mass


@helper
def _slope_of_mass(intervals, edges, half, level, factor, mu, sigma):
    """Derivative of the mass of a region by its log-level; negative."""
    slope = 0.0
    for i in range(intervals):
        for side in range(2):
            _, steepness, _ = _derivatives(edges[half + i, side], factor, mu, sigma)
            if steepness == 0.0:
                return -np.inf
            slope -= math.exp(level) / abs(steepness)
    return slope


@helper
def _solve(coverage, extrema, heights, count, w, factor, mu, sigma, edges):
    """Find the level whose region has the coverage; return the number of intervals."""
    half = edges.shape[0] // 2
    high = heights[0]
    for i in range(0, count, 2):
        high = max(high, heights[i])
    # The density at the ends of the line that edges[half - 1] cuts off is below any
    # level of interest.
    low = min(
        _derivatives(edges[half - 1, 0], factor, mu, sigma)[0],
        _derivatives(edges[half - 1, 1], factor, mu, sigma)[0],
    )
    level = max(low, high - 1.0)
    intervals, step = 0, high - low
    for _ in range(_MAX_ITER):
        intervals, mass = _region(
            level, extrema, heights, count, w, factor, mu, sigma, edges
        )
        error = mass - coverage
        if abs(error) <= _LEVEL_EXACT:
            break
        if error > 0.0:
            low = level
        else:
            high = level
        slope = _slope_of_mass(intervals, edges, half, level, factor, mu, sigma)
        target = level - error / slope
        if not low < target < high or abs(target - level) > 0.5 * step:
            target = 0.5 * low + 0.5 * high
            if not low < target < high:
                break
        step, level = abs(target - level), target
    return intervals


@compiled
def regions(
    weights,
    factors,
    means,
    scales,
    coverage,
    ends,
    extrema,
    heights,
    counts,
    edges,
    out,
    found,
):
    """Highest-density region of every row.

    ends (n, 2) bracket all mass; extrema, heights and counts are those of
    `find_extrema`; edges (2 m, 2) with m > (the most extrema) / 2 + 1 is scratch; out
    (n, m, 2) is filled with intervals, found (n,) int64 with how many there are.
    """
    half = edges.shape[0] // 2
    for row in range(weights.shape[0]):
        for i in range(half):
            edges[i, 0], edges[i, 1] = np.nan, np.nan
        edges[half - 1, 0], edges[half - 1, 1] = ends[row, 0], ends[row, 1]
        found[row] = _solve(
            coverage,
            extrema[row],
            heights[row],
            counts[row],
            weights[row],
            factors[row],
            means[row],
            scales[row],
            edges,
        )
        for i in range(found[row]):
            out[row, i, 0], out[row, i, 1] = edges[half + i, 0], edges[half + i, 1]
