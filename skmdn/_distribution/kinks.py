# SPDX-License-Identifier: BSD-3-Clause
"""Extrema and highest-density regions of one output, for densities with kinks.

A component has one peak, at its location, where the density may have a kink. Between
locations the density is smooth, and the slope changes its sign at an extremum: between
two of many points fit to every component, then narrowed down by Newton's method.
Between extrema the density is monotone.
"""

import numpy as np

from skmdn._distribution.general import Elements, edges_of, logpdf
from skmdn._distribution.quadrature import row_blocks
from skmdn._distribution.standard import standard_of
from skmdn._families.roots import find_roots

_PIECES = 4  # of a panel, at whose ends the slope is looked at
# Golden sections narrow two pieces down to 1e-6 of them.
_SECTION, _N_SECTIONS = 0.5 * (np.sqrt(5) - 1), 30
_DIFFERENCE = 1e-5  # of a bracket: what the slope's derivative is taken over


def samples_of_row(dist):
    """Points that `find_extrema` looks at in a row, at most."""
    n_edges = len(standard_of(dist.family).edges)
    return dist.n_components * (2 + _PIECES * n_edges)


def find_extrema(dist):
    """Maximum, minimum, ..., maximum of every row, from left to right.

    Returns
    -------
    places, heights : ndarray of shape (n, m)
        Where they are, and the log-density there.
    counts : ndarray of shape (n,)
        How many there are in the row.
    """
    elements, samples = Elements(dist), _Samples(dist)
    samples.fill_in(elements)
    rows, at, sign = samples.dips()
    if len(rows):
        samples.add(rows, _deepest(elements, rows, *at, sign), elements)
    rows, low, high, sign = samples.turns()
    found = _turning_points(elements, rows, low, high, sign)
    counts = np.bincount(rows, minlength=len(dist))
    places = np.zeros((len(dist), counts.max(initial=1)))
    number = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    places[rows, number] = found
    return places, logpdf(dist, places[..., None]), counts


class _Samples:
    """Sorted points of every row, and the slope of the log-density there."""

    def __init__(self, dist):
        edges = edges_of(dist)
        share = np.arange(_PIECES) / _PIECES
        inner = edges[:, :-1, None] + np.diff(edges, axis=1)[..., None] * share
        inner = inner.reshape(len(dist), _PIECES * (edges.shape[1] - 1))
        # Every location twice: as the end of what is left of it, and of what is right.
        self.x = np.concatenate([inner, edges[:, -1:], dist.means, dist.means], axis=1)
        side = np.repeat(
            [0.0, -1.0, 1.0], [inner.shape[1] + 1, *[dist.n_components] * 2]
        )
        self.side = np.broadcast_to(side, self.x.shape)
        self.slope = None

    def fill_in(self, elements):
        """Sort the points and find the slopes."""
        order = np.lexsort((self.side, self.x), axis=1)
        self.x, self.side = (
            np.take_along_axis(a, order, axis=1) for a in (self.x, self.side)
        )
        rows = np.repeat(np.arange(len(self.x)), self.x.shape[1])
        slope = elements.slope(rows, self.x.reshape(1, -1), self.side.ravel())
        self.slope = slope.reshape(self.x.shape)

    def add(self, rows, x, elements):
        """Put in more points."""
        counts = np.bincount(rows, minlength=len(self.x))
        number = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        more = np.repeat(self.x[:, -1:], counts.max(), axis=1)
        more[rows, number] = x
        self.x = np.concatenate([self.x, more], axis=1)
        self.side = np.concatenate([self.side, np.zeros_like(more)], axis=1)
        self.fill_in(elements)

    def dips(self):
        """Rows, ends and signs where the slope may leave 0 again, or pass it twice."""
        size, sign = np.abs(self.slope), np.sign(self.slope)
        is_dip = np.zeros(self.x.shape, dtype=bool)
        left, right = np.maximum(size[:, :-2], 0), size[:, 2:]
        is_dip[:, 1:-1] = (
            (size[:, 1:-1] <= np.minimum(left, right))
            & (size[:, 1:-1] < 0.9 * np.maximum(left, right))
            & (sign[:, :-2] == sign[:, 1:-1])
            & (sign[:, 2:] == sign[:, 1:-1])
        )
        rows, columns = np.nonzero(is_dip)
        ends = self.x[rows, columns - 1], self.x[rows, columns + 1]
        return rows, ends, sign[rows, columns]

    def turns(self):
        """Rows, ends and signs (before) of where the slope changes its sign."""
        sign = np.sign(self.slope)
        sign[:, 0], sign[:, -1] = 1.0, -1.0
        known = np.where(sign != 0, np.arange(sign.shape[1]), 0)
        last = np.maximum.accumulate(known, axis=1)
        before = np.take_along_axis(sign, last[:, :-1], axis=1)
        rows, columns = np.nonzero(before * sign[:, 1:] < 0)
        low = self.x[rows, last[rows, columns]]
        return rows, low, self.x[rows, columns + 1], before[rows, columns]


def _two_slopes(elements, rows, a, b):
    """Slopes at two points of the same rows."""
    slopes = elements.slope(np.tile(rows, 2), np.concatenate([a, b])[None])
    return np.split(slopes, 2)


def _deepest(elements, rows, low, high, sign):
    """Where the slope, of one sign at both ends, is closest to 0, or of another sign.

    J. Kiefer, "Sequential minimax search for a maximum", Proc. AMS 4, 1953.
    """
    for _ in range(_N_SECTIONS):
        width = (high - low) * _SECTION
        a, b = high - width, low + width
        f_a, f_b = (sign * slope for slope in _two_slopes(elements, rows, a, b))
        at, is_other = np.where(f_a < f_b, a, b), np.minimum(f_a, f_b) < 0
        low = np.where(is_other, at, np.where(f_a < f_b, low, a))
        high = np.where(is_other, at, np.where(f_a < f_b, b, high))
        if np.all(is_other):
            break
    return at


def _turning_points(elements, rows, low, high, sign):
    """Where the slope turns from a sign to the other one."""
    step = _DIFFERENCE * (high - low)

    def turned(y, which):
        at, beside = _two_slopes(elements, rows[which], y, y + step[which])
        return -sign[which] * at, -sign[which] * (beside - at) / step[which]

    return find_roots(turned, low, high, low)


def modes_on_line(dist):
    """See `skmdn._distribution.extrema.modes_on_line`."""
    locations, densities, masses = [], [], []
    for part, places, heights, counts in _blocks(dist):
        for row, (x, height, count) in enumerate(
            zip(places, heights, counts, strict=True)
        ):
            valleys = np.concatenate([[-np.inf], x[1:count:2], [np.inf]])
            locations.append(x[:count:2].copy())
            densities.append(np.exp(height[:count:2]))
            masses.append(part[row].prob(valleys[None, :-1], valleys[None, 1:])[0])
    return locations, densities, masses


def highest_modes(dist):
    """Place of the highest mode of every row."""
    highest = []
    for _, places, heights, counts in _blocks(dist):
        is_none = np.arange(heights.shape[1]) >= counts[:, None]
        best = np.argmax(np.where(is_none, -np.inf, heights), axis=1)
        highest.append(places[np.arange(len(best)), best])
    return np.concatenate([np.empty(0), *highest])


def highest_density_regions(dist, coverage):
    """Intervals (n_intervals, 2) of every row, as a list of arrays."""
    found = []
    for part, places, heights, counts in _blocks(dist):
        found += _Pieces(part, places, heights, counts).regions(coverage)
    return found


def _blocks(dist):
    """Yield, for blocks of rows: their distribution and its extrema."""
    for rows in row_blocks(len(dist), dist.n_components * samples_of_row(dist)):
        yield dist[rows], *find_extrema(dist[rows])


class _Pieces:
    """Monotone pieces of the densities of all rows: rising, falling, ..., falling."""

    def __init__(self, dist, places, heights, counts):
        self.elements = Elements(dist)
        edges = edges_of(dist)
        n, n_pieces = len(dist), places.shape[1] + 1
        self.ends = np.concatenate([edges[:, :1], places, edges[:, -1:]], axis=1)
        # Behind the last extremum of a row comes the far end, and then nothing.
        number = np.arange(n_pieces + 1)
        is_end = number > counts[:, None]
        self.ends = np.where(is_end, edges[:, -1:], self.ends)
        self.heights = logpdf(dist, self.ends[..., None])
        inner = ~is_end
        inner[:, 0] = False
        self.heights[inner] = heights[inner[:, 1:-1]]
        self.is_known = number <= counts[:, None] + 1
        self.x = 0.5 * self.ends[:, :-1] + 0.5 * self.ends[:, 1:]
        self.is_crossed = np.zeros((n, n_pieces), dtype=bool)
        self.rises = np.where(np.arange(n_pieces) % 2 == 0, 1.0, -1.0)

    def regions(self, coverage):
        """Intervals of every row, as a list: the lower the level, the more mass."""

        def excess(depth, rows):
            return self._excess(-depth, rows, coverage)

        known = {"axis": 1, "where": self.is_known}
        lowest = self.heights.min(**known, initial=np.inf)
        highest = self.heights.max(**known, initial=-np.inf)
        depth = find_roots(excess, -highest, -lowest, 1.0 - highest)
        self._excess(-depth, np.arange(len(depth)), coverage)
        both = zip(self.x, self.is_crossed, strict=True)
        return [x[is_crossed].reshape(-1, 2) for x, is_crossed in both]

    def _excess(self, level, rows, coverage):
        """Mass above the log-level minus the coverage; derivative by its fall."""
        left, right = self.heights[rows, :-1], self.heights[rows, 1:]
        at = level[:, None]
        self.is_crossed[rows] = is_crossed = (np.minimum(left, right) < at) & (
            at <= np.maximum(left, right)
        )
        i, j = np.nonzero(is_crossed)
        row, sign = rows[i], self.rises[j]

        def height(y, which):
            r, up = row[which], sign[which]
            value = self.elements.log_density(r, y[None]) - level[i[which]]
            return up * value, up * self.elements.slope(r, y[None])

        x = find_roots(height, self.ends[row, j], self.ends[row, j + 1], self.x[row, j])
        self.x[row, j] = x
        masses = -sign * self.elements.tail(row, x)
        with np.errstate(divide="ignore"):
            gains = np.exp(level[i]) / np.abs(self.elements.slope(row, x[None]))
        mass = np.bincount(i, masses, len(rows)) - coverage
        return mass, np.bincount(i, gains, len(rows))
