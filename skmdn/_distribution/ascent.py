# SPDX-License-Identifier: BSD-3-Clause
"""Modes of several outputs, of any family: uphill along one output after the other.

Given the others, an output has a mixture of one output, with a next maximum uphill. The
components are products: where no step along an axis leads up, no direction does to
first order, with kinks or without.
"""

import numpy as np

from skmdn._distribution.general import Elements, logpdf
from skmdn._distribution.quadrature import row_blocks
from skmdn._families.roots import find_roots

_MAX_ITER = 200
_CONVERGED, _SAME = 1e-11, 1e-3  # in units of the smallest scale
_FIRST, _GROWTH = 0.05, 1.5  # the steps of a climb, the first in scales
_ROUNDING = 1e-15  # moves that are less, relative to the place, cannot be told
_BESIDE = 1e-4  # scales: as far from a point of no slope the sides are looked at
_DIFFERENCE = 1e-5  # of a bracket: what the slope's derivative is taken over


def modes_by_ascent(dist):
    """Modes of every row, see `skmdn._distribution.climb.modes_in_space`.

    The climbs start at the locations of the components.
    """
    size = dist.n_components**2 * dist.n_outputs
    locations, densities, masses = [], [], []
    for rows in row_blocks(len(dist), size):
        part = dist[rows]
        means, unit = part._with_axis_of_outputs()[1:]
        ends = _climb(part, means.copy(), unit.min(axis=1))
        heights = logpdf(part, ends)
        for row in zip(part.weights, ends, heights, unit.min(axis=1), strict=True):
            found = _distinct(*row)
            for values, new in zip((locations, densities, masses), found, strict=True):
                values.append(new)
    return locations, densities, masses


def _climb(dist, y, unit):
    """Climb from points (n, K, D) until no output moves."""
    n, n_starts, n_outputs = y.shape
    rows = np.repeat(np.arange(n), n_starts)
    y, unit = y.reshape(-1, n_outputs), unit[rows]
    going = np.arange(len(y))
    for _ in range(_MAX_ITER):
        line = dist[rows[going]]
        start = y[going]
        first = _sweep(line, start)
        second = _sweep(line, first)
        y[going] = _leap(line, start, first, second)
        least = np.maximum(_CONVERGED * unit[going], _ROUNDING * np.abs(second))
        going = going[np.any(np.abs(second - start) > least, axis=1)]
        if not len(going):
            break
    return y.reshape(n, n_starts, n_outputs)


def _sweep(dist, y):
    """Uphill along one output after the other, from points (m, D), a row each."""
    y = y.copy()
    for d in range(y.shape[1]):
        y[:, d] = _uphill(dist, y, d)
    return y


def _leap(dist, start, first, second):
    """Where steps that shrink at this rate lead in the end, if that is higher.

    On ridges along no axis they shrink slowly (A. C. Aitken, 1926).
    """
    before, step = first - start, second - first
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.sum(before * step, axis=1) / np.sum(before**2, axis=1)
    rate = np.where((rate > 0) & (rate < 1), rate, 0.0)
    end = second + step * (rate / (1 - rate))[:, None]
    higher = logpdf(dist, end[:, None]) > logpdf(dist, second[:, None])
    return np.where(higher, end, second)


def _uphill(dist, y, d):
    """Maximum along output d that is uphill from each point (m, D), a row each."""
    others = [j for j in range(dist.n_outputs) if j != d]
    return _Line(dist.condition(others, y[:, others]), y[:, d]).top()


class _Line:
    """A climb along one output from a start in every row, to the first maximum.

    Steps grow from a part of a scale and stop at every location, where kinks are, until
    the slope has turned or the density fallen below that of the start.
    """

    def __init__(self, dist, start):
        self.elements = Elements(dist)
        # Of equal locations the first one found is to be that of the narrowest.
        order = np.argsort(dist.scales, axis=1, kind="stable")
        self.locations = np.take_along_axis(dist.means, order, axis=1)
        self.scales = np.take_along_axis(dist.scales, order, axis=1)
        self.start = start
        rows = np.arange(len(start))
        self.floor = self.elements.height_and_slope(rows, start)[0]
        shares = np.exp(self.elements.log_terms(rows, start[None]) - self.floor)
        self.pace = 1 / np.sum(shares / self.elements.scales[:, 0], axis=0)
        self.ahead = self._uphill_side(rows)

    def _uphill_side(self, rows):
        """On which side of the start it is uphill: 1, -1, or 0 for neither."""
        beside = np.maximum(_BESIDE * self.pace, 2 * np.spacing(np.abs(self.start)))
        ahead = np.zeros(len(rows))
        for step, side in ((0.0, 1.0), (beside, 0.0)):  # else on the floor of a valley
            right = self.elements.slope(rows, self.start + step, side) > 0
            left = self.elements.slope(rows, self.start - step, -side) < 0
            ahead = np.where(ahead == 0, np.where(right, 1.0, -1.0 * left), ahead)
        return ahead

    def top(self):
        """Places of the maxima."""
        rows = np.flatnonzero(self.ahead)
        low, high = self._bracket(rows)
        end, is_inside = high.copy(), self._is_passed(rows, high, side=-1)
        end[is_inside] = self._turn(rows[is_inside], low[is_inside], high[is_inside])
        # Of two neighbouring numbers one may be far below.
        height = self.elements.height_and_slope(rows, end)[0]
        top = self.start.copy()
        top[rows] = np.where(height < self.floor[rows], low, end)
        return top

    def _is_passed(self, rows, x, side=1):
        """Whether there is a maximum between the start and what is just behind x."""
        ahead = self.ahead[rows]
        height, slope = self.elements.height_and_slope(rows, x, side * ahead)
        return (height < self.floor[rows]) | (ahead * slope <= 0)

    def _bracket(self, rows):
        """Two places between which, or at the second of which, there is a maximum."""
        low, step = self.start[rows], _FIRST * self.pace[rows]
        high, going = low.copy(), np.arange(len(rows))
        while len(going):
            row = rows[going]
            x, step[going] = self._next(row, low[going], step[going])
            is_passed = self._is_passed(row, x)
            high[going[is_passed]] = x[is_passed]
            going, x = going[~is_passed], x[~is_passed]
            low[going] = x
        return low, high

    def _next(self, rows, x, step):
        """The place a step away or the next location, and the step from there."""
        ahead = self.ahead[rows]
        gaps = ahead[:, None] * (self.locations[rows] - x[:, None])
        gaps = np.where(gaps > 0, gaps, np.inf)
        nearest = np.argmin(gaps, axis=1)
        each = np.arange(len(rows))
        is_there = gaps[each, nearest] <= step
        return (
            np.where(is_there, self.locations[rows, nearest], x + ahead * step),
            np.where(is_there, _FIRST * self.scales[rows, nearest], _GROWTH * step),
        )

    def _turn(self, rows, low, high):
        """Where the slope turns between low and high."""
        step = _DIFFERENCE * np.abs(high - low)

        def descent(x, which):
            row = rows[which]
            height, slope = self.elements.height_and_slope(row, x)
            beside = self.elements.slope(row, x + step[which])
            is_low = height < self.floor[row]
            value = np.where(is_low, self.ahead[row], -slope)
            return value, np.where(is_low, np.nan, (slope - beside) / step[which])

        left, right = np.sort([low, high], axis=0)
        return find_roots(descent, left, right, 0.5 * left + 0.5 * right)


def _distinct(weights, ends, heights, unit):
    """Ends of climbs that are one, highest first, with their densities and masses."""
    kept, masses = [], []
    for i in np.argsort(-heights, kind="stable"):
        if weights[i] == 0:
            continue
        near = [
            m
            for m, j in enumerate(kept)
            if np.max(np.abs(ends[i] - ends[j]) / unit) < _SAME
        ]
        if near:
            masses[near[0]] += weights[i]
        else:
            kept.append(i)
            masses.append(weights[i])
    with np.errstate(over="ignore", under="ignore"):
        return ends[kept], np.exp(heights[kept]), np.array(masses)
