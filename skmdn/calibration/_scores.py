# SPDX-License-Identifier: BSD-3-Clause
"""How well targets conform to predictions, and the ranks that promise coverage."""

import numpy as np
from scipy import special

from skmdn._distribution.quadrature import row_blocks

# Beyond +-38.5 the normal cdf is 0 or 1 in float64: such rows count as infinitely far.
_FARTHEST = 40.0
# Cumulated weights are compared with levels up to rounding.
_ROUNDING = 1e-12
# Nodes where densities are compared: in all, around every component (an odd number, to
# include its mean; an ensemble keeps a part of them), and how many scales away from it,
# since the targets of a bad model are in the tails.
_N_NODES, _FEWEST_NODES, _REACH = 512, 17, 12.0


def normal_scores(dist, y):
    """PIT values as quantiles of the normal distribution, precise in both tails."""
    lower, upper = special.ndtri(dist.cdf(y)), -special.ndtri(dist.sf(y))
    return np.clip(np.where(lower < 0, lower, upper), -_FARTHEST, _FARTHEST)


def conformal_quantile(scores, weight, unit, level):
    """Smallest calibration score that a new score exceeds with at most 1 - `level`.

    For equal weights that of rank ``ceil((n + 1) * level)``; infinite beyond the last.
    `unit` is the weight of the new row.
    """
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(weight[order]) / (weight.sum() + unit)
    rank = np.searchsorted(reached, level - _ROUNDING)
    return np.append(scores[order], np.inf)[rank]


def hpd_scores(dist, y):
    """Conformity to the density: P(pdf(Y) < pdf(y)), the mass that is less dense.

    The smallest highest-density region that holds y has the rest of the mass. Between
    nodes around every component the density is taken to be linear in the probability.

    Parameters
    ----------
    dist : MixtureDistribution
        One output.
    y : ndarray of shape (n_samples,)

    Returns
    -------
    scores : ndarray of shape (n_samples,)
        In [0, 1], small for improbable targets.
    """
    scores = np.empty(len(dist))
    n_nodes = max(_FEWEST_NODES, _N_NODES // dist.n_components | 1)
    z = np.linspace(-_REACH, _REACH, n_nodes)
    for rows in row_blocks(len(dist), n_nodes * dist.n_components):
        scores[rows] = _less_dense_mass(dist[rows], y[rows], z)
    return scores


def _less_dense_mass(dist, y, z):
    means = dist.means.reshape(dist.weights.shape)
    scales = dist.scales.reshape(dist.weights.shape)
    nodes = (means[:, :, None] + scales[:, :, None] * z).reshape(len(dist), -1)
    nodes.sort(axis=1)
    nodes = nodes[:, :: max(1, nodes.shape[1] // _N_NODES)]
    density = np.pad(dist.pdf(nodes), ((0, 0), (1, 1)))
    below = np.pad(dist.cdf(nodes), ((0, 0), (1, 1)), constant_values=(0, 1))
    above = np.pad(dist.sf(nodes), ((0, 0), (1, 1)), constant_values=(1, 0))
    # From the nearer tail: differences of numbers near 1 would be rounded away.
    lower = below[:, 1:] < 0.5
    mass = np.where(lower, np.diff(below, axis=1), -np.diff(above, axis=1))
    low = np.minimum(density[:, :-1], density[:, 1:])
    high = np.maximum(density[:, :-1], density[:, 1:])
    level = dist.pdf(y)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.clip((level - low) / (high - low), 0, 1)
    part = np.where(high > low, part, low < level)
    return np.clip(np.sum(part * mass, axis=1), 0, 1)
