# SPDX-License-Identifier: BSD-3-Clause
"""Algebra of stacks of lower triangular factors (..., D, D); see `factors`."""

import numpy as np

FARTHEST = 1e150  # scales; a square beyond this would overflow


def whitened(factors, u):
    """F^-1 u by forward substitution, u (..., D); up to 1e150."""
    z = np.clip(u, -FARTHEST, FARTHEST)
    z = z * np.ones(np.broadcast_shapes(factors.shape[:-1], z.shape))
    for i in range(z.shape[-1]):
        z[..., i] -= np.einsum("...j,...j->...", factors[..., i, :i], z[..., :i])
        z[..., i] /= factors[..., i, i]
        np.clip(z[..., i], -FARTHEST, FARTHEST, out=z[..., i])
    return z


def reordered(factors, order):
    """Factors with the outputs of `order` in front, by reflections of neighbours.

    The diagonal is made of products only: it keeps its digits, however small.
    """
    current = list(range(factors.shape[-1]))
    if list(order) == current[: len(order)]:
        return factors
    factors = factors.copy()
    for place, output in enumerate(order):
        found = current.index(output)
        current.insert(place, current.pop(found))
        for i in range(found - 1, place - 1, -1):
            factors[..., [i, i + 1], :] = factors[..., [i + 1, i], :]
            _reflect(factors[..., i:, :], i, i + 1)
    return factors


def row_norms(rows):
    """Lengths of rows (..., m, q), and these rows with length 1; of any magnitude."""
    unit = np.abs(rows).max(axis=-1, keepdims=True)
    unit[unit == 0] = 1.0
    rows = rows / unit
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return (unit * norms)[..., 0], rows / norms


def triangularised(rows):
    """Scales and factors of the covariances G G' of rows G (..., m, q), q >= m.

    By reflections of two columns at a time: what is the same in both, up to a factor,
    leaves exactly nothing, so that two near-singular covariances have a sum of which
    all digits are right. G. H. Golub and C. F. Van Loan, Matrix Computations, 2013,
    section 5.1.8.
    """
    scales, rows = row_norms(rows)
    n_rows, n_columns = rows.shape[-2:]
    for i in range(n_rows):
        for j in range(i + 1, n_columns):
            if rows[..., i, j].any():
                _reflect(rows[..., i:, :], i, j)
    lower = np.tril(rows[..., :n_rows])
    sign = np.where(np.einsum("...ii->...i", lower) < 0, -1.0, 1.0)
    return scales, lower * sign[..., None, :]


def _reflect(rows, i, j):
    """Make column j of the first row 0: reflect columns i and j, in place."""
    x, y = rows[..., i].copy(), rows[..., j].copy()
    length = np.hypot(x[..., :1], y[..., :1])
    length[length == 0] = 1.0
    c, s = x[..., :1] / length, y[..., :1] / length
    c = np.where((c == 0) & (s == 0), 1.0, c)
    rows[..., i] = x * c + y * s
    rows[..., j] = x * s - y * c
    rows[..., 0, j] = 0.0


def log_determinant(factors):
    """Log of the determinants."""
    return np.log(np.einsum("...ii->...i", factors)).sum(axis=-1)
