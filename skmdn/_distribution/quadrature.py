# SPDX-License-Identifier: BSD-3-Clause
"""Integrals over mixtures that have no closed form."""

import numpy as np

from skmdn._distribution.general import edges_of
from skmdn._distribution.grid import dyadic_grid, grid_size
from skmdn._distribution.standard import N_NODES, nodes_between, standard_of

# Panels as wide as the scale of the narrowest component nearby: every density, and the
# logarithm of every density, is then close to a polynomial.
_SPACING, _REACH, _PANEL_NODES = 1.0, 9.5, 10
_BLOCK = 1 << 20
_TOLERANCE, _MAX_HALVINGS = 1e-11, 60


def line_edges(means, scales):
    """Edges of panels for the whole line, fit to Gaussians of every row (n, K)."""
    return dyadic_grid(means, scales, _SPACING, _REACH)


def line_nodes(means, scales):
    """Gauss-Legendre nodes and weights on these panels.

    Parameters
    ----------
    means, scales : ndarray of shape (n, K)

    Returns
    -------
    nodes, node_weights : ndarray of shape (n, m)
    """
    return nodes_between(line_edges(means, scales), _PANEL_NODES)


def joint_edges(f, g):
    """Edges of panels for the whole line, fit to every row of two distributions."""
    if f.family == g.family == "gaussian":
        means = np.concatenate([f.means, g.means], axis=1)
        return line_edges(means, np.concatenate([f.scales, g.scales], axis=1))
    return np.sort(np.concatenate([edges_of(f), edges_of(g)], axis=1), axis=1)


def adaptive_integral(integrand, edges):
    """Integral over the panels of every row; panels that need it are halved.

    Parameters
    ----------
    integrand : callable
        Takes rows (m,) and nodes (m, q); returns values (m, q).
    edges : ndarray of shape (n, m)
        Not decreasing.

    Returns
    -------
    integral : ndarray of shape (n,)
        Right to about 1e-11, relative to the integral over the panels' absolute values
        where that is above 1.
    """
    x, w = np.polynomial.legendre.leggauss(_PANEL_NODES)

    def rule(rows, low, high):
        half = 0.5 * (high - low)
        return half * (integrand(rows, low[:, None] + np.outer(half, 1 + x)) @ w)

    low, high = edges[:, :-1], edges[:, 1:]
    rows, columns = np.nonzero(low < high)
    low, high = low[rows, columns], high[rows, columns]
    whole = rule(rows, low, high)
    integral = np.zeros(len(edges))
    size = np.bincount(rows, np.abs(whole), len(edges))
    tolerance = _TOLERANCE * np.maximum(size, 1.0)
    for _ in range(_MAX_HALVINGS):
        middle = 0.5 * low + 0.5 * high
        left, right = rule(rows, low, middle), rule(rows, middle, high)
        # Not "error <= tolerance": infinite panels are done as well.
        more = np.abs(left + right - whole) > tolerance[rows]
        done = (left + right)[~more]
        integral += np.bincount(rows[~more], done, len(edges))
        low, middle, high = low[more], middle[more], high[more]
        rows = np.concatenate([rows[more], rows[more]])
        whole = np.concatenate([left[more], right[more]])
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
        if not len(rows):
            break
    return integral + np.bincount(rows, whole, len(edges))


def row_blocks(n_rows, size_of_row):
    """Slices of rows such that a block has about a million numbers."""
    step = max(1, _BLOCK // max(size_of_row, 1))
    for start in range(0, n_rows, step):
        yield slice(start, start + step)


def line_size(n_components):
    """Nodes that `line_nodes` gives a row, at most."""
    return grid_size(n_components, _SPACING, _REACH) * _PANEL_NODES


def component_rule(family, n_nodes, n_outputs, on_panels):
    """Nodes and weights of E f(Z), Z of the standard component.

    Other densities than the normal one fall so slowly that Gauss' rule puts most nodes
    where there is little mass; unless asked for, it is taken where many are too many.
    """
    if family == "gaussian":
        x, w = np.polynomial.hermite_e.hermegauss(n_nodes)
        return x, w / w.sum()
    if on_panels and n_outputs <= 2:
        return standard_of(family).panel_rule({1: N_NODES, 2: 8}[n_outputs])
    return standard_of(family).gauss_rule(n_nodes)


def product_rule(x, w, n_outputs):
    """Nodes (m**D, D) and weights of E f(Z) for D independent entries of Z."""
    grids = np.meshgrid(*[x] * n_outputs, indexing="ij")
    products = np.meshgrid(*[w] * n_outputs, indexing="ij")
    nodes = np.stack([grid.ravel() for grid in grids], axis=-1)
    return nodes, np.prod([grid.ravel() for grid in products], axis=0)
