# SPDX-License-Identifier: BSD-3-Clause
"""The oracle for mixtures of correlated Gaussians, see `naive`."""

import itertools
import math

import numpy as np
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm


def correlated_logpdf(weights, means, covariances, y):
    """Log-density at one point."""
    parts = zip(weights, means, covariances, strict=True)
    return logsumexp(
        [math.log(w) + multivariate_normal(m, C).logpdf(y) for w, m, C in parts]
    )


def correlated_moments(weights, means, covariances):
    """Mean and covariance of the mixture."""
    mean = sum(w * m for w, m in zip(weights, means, strict=True))
    parts = zip(weights, means, covariances, strict=True)
    return mean, sum(w * (C + np.outer(m - mean, m - mean)) for w, m, C in parts)


def correlated_box(weights, means, covariances, lower, upper):
    """P(lower < Y <= upper)."""
    parts = zip(weights, means, covariances, strict=True)
    return sum(
        w * multivariate_normal(m, C, seed=0).cdf(upper, lower_limit=lower)
        for w, m, C in parts
    )


def quadrant(rho, h, k):
    """P(X <= h, Y <= k) of two standard normal numbers of correlation rho."""
    rest = math.sqrt((1 - rho) * (1 + rho))
    edges = [k / rho + z * rest / abs(rho) for z in (-9, -3, 0, 3, 9)]
    edges = sorted(min(max(edge, -12), h) for edge in [-12, *edges, h])
    return math.fsum(
        quad(
            lambda x: norm.pdf(x) * norm.cdf((k - rho * x) / rest),
            *(a, b),
            epsabs=1e-15,
            epsrel=1e-13,
        )[0]
        for a, b in itertools.pairwise(edges)
    )


def correlated_cde_loss(weights, means, covariances, y):
    """Integral of the squared density less twice the density at a point."""
    squared = 0.0
    parts = list(zip(weights, means, covariances, strict=True))
    for w, m, C in parts:
        for v, a, B in parts:
            squared += w * v * multivariate_normal(m, C + B).pdf(a)
    return squared - 2 * math.exp(correlated_logpdf(weights, means, covariances, y))


def reduce_correlated(weights, means, covariances, k):
    """Merge the pair of the least bound of Runnalls until k are left."""
    parts = list(zip(weights, means, covariances, strict=True))

    def merged(a, b):
        w = a[0] + b[0]
        shares = [a[0] / w, b[0] / w]
        return w, *correlated_moments(shares, [a[1], b[1]], [a[2], b[2]])

    def size(part):
        return part[0] * np.linalg.slogdet(part[2])[1]

    while len(parts) > k:
        pairs = list(itertools.combinations(parts, 2))
        costs = [size(merged(*pair)) - size(pair[0]) - size(pair[1]) for pair in pairs]
        best = pairs[int(np.argmin(costs))]
        parts = [part for part in parts if not any(part is one for one in best)]
        parts.append(merged(*best))
    return tuple(zip(*parts, strict=True))
