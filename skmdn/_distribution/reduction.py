# SPDX-License-Identifier: BSD-3-Clause
"""Fewer components for many rows."""

import numpy as np

from skmdn._distribution.evaluate import standard_moments
from skmdn._distribution.kernels import reduction


def merge_components(dist, k):
    """Weights (n, k), locations and scales (n, k, D) of k components.

    They are merged by their means and standard deviations, whatever the family.
    """
    mean, std, _, _ = standard_moments(dist)
    weights, means, scales = dist._with_axis_of_outputs()
    weights, means, scales = weights.copy(), means + mean * scales, scales * std
    n_components = weights.shape[1]
    packed = np.empty((reduction.packed_rows(means.shape[2]), n_components))
    cost, values = np.empty((2, n_components))
    partner = np.empty(n_components, dtype=np.int64)
    reduction.reduce(weights, means, scales, k, packed, cost, partner, values)
    scales = scales[:, :k] / std
    return weights[:, :k], means[:, :k] - scales * mean, scales
