# SPDX-License-Identifier: BSD-3-Clause
"""Modes and highest-density regions of one output, for many rows."""

import numpy as np

from skmdn._distribution.grid import dyadic_grid, grid_size
from skmdn._distribution.quadrature import row_blocks
from skmdn._kernels import regions

_SPACING, _REACH = 0.5, 8.0  # where to look at the slope of a density, in scales
_FARTHEST = 30.0  # scales beyond which there is no mass, yet a density


def extrema_blocks(dist):
    """Yield, for blocks of rows: rows, parameters, places, log-densities, counts."""
    size = grid_size(dist.n_components, _SPACING, _REACH)
    for rows in row_blocks(len(dist), size):
        weights, means, scales = dist.weights[rows], dist.means[rows], dist.scales[rows]
        with np.errstate(divide="ignore"):
            factors = np.log(weights) - np.log(scales)
        grid = dyadic_grid(means, scales, _SPACING, _REACH)
        places = np.empty((len(means), 2 * grid.shape[1]))
        heights, counts = np.empty_like(places), np.empty(len(means), dtype=np.int64)
        regions.find_extrema(factors, means, scales, grid, places, heights, counts)
        yield rows, (weights, factors, means, scales), places, heights, counts


def modes_on_line(dist):
    """Places, densities and masses of the modes of every row, as lists of arrays."""
    locations, densities, masses = [], [], []
    for _, parameters, places, heights, counts in extrema_blocks(dist):
        weights, _, means, scales = parameters
        numbers = (counts + 1) // 2
        most = numbers.max(initial=1)
        edges = np.full((len(counts), most + 1), np.inf)
        edges[:, 0] = -np.inf
        valleys = places[:, 1 : 2 * most - 1 : 2]
        known = np.arange(most - 1) < (numbers - 1)[:, None]
        edges[:, 1:-1][known] = valleys[known]
        mass = np.empty((len(counts), most))
        regions.masses(weights, means, scales, edges, numbers, mass)
        for row, number in enumerate(numbers):
            locations.append(places[row, : 2 * number : 2].copy())
            densities.append(np.exp(heights[row, : 2 * number : 2]))
            masses.append(mass[row, :number].copy())
    return locations, densities, masses


def highest_modes(dist):
    """Place of the highest mode of every row."""
    highest = np.empty(len(dist))
    for rows, _, places, heights, counts in extrema_blocks(dist):
        outside = np.arange(heights.shape[1]) >= counts[:, None]
        best = np.argmax(np.where(outside, -np.inf, heights), axis=1)
        highest[rows] = places[np.arange(len(best)), best]
    return highest


def highest_density_regions(dist, coverage):
    """Intervals (n_intervals, 2) of every row, as a list of arrays."""
    found = []
    for _, parameters, places, heights, counts in extrema_blocks(dist):
        weights, factors, means, scales = parameters
        half = (counts.max(initial=1) + 1) // 2 + 1
        ends = np.stack(
            [
                np.min(means - _FARTHEST * scales, axis=1),
                np.max(means + _FARTHEST * scales, axis=1),
            ],
            axis=1,
        )
        edges = np.empty((2 * half, 2))
        out, numbers = np.empty((len(counts), half, 2)), np.empty_like(counts)
        regions.regions(
            *(weights, factors, means, scales, coverage, ends),
            *(places, heights, counts, edges, out, numbers),
        )
        found += [
            intervals[:number].copy()
            for intervals, number in zip(out, numbers, strict=True)
        ]
    return found
