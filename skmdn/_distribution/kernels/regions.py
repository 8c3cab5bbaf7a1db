# SPDX-License-Identifier: BSD-3-Clause
"""Highest-density regions of mixtures, one row at a time.

Between neighbouring extrema a density is monotone: every level is crossed at most once.
A region is the edges on either side of every maximum: at the crossings of its level, at
minima above it, and both at the maximum if that is below it.

The mass of a region is not continuous in float64: it jumps where the next number is
beyond a component, and with the square root of the level below a maximum. Between the
regions on either side of a jump edges are moved, outwards where no number is left.
"""

import math

import numpy as np

from skmdn._distribution.kernels.extrema import derivatives, mass_between, pack
from skmdn._jit.policy import compiled, helper
from skmdn._jit.vector import wide_vectors

_EXACT = 1e-11  # of the coverage, absolute
_SMALL = 1e-6  # and relative
_NOISE = 1e-13  # of log-densities that are of the order of 10
_MAX_ITER = 2200  # halvings from the largest float64 down to the smallest
_FEW = 20  # iterations that Newton's method is left alone
_EPSILON = np.finfo(np.float64).eps
_TINY = np.finfo(np.float64).tiny
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_DEEPEST = 450.0  # nats below the top of a normal density, at 30 scales


@helper
def _halfway(outside, inside, mode, iteration):
    """Middle of a bracket; of its logarithm if halving did not get there."""
    far, near = abs(outside - mode), abs(inside - mode)
    near = max(near, _EPSILON * abs(mode), _TINY)
    if iteration < _FEW or far < 16.0 * near:
        return 0.5 * outside + 0.5 * inside
    return mode + math.copysign(math.sqrt(far) * math.sqrt(near), outside - mode)


@helper
def _crossing(level, outside, mode, x, packed, n, unit, lanes):
    """Where a log-density is at a level between a maximum and a place below the level.

    x is a guess. The slope there is returned as well: 0 if there is no such number, and
    the next one outside is returned.
    """
    inside, reach = mode, 1.0
    if not min(outside, inside) < x < max(outside, inside):
        x = 0.5 * outside + 0.5 * inside
    step = abs(inside - outside)
    for iteration in range(_MAX_ITER):
        if not min(outside, inside) < x < max(outside, inside):
            return outside, 0.0
        value, slope, _ = derivatives(x, packed, n, unit, lanes)
        if value < level:
            outside = x
        else:
            inside = x
        change = (level - value) / slope * unit
        is_next = abs(change) <= 1e-15 * abs(x)
        off = abs(value - level) - 4e-16 * abs(level)
        if off <= 1e-14 or (is_next and off <= 1e-11):
            return x, slope
        # Steps that do not shrink may go round in circles: halve the bracket instead.
        target = x + change
        if is_next:
            other = inside if value < level else outside
            target = x + math.copysign(reach * _EPSILON * abs(x), other - x)
            reach *= 2.0
        elif not abs(change) <= 0.5 * step:
            target = _halfway(outside, inside, mode, iteration)
        if not min(outside, inside) < target < max(outside, inside):
            target = _halfway(outside, inside, mode, iteration)
        step, x = abs(target - x), target
    return outside, 0.0


@helper
def _mass_of(edges, n_modes, packed, lanes):
    """Mass of a region."""
    mass, low, high = 0.0, edges[0, 0], edges[0, 1]
    for i in range(1, n_modes):
        if edges[i, 0] > high:
            mass += mass_between(low, high, packed, lanes) if high > low else 0.0
            low = edges[i, 0]
        high = edges[i, 1]
    return mass + (mass_between(low, high, packed, lanes) if high > low else 0.0)


@helper
def _cut(level, ends, extrema, heights, n_modes, packed, n, unit, lanes, edges):
    """Edges of the region above a level; return its mass and the derivative of that.

    Old edges are guesses.
    """
    slope = 0.0
    for i in range(n_modes):
        mode = extrema[2 * i]
        for side in range(2):
            beyond = 2 * i - 1 + 2 * side  # the minimum on this side
            is_last = not 0 < beyond < 2 * n_modes - 1
            outside = ends[side] if is_last else extrema[beyond]
            if heights[2 * i] <= level:
                edges[i, side] = mode
            elif not is_last and heights[beyond] >= level:
                edges[i, side] = outside
            else:
                edges[i, side], steepness = _crossing(
                    *(level, outside, mode, edges[i, side], packed, n, unit, lanes)
                )
                if steepness != 0.0:
                    log_steepness = math.log(abs(steepness)) - math.log(unit)
                    slope -= math.exp(level - log_steepness)
    return _mass_of(edges, n_modes, packed, lanes), slope


@helper
def _copy(edges, n_modes, to):
    for i in range(n_modes):
        to[i, 0], to[i, 1] = edges[i, 0], edges[i, 1]


@helper
def _trim(coverage, exact, n_modes, packed, lanes, outer, inner):
    """Shrink a region of too large a mass towards one of too small a mass."""
    mass = _mass_of(outer, n_modes, packed, lanes)
    for i in range(n_modes):
        low, high = outer[i, 0], outer[i, 1]
        left, right = inner[i, 0] - low, inner[i, 1] - high
        if left == 0.0 and right == 0.0:
            continue
        others = mass - mass_between(low, high, packed, lanes)
        mass = others + mass_between(inner[i, 0], inner[i, 1], packed, lanes)
        outer[i, 0], outer[i, 1] = inner[i, 0], inner[i, 1]
        if mass >= coverage:
            continue
        share, too_much = 0.0, 1.0
        outer[i, 0], outer[i, 1] = low, high
        for _ in range(60):
            middle = 0.5 * (share + too_much)
            a, b = low + middle * left, high + middle * right
            mass = others + mass_between(a, b, packed, lanes)
            if mass < coverage:
                too_much = middle
                continue
            share, outer[i, 0], outer[i, 1] = middle, a, b
            if mass <= coverage + exact:
                break
        return


@helper
def _solve(coverage, ends, extrema, heights, n_modes, packed, n, unit, lanes, edges):
    """Find the region that has the coverage; its edges are written to edges[1]."""
    region, outer, inner = edges[0], edges[1], edges[2]
    high, low = -np.inf, np.inf
    for i in range(n_modes):
        high = max(high, heights[2 * i])
        outer[i, 0] = extrema[2 * i - 1] if i > 0 else ends[0]
        outer[i, 1] = extrema[2 * i + 1] if i < n_modes - 1 else ends[1]
        inner[i, 0] = inner[i, 1] = extrema[2 * i]
    # No component has mass below this.
    for k in range(n):
        low = min(low, packed[0, k] - _HALF_LOG_2PI - _DEEPEST)
    noise = _NOISE * (10.0 + abs(high))
    exact = min(_EXACT, _SMALL * coverage)
    # The mass is almost linear in the root of the depth below the highest maximum.
    least, most = 0.0, math.sqrt(high - low)
    root = max(min(1.0, 2.0 * coverage), math.sqrt(noise))
    step = most
    for iteration in range(_MAX_ITER):
        if most * most - least * least <= noise:
            break
        mass, slope = _cut(
            *(high - root * root, ends, extrema, heights, n_modes),
            *(packed, n, unit, lanes, region),
        )
        if abs(mass - coverage) <= exact:
            _copy(region, n_modes, outer)
            return
        if mass > coverage:
            most = root
            _copy(region, n_modes, outer)
        else:
            least = root
            _copy(region, n_modes, inner)
        target = root + 0.5 * (mass - coverage) / (slope * root)
        is_slow = iteration >= _FEW and abs(target - root) > 0.5 * step
        if not least < target < most or is_slow:
            target = 0.5 * least + 0.5 * most
            if not least < target < most:
                break
        step, root = abs(target - root), target
    _trim(coverage, exact, n_modes, packed, lanes, outer, inner)


@helper
def _join(edges, n_modes, out):
    """Write the intervals of a region to out; return how many there are."""
    found = 0
    for i in range(n_modes):
        if edges[i, 0] >= edges[i, 1]:
            continue
        if found > 0 and edges[i, 0] <= out[found - 1, 1]:
            out[found - 1, 1] = edges[i, 1]
        else:
            out[found, 0], out[found, 1] = edges[i, 0], edges[i, 1]
            found += 1
    return found


@compiled
def regions(
    weights,
    means,
    scales,
    packed,
    lanes,
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
    `find_extrema`; edges (3, m, 2) with m of the most maxima is scratch; out (n, m, 2)
    is filled with intervals, found (n,) int64 with how many there are.
    """
    wide_vectors()
    for row in range(weights.shape[0]):
        n_modes = (counts[row] + 1) // 2
        for i in range(n_modes):
            edges[0, i, 0] = edges[0, i, 1] = np.nan  # no guesses yet
        used, unit = pack(weights[row], means[row], scales[row], packed)
        _solve(
            *(coverage, ends[row], extrema[row], heights[row], n_modes),
            *(packed, used, unit, lanes, edges),
        )
        found[row] = _join(edges[1], n_modes, out[row])
