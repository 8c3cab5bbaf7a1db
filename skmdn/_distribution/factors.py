# SPDX-License-Identifier: BSD-3-Clause
"""Correlations within components, kept as lower Cholesky factors F of unit rows.

Such a factor holds what a correlation matrix cannot: of a correlation of 1 - 1e-14 the
last entry of F is 1.4e-7, with all its digits. A component is mean + scales * (F z), z
standard; F of shape (n, K or 1, D, D) is shared by all components if there is one.
"""

import numpy as np

from skmdn._distribution.checks import check_finite

_TOLERANCE = 1e-5  # of what was computed in float32


def check_correlations(correlations, shape):
    """Validate correlation matrices for (n, K, D); return their factors.

    One output has no correlations: None.
    """
    n, n_components, n_outputs = shape
    correlations = check_finite("correlations", correlations)
    pair = (n_outputs, n_outputs)
    if correlations.shape not in ((n, n_components, *pair), (n, 1, *pair)):
        raise ValueError(
            f"correlations must have the shape {(n, n_components, *pair)} or "
            f"{(n, 1, *pair)}; got {correlations.shape}."
        )
    diagonal = np.einsum("nkii->nki", correlations)
    asymmetry = np.abs(correlations - np.swapaxes(correlations, 2, 3))
    if np.any(np.abs(diagonal - 1) > _TOLERANCE) or np.any(asymmetry > _TOLERANCE):
        raise ValueError(
            "correlations must be symmetric matrices with ones on the diagonal; got "
            f"{_worst(correlations, diagonal, asymmetry).tolist()}."
        )
    return factorise(correlations) if n_outputs > 1 else None


def _worst(correlations, diagonal, asymmetry):
    error = np.abs(diagonal - 1).max(axis=2) + asymmetry.max(axis=(2, 3))
    return correlations[np.unravel_index(np.argmax(error), error.shape)]


def factorise(correlations):
    """Factors of correlation matrices, by partial correlations.

    What is left of the norm of a row is a product of sqrt((1 - p)(1 + p)), p the
    partial correlations: no difference of rounded numbers. H. Joe, "Generating random
    correlation matrices based on partial correlations", J. Multivar. Anal. 97, 2006.
    """
    partial, factors = correlations.copy(), np.zeros_like(correlations)
    left = np.ones(correlations.shape[:-1])
    for j in range(correlations.shape[-1]):
        factors[..., j, j] = left[..., j]
        p = partial[..., j + 1 :, j]
        if np.any(np.abs(p) >= 1):
            bad = np.argwhere(np.any(np.abs(p) >= 1, axis=-1))[0]
            raise ValueError(
                "correlations must be positive definite; got "
                f"{correlations[tuple(bad)].tolist()}."
            )
        factors[..., j + 1 :, j] = p * left[..., j + 1 :]
        rest = np.sqrt((1 - p) * (1 + p))
        left[..., j + 1 :] *= rest
        inner = partial[..., j + 1 :, j + 1 :]
        inner -= p[..., :, None] * p[..., None, :]
        inner /= rest[..., :, None] * rest[..., None, :]
    return factors


def correlations_of(factors):
    """Correlation matrices, with ones on the diagonal."""
    correlations = factors @ np.swapaxes(factors, -1, -2)
    diagonal = np.arange(factors.shape[-1])
    correlations[..., diagonal, diagonal] = 1.0
    return np.clip(correlations, -1.0, 1.0)


def for_each_component(factors, shape):
    """Factors for (n, K, D) in full: of independent outputs and of shared ones too."""
    factors = np.eye(shape[2]) if factors is None else factors
    return np.broadcast_to(factors, (*shape, shape[2]))


def joined(factors, shapes, axis):
    """Factors of several distributions of shapes (n, K, D), along rows or components.

    None where all are None; one a row where rows are joined and all have one a row.
    """
    if all(part is None for part in factors):
        return None
    if axis == 0 and all(part is not None and part.shape[1] == 1 for part in factors):
        return np.concatenate(factors)
    parts = zip(factors, shapes, strict=True)
    return np.concatenate([for_each_component(*part) for part in parts], axis=axis)


def block_diagonal(factors, shapes):
    """Factors of independent groups of outputs; None where all are None."""
    if all(part is None for part in factors):
        return None
    n_outputs = sum(shape[2] for shape in shapes)
    joint, first = np.zeros((*shapes[0][:2], n_outputs, n_outputs)), 0
    for part, shape in zip(factors, shapes, strict=True):
        own = slice(first, first + shape[2])
        joint[..., own, own] = for_each_component(part, shape)
        first += shape[2]
    return joint
