# SPDX-License-Identifier: BSD-3-Clause
"""Correlated components, from a chain of regressions to scales and correlations.

The residuals of a chain (see `skmdn._families.head`) have the scales sigma, the outputs
the lower triangular factor L = B^-1 diag(sigma) of their covariance, where B is 1 on
the diagonal and minus the slopes below. Distributions keep the norms of the rows of L,
which are the scales of the outputs, and L divided by them.
"""

import numpy as np

from skmdn._distribution.triangular import row_norms


def scales_and_factors(scales, slopes):
    """Scales of the outputs, and factors of their correlations.

    Parameters
    ----------
    scales : ndarray of shape (n_rows, n_components, n_outputs)
        Of every output given the ones before.
    slopes : ndarray of shape (n_rows, n_components, n_slopes)

    Returns
    -------
    scales : ndarray of shape (n_rows, n_components, n_outputs)
    factors : ndarray of shape (n_rows, n_components, n_outputs, n_outputs)
    """
    n_outputs = scales.shape[2]
    lower = np.zeros((*scales.shape, n_outputs))
    first = 0
    for d in range(n_outputs):
        lower[..., d, d] = scales[..., d]
        for j in range(d):
            slope = slopes[..., first + j, None]
            lower[..., d, : j + 1] += slope * lower[..., j, : j + 1]
        first += d
    return row_norms(lower)


def heated(scales, factors, temperature, min_scale):
    """Multiply scales by a temperature; those of the residuals stay above their bounds.

    Parameters
    ----------
    scales, factors : ndarray
        As of `scales_and_factors`.
    temperature : float
    min_scale : ndarray of shape (n_outputs,)
    """
    residual = scales * np.einsum("...dd->...d", factors)
    factor = np.maximum(temperature, min_scale / residual)
    # The columns of L belong to the residuals.
    return row_norms(scales[..., None] * factors * factor[..., None, :])


def mixture_factor(distribution):
    """Factor of the correlations of the whole mixture, (n_rows, n_outputs, n_outputs).

    With the factors and means of all components as rows, the modified Gram-Schmidt
    algorithm leaves that of their sum of squares, to the last digits where outputs are
    almost functions of each other.
    """
    weights, scales = distribution.weights, distribution.scales
    std = distribution.std()[:, None]
    root = np.sqrt(weights)[..., None]
    within = (root * scales / std)[..., None] * distribution._factors
    between = root * (distribution.means - distribution.mean()[:, None]) / std
    rows = np.concatenate([np.swapaxes(within, 2, 3), between[:, :, None]], axis=2)
    n_outputs = rows.shape[3]
    columns = np.moveaxis(rows, 3, 0).reshape(n_outputs, len(rows), -1).copy()
    factor = np.zeros((len(rows), n_outputs, n_outputs))
    for j, column in enumerate(columns):
        norm = np.linalg.norm(column, axis=1)
        factor[:, j, j] = norm
        column /= norm[:, None]
        for d in range(j + 1, n_outputs):
            factor[:, d, j] = np.einsum("ni,ni->n", column, columns[d])
            columns[d] -= factor[:, d, j, None] * column
    return row_norms(factor)[1]
