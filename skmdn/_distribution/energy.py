# SPDX-License-Identifier: BSD-3-Clause
"""Mean Euclidean distances of mixtures of several outputs."""

import numpy as np

from skmdn._distribution.kernels import energy

_NODES = np.stack([energy.T, energy.WEIGHT])


def distance_to_points(dist, points):
    """E||Y - y|| at points (n or 1, m, D); (n, m)."""
    out = np.empty((len(dist), points.shape[1]))
    energy.distance_to_points(*_parameters(dist), points, _NODES, out, *_scratch(dist))
    return out


def distance_within(dist):
    """E||Y - Y'|| of every row, Y' independent of Y and alike."""
    out = np.empty(len(dist))
    energy.distance_within(*_parameters(dist), _NODES, out, *_scratch(dist))
    return out


def _parameters(dist):
    return [np.require(a, requirements="CW") for a in dist._with_axis_of_outputs()]


def _scratch(dist):
    return np.empty((3, energy.N_NODES)), np.empty((2, dist.n_outputs))
