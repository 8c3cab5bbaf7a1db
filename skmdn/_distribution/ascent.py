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
    y = y.reshape(-1, n_outputs)
    going = np.arange(len(y))
    for _ in range(_MAX_ITER):
        before = y[going]
        for d in range(n_outputs):
            y[going, d] = _uphill(dist[rows[going]], y[going], d)
        moved = np.abs(y[going] - before) / unit[rows[going]]
        going = going[np.max(moved, axis=1, initial=0.0) > _CONVERGED]
        if not len(going):
            break
    return y.reshape(n, n_starts, n_outputs)


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
