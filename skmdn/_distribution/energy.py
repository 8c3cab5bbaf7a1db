# SPDX-License-Identifier: BSD-3-Clause
"""Mean Euclidean distances of mixtures of several outputs.

Lengths do not change when vectors are turned: of correlated components each is seen
along the principal axes of its covariance, where its entries are independent.
"""

import numpy as np

from skmdn._distribution.joint import lower_triangles
from skmdn._distribution.kernels import energy
from skmdn._distribution.quadrature import row_blocks
from skmdn._distribution.triangular import row_norms

_NODES = np.stack([energy.T, energy.WEIGHT])


def distance_to_points(dist, points):
    """E||Y - y|| at points (n or 1, m, D); (n, m)."""
    if dist._factors is None:
        return _to_points(*dist._with_axis_of_outputs(), points)
    total = np.zeros((len(dist), points.shape[1]))
    lower = lower_triangles(dist)
    for k in range(dist.n_components):
        axes, scales = _principal(lower[:, k])
        away = (points - dist.means[:, None, k]) @ axes
        alone = dist.weights[:, k, None], np.zeros((len(dist), 1, dist.n_outputs))
        total += _to_points(*alone, scales[:, None], away)
    return total


def distance_within(dist):
    """E||Y - Y'|| of every row, Y' independent of Y and alike."""
    out = np.empty(len(dist))
    if dist._factors is None:
        parameters = _writable(dist._with_axis_of_outputs())
        energy.distance_within(*parameters, _NODES, out, *_scratch(dist.n_outputs))
        return out
    n_components, n_outputs = dist.means.shape[1:]
    i, j = np.tril_indices(n_components)
    twice = np.where(i == j, 1.0, 2.0)
    for rows in row_blocks(len(dist), 4 * len(i) * n_outputs**2):
        part = dist[rows]
        lower = lower_triangles(part)
        axes, scales = _principal(np.concatenate([lower[:, i], lower[:, j]], axis=-1))
        apart = (part.means[:, i] - part.means[:, j])[:, :, None] @ axes
        both = twice * part.weights[:, i] * part.weights[:, j]
        origin = np.zeros((1, 1, n_outputs))
        out[rows] = _to_points(both, apart[:, :, 0], scales, origin)[:, 0]
    return out


def _principal(rows):
    """Principal axes (..., D, D), in columns, and scales of covariances G G'."""
    unit = row_norms(rows)[0].max(axis=-1)[..., None]
    axes, scales, _ = np.linalg.svd(rows / unit[..., None], full_matrices=False)
    return axes, np.maximum(scales, np.finfo(float).tiny) * unit


def _to_points(weights, means, scales, points):
    points = np.require(points, requirements="CW")
    out, n_outputs = np.empty((len(weights), points.shape[1])), means.shape[2]
    parameters = _writable((weights, means, scales))
    energy.distance_to_points(*parameters, points, _NODES, out, *_scratch(n_outputs))
    return out


def _writable(arrays):
    return [np.require(a, requirements="CW") for a in arrays]


def _scratch(n_outputs):
    return np.empty((3, energy.N_NODES)), np.empty((2, n_outputs))
