# SPDX-License-Identifier: BSD-3-Clause
"""What the methods ask, once for Gaussians and once for any family.

Gaussians have kernels, run here over the rows; see `general` for the others.
"""

import numpy as np
from scipy import special

from skmdn._distribution import general, joint
from skmdn._distribution.kernels import mixture, nearest, quantile
from skmdn._distribution.kernels import pairs as ensemble
from skmdn._distribution.standard import standard_of

# With more components, pairs are not summed one by one.
_MANY_COMPONENTS = 64
_BLOCK = 1 << 16


def is_gaussian(dist):
    """Whether the kernels know the components."""
    return dist.family == "gaussian"


def is_symmetric(dist):
    """Whether components are the same on both sides of their locations."""
    return is_gaussian(dist) or standard_of(dist.family).is_symmetric


def standard_moments(dist):
    """Mean, standard deviation, skewness and excess kurtosis of the components."""
    if is_gaussian(dist):
        return 0.0, 1.0, 0.0, 0.0
    return standard_of(dist.family).moments


def component_means(dist):
    """Means of the components, of the shape of their locations."""
    if dist.family == "gaussian":
        return dist.means
    mean = standard_moments(dist)[0]
    return dist.means + mean * dist.scales if mean else dist.means


def component_stds(dist):
    """Standard deviations of the components, of the shape of their scales."""
    if dist.family == "gaussian":
        return dist.scales
    return dist.scales * standard_moments(dist)[1]


def parameters(dist):
    """Weights, means and scales as (n, K), (n, K * D) and (n, K * D) or (n, K)."""
    n = len(dist)
    return (
        dist.weights,
        dist.means.reshape(n, np.prod(dist.means.shape[1:], dtype=int)),
        dist.scales.reshape(n, np.prod(dist.scales.shape[1:], dtype=int)),
    )


def at_values(kernel, dist, values, *arguments):
    """Evaluate a kernel of `mixture` at values (n or 1, m, D); return (n, m)."""
    out = np.empty((len(dist), values.shape[1]))
    rows = mixture.scratch_rows(dist.n_components, dist.n_outputs)
    scratch = np.empty((rows, mixture.LANES))
    kernel(*parameters(dist), values, *arguments, out.reshape(-1), scratch)
    return out


def logpdf(dist, points):
    """Joint log-density at points (n or 1, m, D)."""
    if not is_gaussian(dist):
        return general.logpdf(dist, points)
    if dist._factors is not None:
        return joint.logpdf(dist, points)
    return at_values(mixture.logpdf, dist, points)


def log_terms(dist, points):
    """Log of weight times density of every component, (n, m, K), at (n or 1, m, D).

    Up to what all components of a row have in common at a point.
    """
    if not is_gaussian(dist):
        return general.log_terms(dist, points)
    if dist._factors is not None:
        return joint.log_terms(dist, points)
    weights, means, scales = parameters(dist)
    log_scales = np.log(dist.scales)
    if dist.n_outputs > 1:
        log_scales = np.broadcast_to(log_scales, dist.means.shape).sum(axis=2)
    with np.errstate(divide="ignore"):
        log_factors = np.log(weights) - log_scales
    out = np.empty((len(dist), points.shape[1], dist.n_components))
    nearest.log_terms(log_factors, means, scales, points, out)
    return out


def cdf(dist, values, sign=1.0):
    """P(Y <= y), or P(Y > y) if sign is -1, at values (n or 1, m)."""
    if not is_gaussian(dist):
        return general.cdf(dist, values, sign)
    return at_values(mixture.cdf, dist, values[:, :, None], sign)


def standard_tail(dist, z, sign=1.0):
    """P(Z <= z), or P(Z > z) if sign is -1, of the standard component."""
    if is_gaussian(dist):
        return special.ndtr(sign * z)
    return standard_of(dist.family).tail(z, sign)


def standard_log_tail(dist, z, sign=1.0):
    """Log of P(Z <= z), or of P(Z > z) if sign is -1, of the standard component."""
    if is_gaussian(dist):
        return special.log_ndtr(sign * z)
    return standard_of(dist.family).log_tail(z, sign)


def mean_distance(dist, values):
    """E|Y - y| at values (n or 1, m)."""
    if not is_gaussian(dist):
        return general.mean_distance(dist, values)
    return at_values(mixture.mean_distance, dist, values[:, :, None])


def self_distance(dist):
    """E|Y - Y'| of every row."""
    if not is_gaussian(dist):
        return general.self_distance(dist)
    n_components = dist.n_components
    out = np.empty(len(dist))
    if n_components > _MANY_COMPONENTS:
        scratch = np.empty((4, ensemble.padded(n_components)))
        ensemble.self_distance(*parameters(dist), out, scratch)
    else:
        scratch = np.empty((mixture.scratch_rows(n_components, 1), mixture.LANES))
        mixture.self_distance(*parameters(dist), out, scratch)
    return out


def ppf(dist, levels, upper=False):
    """Quantiles of levels (n or 1, m), counted from above if `upper`."""
    if not is_gaussian(dist):
        return general.ppf(dist, levels, upper)
    n, n_columns = len(dist), levels.shape[1]
    out = np.empty((n, n_columns))
    scratch = np.empty((quantile.scratch_rows(dist.n_components), quantile.LANES))
    elements = np.empty((2, quantile.LANES), dtype=np.int64)
    weights, means, scales = parameters(dist)
    step = max(1, _BLOCK // max(n_columns, 1))
    for start in range(0, n, step):
        rows = slice(start, start + step)
        block = levels if len(levels) == 1 else levels[rows]
        # Levels above 1/2 are exact as tails from the other end.
        far = block > 0.5
        tails = np.where(far, 1 - block, block)
        side = np.where(far != upper, -1.0, 1.0)
        z = special.ndtri(tails)
        quantile.ppf(
            *(weights[rows], means[rows], scales[rows]),
            *(tails, z, side, out[rows].reshape(-1), elements, scratch),
        )
    return out
