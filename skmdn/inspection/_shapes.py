# SPDX-License-Identifier: BSD-3-Clause
"""What pictures ask of distributions: where to evaluate them, regions and modes."""

import numpy as np


def points_of(row, n_points, include=()):
    """Choose points to draw a density at: evenly, and more where it is concentrated.

    Parameters
    ----------
    row : MixtureDistribution
        One row, one output.
    n_points : int
        Points of each kind.
    include : array-like of float, default=()
        Further points.

    Returns
    -------
    points : ndarray of shape (at most 2 * n_points + len(include),)
        In increasing order.
    """
    low, high = row.ppf(0.002).item(), row.ppf(0.998).item()
    levels = (np.arange(n_points) + 0.5) / n_points
    include = np.ravel(include)
    concentrated = np.concatenate([row.ppf(levels)[0], include])
    low, high = np.min(include, initial=low), np.max(include, initial=high)
    return np.unique(np.concatenate([np.linspace(low, high, n_points), concentrated]))


def bulk_limits(lows, highs, y=None):
    """Limits of an axis that shows most, and that a few far rows do not rule.

    Everything, but at most half as far beyond as the middle half of the rows and 99 %
    of the observations span; with a margin.

    Parameters
    ----------
    lows, highs : array-like
        Quantiles of the rows; those that are not finite do not count.
    y : ndarray, default=None
        Observations.
    """
    lows, highs = (
        np.ravel(ends)[np.isfinite(np.ravel(ends))] for ends in (lows, highs)
    )
    y = np.empty(0) if y is None else y
    ends = []
    for sign, values in ((1, lows), (-1, highs)):
        seen = np.concatenate([sign * values, sign * y])
        bulk = [
            np.quantile(sign * part, at)
            for part, at in ((values, 0.25), (y, 0.005))
            if len(part)
        ]
        ends.append((seen.min(initial=np.inf), min(bulk, default=np.inf)))
    (lowest, low), (highest, high) = ends
    reach = 0.5 * (-high - low)
    low, high = max(lowest, low - reach), min(-highest, reach - high)
    if not low < high:
        return low - 1.0, high + 1.0
    margin = 0.05 * (high - low)
    return low - margin, high + margin


def pair_of_outputs(dist, targets):
    """Joint distribution of two outputs, the others integrated out.

    Raises
    ------
    ValueError
        If `targets` are not two different outputs.
    """
    valid = range(dist.n_outputs)
    pair = tuple(targets)
    if len(pair) != 2 or pair[0] == pair[1] or any(j not in valid for j in pair):
        raise ValueError(
            f"targets must be two different outputs, 0 to {dist.n_outputs - 1}; "
            f"got {targets!r}."
        )
    return dist.marginal(list(pair))


def mode_points(dist, least_mass):
    """Modes of all rows that hold enough probability: their rows, where they are."""
    modes, _, masses = dist.modes(return_mass=True)
    rows = np.repeat(np.arange(len(dist)), [len(found) for found in modes])
    enough = np.concatenate(masses) >= least_mass
    return rows[enough], np.concatenate(modes)[enough]
