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
            both = factors[..., i : i + 1, i : i + 2]
            length = np.hypot(both[..., 0], both[..., 1])
            c, s = both[..., 0] / length, both[..., 1] / length
            x, y = factors[..., i:, i].copy(), factors[..., i:, i + 1].copy()
            factors[..., i:, i] = x * c + y * s
            factors[..., i:, i + 1] = x * s - y * c
            factors[..., i, i + 1] = 0.0
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
    """Scales and factors of the covariances G G' of rows G (..., m, q), q >= m."""
    scales, rows = row_norms(rows)
    lower = np.swapaxes(np.linalg.qr(np.swapaxes(rows, -1, -2), mode="r"), -1, -2)
    sign = np.where(np.einsum("...ii->...i", lower) < 0, -1.0, 1.0)
    return scales, np.tril(lower) * sign[..., None, :]


def log_determinant(factors):
    """Log of the determinants."""
    return np.log(np.einsum("...ii->...i", factors)).sum(axis=-1)
