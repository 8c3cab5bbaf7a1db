# SPDX-License-Identifier: BSD-3-Clause
"""Answers of Gaussian mixtures whose components are correlated; see `evaluate`."""

import numpy as np

from skmdn._distribution.factors import for_each_component
from skmdn._distribution.kernels import joint
from skmdn._distribution.quadrature import row_blocks
from skmdn._distribution.triangular import (
    log_determinant,
    reordered,
    row_norms,
    triangularised,
    whitened,
)

_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)
_FAR = 100.0  # next to smaller squares, huge ones need not be exact


def logpdf(dist, points):
    """Joint log-density at points (n or 1, m, D)."""
    n, n_components, n_outputs = len(dist), dist.n_components, dist.n_outputs
    out = np.empty((n, points.shape[1]))
    rows = joint.scratch_rows(n_components, n_outputs)
    joint.logpdf(
        dist.weights,
        dist.means.reshape(n, n_components * n_outputs),
        dist.scales.reshape(n, n_components * dist.scales.shape[2]),
        dist._factors.reshape(n, dist._factors.shape[1] * n_outputs**2),
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


def lower_triangles(dist):
    """Cholesky factors of the covariances (n, K, D, D)."""
    scales = dist._with_axis_of_outputs()[2]
    return scales[..., None] * for_each_component(dist._factors, scales.shape)


def log_terms(dist, points):
    """Log of weight times density of every component, (n, m, K), at (n or 1, m, D).

    Up to what all components of a row have in common at a point.
    """
    terms = np.empty((len(dist), points.shape[1], dist.n_components))
    for rows in row_blocks(len(dist), dist.means[0:1].size * points.shape[1]):
        part = dist[rows]
        at = points if len(points) == 1 else points[rows]
        y, peaks = at[:, :, None], log_peaks(part)[:, None]
        scales, means = part.scales[:, None], part.means[:, None]
        z = whitened(part._factors[:, None], (y - means) / scales)
        squares = np.sum(z * z, axis=3)
        has_weight = part.weights[:, None] > 0
        nearest = np.min(squares, axis=2, where=has_weight, initial=np.inf)
        terms[rows] = peaks - 0.5 * squares
        i, j = np.nonzero(nearest >= _FAR)
        if len(i):
            y = np.broadcast_to(at, (len(part), *at.shape[1:]))[i, j]
            terms[rows][i, j] = peaks[i, 0] - 0.5 * _excess(part[i], y)
    return terms


def _excess(dist, y):
    """Squared distances (n, K) in scales from y (n, D), less that of the nearest.

    As products (z - z') (z + z'), see `kernels.nearest`. With P = F^-1 / scales, where
    P (y - mean') = P' (y - mean') the difference is P (mean' - mean), all digits of it:
    components of the same covariance, which otherwise would be lost to rounding.
    """
    y, rows = y[:, None], np.arange(len(dist))
    scales, means, shape = dist.scales, dist.means, (*dist.means.shape, y.shape[2])
    factors = np.broadcast_to(dist._factors, shape)
    high = y - means
    part = high - y  # Knuth: what rounding left of the difference
    low = (y - (high - part)) - (means + part)
    z = whitened(factors, high / scales)
    idle = np.where(dist.weights > 0, 0.0, np.inf)
    nearest = np.argmin(row_norms(z)[0] + idle, axis=1)
    rest = whitened(factors, low / scales)
    there, mean, other, other_rest = (
        a[rows, nearest][:, None] for a in (high, means, z, rest)
    )
    alike = whitened(factors, there / scales) == other
    apart = np.where(alike, whitened(factors, (mean - means) / scales), z - other)
    between = (z + other) + (rest + other_rest)
    return np.sum(apart * between, axis=2)


def marginal(dist, outputs):
    """Factors of some outputs; None for one."""
    if dist._factors is None or len(outputs) == 1:
        return None
    return reordered(dist._factors, outputs)[..., : len(outputs), : len(outputs)]


def conditional(dist, known, rest, values):
    """Means, scales and factors of outputs `rest` given `known` (n or 1, n_known).

    With the known ones first, L = [[L1, 0], [L21, L2]]: the mean is m2 + L21 z1, where
    z1 = L1^-1 (y1 - m1), and L2 is the factor, without any difference.
    """
    _, means, scales = dist._with_axis_of_outputs()
    factors, n = reordered(dist._factors, [*known, *rest]), len(known)
    u = (values[:, None] - means[..., known]) / scales[..., known]
    z = whitened(factors[..., :n, :n], u)
    means = means[..., rest] + scales[..., rest] * np.einsum(
        "...ij,...j->...i", factors[..., n:, :n], z
    )
    norms, factors = row_norms(factors[..., n:, n:])
    return means, scales[..., rest] * norms, factors if len(rest) > 1 else None


def linear(dist, a, b):
    """Means, scales and factors of A Y + b."""
    means = np.einsum("id,nkd->nki", a, dist._with_axis_of_outputs()[1]) + b
    rows = np.einsum("id,nkde->nkie", a, lower_triangles(dist))
    return means, *triangularised(rows)


def log_overlaps(dist, i):
    """Log of w_j times the integral of f_i f_j, all components j of each row."""
    weights, means, _ = dist._with_axis_of_outputs()
    lower = lower_triangles(dist)
    own = np.broadcast_to(lower[:, i : i + 1], lower.shape)
    scales, factors = triangularised(np.concatenate([lower, own], axis=-1))
    z = whitened(factors, (means - means[:, i : i + 1]) / scales)
    log_scales = np.log(scales).sum(axis=2) + log_determinant(factors)
    log_normal = -0.5 * np.sum(z * z, axis=2) - log_scales
    with np.errstate(divide="ignore"):
        return np.log(weights) + log_normal - dist.n_outputs * _HALF_LOG_2PI
