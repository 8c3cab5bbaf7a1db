# SPDX-License-Identifier: BSD-3-Clause
"""Modes and highest-density regions of one output, for many rows."""

import numpy as np

from skmdn._distribution import kinks
from skmdn._distribution.kernels import extrema, regions
from skmdn._distribution.quadrature import row_blocks

_FARTHEST = 80.0  # scales; exp(-z^2 / 2) is below any ratio of float64 heights
_DEEPEST = 2200  # halvings of the longest line down to the smallest float64


def extrema_blocks(dist):
    """Yield, for blocks of rows: rows, what kernels take, places, heights, counts.

    What kernels take: weights, means and scales, and their scratch.
    """
    size = 4 * dist.n_components + 8
    padded = -(-dist.n_components // extrema.LANES) * extrema.LANES
    scratch = np.empty((4, padded)), np.empty((6, extrema.LANES))
    stack = np.empty((_DEEPEST, 3))
    for rows in row_blocks(len(dist), 2 * size):
        parameters = dist.weights[rows], dist.means[rows], dist.scales[rows]
        places = np.empty((len(parameters[0]), size))
        heights, counts = np.empty_like(places), np.empty(len(places), dtype=np.int64)
        extrema.find_extrema(*parameters, *scratch, stack, places, heights, counts)
        yield rows, (*parameters, *scratch), places, heights, counts


def modes_on_line(dist):
    """Places, densities and masses of the modes of every row, as lists of arrays."""
    if dist.family != "gaussian":
        return kinks.modes_on_line(dist)
    locations, densities, masses = [], [], []
    for _, parameters, places, heights, counts in extrema_blocks(dist):
        numbers = (counts + 1) // 2
        most = numbers.max(initial=1)
        edges = np.full((len(counts), most + 1), np.inf)
        edges[:, 0] = -np.inf
        valleys = places[:, 1 : 2 * most - 1 : 2]
        known = np.arange(most - 1) < (numbers - 1)[:, None]
        edges[:, 1:-1][known] = valleys[known]
        mass = np.empty((len(counts), most))
        extrema.masses(*parameters, edges, numbers, mass)
        for row, number in enumerate(numbers):
            locations.append(places[row, : 2 * number : 2].copy())
            with np.errstate(over="ignore", under="ignore"):
                densities.append(np.exp(heights[row, : 2 * number : 2]))
            masses.append(mass[row, :number].copy())
    return locations, densities, masses


def highest_modes(dist):
    """Place of the highest mode of every row."""
    if dist.family != "gaussian":
        return kinks.highest_modes(dist)
    highest = np.empty(len(dist))
    for rows, _, places, heights, counts in extrema_blocks(dist):
        outside = np.arange(heights.shape[1]) >= counts[:, None]
        best = np.argmax(np.where(outside, -np.inf, heights), axis=1)
        highest[rows] = places[np.arange(len(best)), best]
    return highest


def highest_density_regions(dist, coverage):
    """Intervals (n_intervals, 2) of every row, as a list of arrays."""
    if dist.family != "gaussian":
        return kinks.highest_density_regions(dist, coverage)
    found = []
    for _, parameters, places, heights, counts in extrema_blocks(dist):
        weights, means, scales = parameters[:3]
        most = (counts.max(initial=1) + 1) // 2
        ends = np.stack(_ends(weights, means, scales), axis=1)
        edges = np.empty((3, most, 2))
        out, numbers = np.empty((len(counts), most, 2)), np.empty_like(counts)
        regions.regions(
            *(*parameters, coverage, ends),
            *(places, heights, counts, edges, out, numbers),
        )
        found += [
            intervals[:number].copy()
            for intervals, number in zip(out, numbers, strict=True)
        ]
    return found


def _ends(weights, means, scales):
    """Ends of a line that holds all mass of every row."""
    largest, used = np.finfo(np.float64).max, weights > 0
    with np.errstate(over="ignore"):
        low = np.where(used, means - _FARTHEST * scales, np.inf).min(axis=1)
        high = np.where(used, means + _FARTHEST * scales, -np.inf).max(axis=1)
    # At least the next number, where scales are below the resolution.
    low, high = np.nextafter(low, -np.inf), np.nextafter(high, np.inf)
    return np.maximum(low, -largest), np.minimum(high, largest)
