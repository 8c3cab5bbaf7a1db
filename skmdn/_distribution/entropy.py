# SPDX-License-Identifier: BSD-3-Clause
"""Entropy of mixtures of one output, by quadrature."""

import numpy as np

from skmdn._distribution import evaluate
from skmdn._distribution.quadrature import line_nodes

# Scales below this part of their distance from an origin: nodes given from there are
# too coarse for them.
_RESOLVED = 1e-5
_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


def line_entropy(weights, means, scales):
    """Entropy of every row of weights, means and scales (n, K)."""
    rows = np.arange(len(weights))
    means = means - means[rows, np.argmax(weights, axis=1)][:, None]
    nodes, node_weights = line_nodes(means, scales)
    log_density = evaluate.logpdf_of(weights, means, scales, nodes)
    entropy = np.sum(node_weights * _surprise(log_density), axis=1)
    coarse = np.any(scales < _RESOLVED * np.abs(means), axis=1)
    for row in np.flatnonzero(coarse):
        entropy[row] = _entropy_in_frames(weights[row], means[row], scales[row])
    return entropy


def _surprise(log_density):
    density = np.exp(log_density)
    return np.where(density > 0, -density * log_density, 0.0)


def _entropy_in_frames(weights, means, scales):
    """Entropy where scales are beyond the resolution of float64 numbers at their means.

    From the mean of the narrowest component nodes resolve all components but those that
    are narrow and far. These come in later frames with origins of their own, where they
    add to the integrand what they change in it.
    """
    entropy, waiting = 0.0, weights > 0
    log_factor = np.log(weights) - np.log(scales) - _HALF_LOG_2PI
    known = np.zeros(len(weights), dtype=bool)
    while np.any(waiting):
        narrowest = np.argmin(np.where(waiting, scales, np.inf))
        offsets = means - means[narrowest]
        frame = waiting & (scales > _RESOLVED * np.abs(offsets))
        nodes, node_weights = line_nodes(offsets[None, frame], scales[None, frame])

        def log_sum(members, nodes=nodes[0], offsets=offsets):
            total = np.full(len(nodes), -np.inf)
            for k in np.flatnonzero(members):
                z = (nodes - offsets[k]) / scales[k]
                total = np.logaddexp(total, log_factor[k] - 0.5 * z * z)
            return total

        before = log_sum(known)
        after = np.logaddexp(before, log_sum(frame))
        entropy += node_weights[0] @ (_surprise(after) - _surprise(before))
        known, waiting = known | frame, waiting & ~frame
    return entropy
