# SPDX-License-Identifier: BSD-3-Clause
"""Modes of several outputs, of any family: uphill along one output after the other.

Given the others, an output has a mixture of one output, whose maxima are known. The
components are products: where no step along an axis leads up, no direction does to
first order, with kinks or without.
"""

import numpy as np

from skmdn._distribution.general import logpdf
from skmdn._distribution.kinks import find_extrema, samples_of_row
from skmdn._distribution.quadrature import row_blocks

_MAX_ITER = 200
_CONVERGED, _SAME = 1e-11, 1e-3  # in units of the smallest scale


def modes_by_ascent(dist):
    """Modes of every row, see `skmdn._distribution.climb.modes_in_space`.

    The climbs start at the locations of the components.
    """
    size = dist.n_components**2 * samples_of_row(dist.marginal(0))
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
        moved = np.max(np.abs(second - start) / unit[going], axis=1)
        going = going[moved > _CONVERGED]
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
    line = dist.condition(others, y[:, others])
    places, _, counts = find_extrema(line)
    is_valley = np.arange(places.shape[1]) < counts[:, None]
    is_valley[:, ::2] = False
    passed = np.sum(is_valley & (places < y[:, d, None]), axis=1)
    return places[np.arange(len(y)), 2 * passed]


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
