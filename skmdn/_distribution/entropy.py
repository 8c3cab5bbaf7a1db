# SPDX-License-Identifier: BSD-3-Clause
"""Entropy of mixtures of one output, by quadrature."""

import numpy as np

from skmdn._distribution import evaluate
from skmdn._distribution.general import edges_of
from skmdn._distribution.quadrature import line_nodes
from skmdn._distribution.standard import nodes_between

# Scales below this part of their distance from an origin: nodes given from there are
# too coarse for them.
_RESOLVED = 1e-5


def line_entropy(dist):
    """Entropy of every row."""
    rows = np.arange(len(dist))
    origin = dist.means[rows, np.argmax(dist.weights, axis=1)]
    dist = dist._replace(means=dist.means - origin[:, None])
    nodes, node_weights = _nodes(dist)
    log_density = evaluate.logpdf(dist, nodes[..., None])
    entropy = np.sum(node_weights * _surprise(log_density), axis=1)
    coarse = np.any(dist.scales < _RESOLVED * np.abs(dist.means), axis=1)
    for row in np.flatnonzero(coarse):
        entropy[row] = _entropy_in_frames(dist[row])
    return entropy


def _nodes(dist):
    """Nodes and weights for the whole line of every row."""
    if evaluate.is_gaussian(dist):
        return line_nodes(dist.means, dist.scales)
    return nodes_between(edges_of(dist))


def _surprise(log_density):
    density = np.exp(log_density)
    return np.where(density > 0, -density * log_density, 0.0)


def _entropy_in_frames(dist):
    """Entropy of a row with scales beyond the resolution of float64 at their means.

    From the mean of the narrowest component nodes resolve all components but those that
    are narrow and far. These come in later frames with origins of their own, where they
    add to the integrand what they change in it.
    """
    means, scales = dist.means[0], dist.scales[0]
    entropy, waiting = 0.0, dist.weights[0] > 0
    known = np.zeros(len(waiting), dtype=bool)
    while np.any(waiting):
        narrowest = np.argmin(np.where(waiting, scales, np.inf))
        offsets = means - means[narrowest]
        frame = waiting & (scales > _RESOLVED * np.abs(offsets))

        def part(members, offsets=offsets):
            return dist._replace(
                weights=dist.weights[:, members],
                means=offsets[None, members],
                scales=dist.scales[:, members],
            )

        nodes, node_weights = _nodes(part(frame))
        before = np.full(nodes.shape, -np.inf)
        if np.any(known):
            before = evaluate.logpdf(part(known), nodes[..., None])
        known, waiting = known | frame, waiting & ~frame
        after = evaluate.logpdf(part(known), nodes[..., None])
        entropy += node_weights[0] @ (_surprise(after) - _surprise(before))[0]
    return entropy
