# SPDX-License-Identifier: BSD-3-Clause
"""Fewer components for many rows."""

import numpy as np

from skmdn._distribution.kernels import reduction


def merge_components(weights, means, scales, k):
    """Reduce weights (n, K) and means, scales (n, K, D) to k components."""
    weights, means, scales = weights.copy(), means.copy(), scales.copy(order="C")
    n_components = weights.shape[1]
    cost = np.empty(n_components)
    links = np.empty((2, n_components), dtype=np.int64)
    reduction.reduce(weights, means, scales, k, cost, links)
    return weights[:, :k], means[:, :k], scales[:, :k]
