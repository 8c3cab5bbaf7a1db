# SPDX-License-Identifier: BSD-3-Clause
"""Answers of Gaussian mixtures whose components are correlated; see `evaluate`."""

import numpy as np

from skmdn._distribution.kernels import joint

_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


def logpdf(dist, points):
    """Joint log-density at points (n or 1, m, D)."""
    n, n_components, n_outputs = len(dist), dist.n_components, dist.n_outputs
    out = np.empty((n, points.shape[1]))
    rows = joint.scratch_rows(n_components, n_outputs)
    joint.logpdf(
        log_peaks(dist),
        dist.means.reshape(n, n_components * n_outputs),
        dist.scales.reshape(n, n_components * dist.scales.shape[2]),
        packed(dist._factors),
        *(points, out.reshape(-1), np.empty((rows, joint.LANES))),
    )
    return out


def log_peaks(dist):
    """Log of weight times density of every component at its mean (n, K)."""
    log_scales = np.log(dist.scales)
    log_scales = np.broadcast_to(log_scales, dist.means.shape).sum(axis=2)
    log_scales = log_scales + log_determinant(dist._factors)
    with np.errstate(divide="ignore"):
        return np.log(dist.weights) - log_scales - dist.n_outputs * _HALF_LOG_2PI


def log_determinant(factors):
    """Log of the determinants of lower triangular matrices."""
    return np.log(np.einsum("...ii->...i", factors)).sum(axis=-1)


def packed(factors):
    """Lower triangles, row by row, with 1 / F on the diagonal: (n, K * T) or (n, T)."""
    rows, columns = np.tril_indices(factors.shape[-1])
    lower = factors[..., rows, columns]
    lower[..., rows == columns] = 1 / lower[..., rows == columns]
    return lower.reshape(len(factors), lower.shape[1] * lower.shape[2])
