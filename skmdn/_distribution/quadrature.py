# SPDX-License-Identifier: BSD-3-Clause
"""Integrals over mixtures that have no closed form."""

import numpy as np

from skmdn._distribution.grid import dyadic_grid, grid_size

# Panels as wide as the scale of the narrowest component nearby: every density, and the
# logarithm of every density, is then close to a polynomial.
_SPACING, _REACH, _PANEL_NODES = 1.0, 9.5, 10
_BLOCK = 1 << 20


def line_nodes(means, scales):
    """Gauss-Legendre nodes and weights for the whole line, on panels fit to every row.

    Parameters
    ----------
    means, scales : ndarray of shape (n, K)

    Returns
    -------
    nodes, node_weights : ndarray of shape (n, m)
    """
    edges = dyadic_grid(means, scales, _SPACING, _REACH)
    x, w = np.polynomial.legendre.leggauss(_PANEL_NODES)
    half = 0.5 * (edges[:, 1:, None] - edges[:, :-1, None])
    nodes = edges[:, :-1, None] + half * (1 + x)
    shape = (len(means), (edges.shape[1] - 1) * _PANEL_NODES)
    return nodes.reshape(shape), (half * w).reshape(shape)


def row_blocks(n_rows, size_of_row):
    """Slices of rows such that a block has about a million numbers."""
    step = max(1, _BLOCK // max(size_of_row, 1))
    for start in range(0, n_rows, step):
        yield slice(start, start + step)


def line_size(n_components):
    """Nodes that `line_nodes` gives a row, at most."""
    return grid_size(n_components, _SPACING, _REACH) * _PANEL_NODES


def hermite_nodes(n_nodes, n_outputs):
    """Nodes (n_nodes**D, D) and weights of E[f(Z)], Z standard normal in R^D."""
    x, w = np.polynomial.hermite_e.hermegauss(n_nodes)
    w = w / w.sum()
    grids = np.meshgrid(*[x] * n_outputs, indexing="ij")
    products = np.meshgrid(*[w] * n_outputs, indexing="ij")
    nodes = np.stack([grid.ravel() for grid in grids], axis=-1)
    return nodes, np.prod([grid.ravel() for grid in products], axis=0)
