# SPDX-License-Identifier: BSD-3-Clause
"""Integrals over mixtures that have no closed form."""

import numpy as np

# Panels end at these distances from every mean, in scales. Within one of them every
# density, and the logarithm of every density, is close to a polynomial.
_FINE = np.array([0.4, 0.9, 1.5, 2.2, 3.0, 3.8, 4.6, 5.4, 6.3, 7.2, 8.2, 9.5])
# The panels of hundreds of components cut one another short.
_COARSE = np.array([0.7, 1.5, 2.4, 3.5, 4.8, 6.6, 9.0])
_MANY_COMPONENTS = 48
_BLOCK = 1 << 20


def _panels(n_components):
    """Distances of panel ends from a mean, and nodes of a panel."""
    if n_components <= _MANY_COMPONENTS:
        steps, n_nodes = _FINE, 12
    else:
        steps, n_nodes = _COARSE, 6
    return np.concatenate([-steps[::-1], [0.0], steps]), n_nodes


def line_nodes(means, scales):
    """Gauss-Legendre nodes and weights for the whole line, on panels fit to every row.

    Parameters
    ----------
    means, scales : ndarray of shape (n, K)

    Returns
    -------
    nodes, node_weights : ndarray of shape (n, m)
    """
    steps, n_nodes = _panels(means.shape[1])
    edges = means[:, :, None] + scales[:, :, None] * steps
    edges = np.sort(edges.reshape(len(means), edges.shape[1] * edges.shape[2]), axis=1)
    x, w = np.polynomial.legendre.leggauss(n_nodes)
    half = 0.5 * (edges[:, 1:, None] - edges[:, :-1, None])
    nodes = edges[:, :-1, None] + half * (1 + x)
    shape = (len(means), (edges.shape[1] - 1) * n_nodes)
    return nodes.reshape(shape), (half * w).reshape(shape)


def row_blocks(n_rows, size_of_row):
    """Slices of rows such that a block has about a million numbers."""
    step = max(1, _BLOCK // max(size_of_row, 1))
    for start in range(0, n_rows, step):
        yield slice(start, start + step)


def line_size(n_components):
    """Nodes that `line_nodes` gives a row."""
    steps, n_nodes = _panels(n_components)
    return (n_components * len(steps) - 1) * n_nodes


def hermite_nodes(n_nodes, n_outputs):
    """Nodes (n_nodes**D, D) and weights of E[f(Z)], Z standard normal in R^D."""
    x, w = np.polynomial.hermite_e.hermegauss(n_nodes)
    w = w / w.sum()
    grids = np.meshgrid(*[x] * n_outputs, indexing="ij")
    products = np.meshgrid(*[w] * n_outputs, indexing="ij")
    nodes = np.stack([grid.ravel() for grid in grids], axis=-1)
    return nodes, np.prod([grid.ravel() for grid in products], axis=0)
