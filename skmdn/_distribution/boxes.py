# SPDX-License-Identifier: BSD-3-Clause
"""Probabilities of boxes, and Rosenblatt's transform, of several outputs."""

import numpy as np
from scipy import special, stats

from skmdn._distribution import evaluate
from skmdn._distribution.quadrature import adaptive_integral, row_blocks
from skmdn._distribution.triangular import row_norms, whitened

_REACH = 9.5  # scales; less than 1e-20 is beyond
# Edges of panels, in scales: of the first of three outputs, and of where another one,
# given the first, comes across an end of the box.
_EDGES, _STEPS = np.linspace(-_REACH, _REACH, 9), np.array([-9.0, -4, -1.5, 1.5, 4, 9])
_SIZES = {2: 16, 3: 10 * (len(_EDGES) + 4 * len(_STEPS))}
_FARTHEST, _NEAREST = 40.0, 1e-300
_PRECISION = 1e-6  # of SciPy's integration, for four outputs and more


def probability_of_boxes(dist, lower, upper):
    """P(lower < Y <= upper) of boxes (n or 1, m, D); (n, m)."""
    shape = np.broadcast_shapes(lower.shape, upper.shape, (len(dist), 1, 1))
    total = np.zeros(shape[:2])
    is_plain = dist._factors is None
    size = shape[1] * (dist.n_outputs if is_plain else _SIZES.get(shape[2], 16))
    for rows in row_blocks(len(dist), size):
        part, inside = dist[rows], total[rows]
        weights, means, scales = part._with_axis_of_outputs()
        ends = [a if len(a) == 1 else a[rows] for a in (lower, upper)]
        for k in range(dist.n_components):
            a, b = (
                np.broadcast_to(
                    (end - means[:, None, k]) / scales[:, None, k],
                    (*inside.shape, dist.n_outputs),
                )
                for end in ends
            )
            inside += weights[:, k, None] * _of_component(part, k, a, b)
    return np.clip(total, 0.0, 1.0)


def _of_component(dist, k, a, b):
    """Probability between a and b (n, m, D), in scales from the mean of component k."""
    if dist._factors is None:
        return _between(dist, a, b).prod(axis=-1)
    factors = dist._factors[:, k if dist._factors.shape[1] > 1 else 0]
    factors = np.broadcast_to(factors[:, None], (*a.shape, a.shape[2]))
    each = (part.reshape(-1, *part.shape[2:]) for part in (factors, a, b))
    if a.shape[2] <= 3:
        closed = _rectangles if a.shape[2] == 2 else _cuboids
        return closed(*each).reshape(a.shape[:2])
    used = np.broadcast_to(dist.weights[:, k, None] > 0, a.shape[:2]).ravel()
    boxes = zip(*each, used, strict=True)
    return np.array([_by_scipy(*box) for box in boxes]).reshape(a.shape[:2])


def _between(dist, a, b):
    """P(a < Z <= b) of the standard component, by the smaller tails."""

    def between(low, high, sign):
        high = evaluate.standard_tail(dist, high, sign)
        return high - evaluate.standard_tail(dist, low, sign)

    above = a > 0
    if evaluate.is_symmetric(dist):
        return between(np.where(above, -b, a), np.where(above, -a, b), 1.0)
    return np.where(above, between(b, a, -1.0), between(a, b, 1.0))


def _rectangles(factors, a, b):
    """Of two outputs, (..., 2)."""
    corners = [_quadrant(factors, x[..., 0], y[..., 1]) for x in (a, b) for y in (a, b)]
    return corners[3] - corners[2] - corners[1] + corners[0]


def _quadrant(factors, h, k):
    """P(Z1 <= h, Z2 <= k), to 1e-15. D. B. Owen, Ann. Math. Statist. 27, 1956."""
    rho, rest = factors[..., 1, 0], factors[..., 1, 1]
    h, k = (np.clip(end, -_FARTHEST, _FARTHEST) for end in (h, k))
    h, k = (np.where(np.abs(end) < _NEAREST, _NEAREST, end) for end in (h, k))
    # k - rho h by k - h or k + h: near correlations of 1 only these have digits.
    wide, rise = rest**2 / (1 + np.abs(rho)), np.where(rho < 0, -1.0, 1.0)
    slopes = [
        ((other - rise * end) + rise * wide * end) / (end * rest)
        for end, other in ((h, k), (k, h))
    ]
    total = 0.5 * (special.ndtr(h) + special.ndtr(k))
    for end, slope in zip((h, k), slopes, strict=True):
        total = total - special.owens_t(end, slope)
    return total - np.where(h * k < 0, 0.5, 0.0)


def _cuboids(factors, a, b):
    """Of three outputs (n, 3): over the first, rectangles of the others given it."""
    slopes = factors[:, 1:, 0]
    rests, inner = row_norms(factors[:, 1:, 1:])
    low, high = np.clip(a[:, 0], -_REACH, _REACH), np.clip(b[:, 0], -_REACH, _REACH)
    with np.errstate(divide="ignore", invalid="ignore"):
        across = [
            (end[:, 1:, None] + rests[..., None] * _STEPS) / slopes[..., None]
            for end in (a, b)
        ]
    across = np.nan_to_num(np.stack(across)).transpose(1, 0, 2, 3).reshape(len(a), -1)
    edges = np.concatenate([np.tile(_EDGES, (len(a), 1)), across], axis=1)
    edges = np.sort(np.clip(edges, low[:, None], high[:, None]), axis=1)

    def integrand(rows, x):
        shift, scale = slopes[rows, None] * x[..., None], rests[rows, None]
        ends = ((end[rows, None, 1:] - shift) / scale for end in (a, b))
        given = _rectangles(inner[rows, None], *ends)
        return np.exp(-0.5 * x * x) * given / np.sqrt(2 * np.pi)

    return adaptive_integral(integrand, edges)


def _by_scipy(factor, a, b, is_used):
    """A. Genz, "Numerical computation of multivariate normal probabilities", 1992."""
    bounded = np.isfinite(a) | np.isfinite(b)
    if not is_used or not np.all(a < b) or not bounded.any():
        return float(is_used and np.all(a < b))
    normal = stats.multivariate_normal(
        cov=(factor @ factor.T)[np.ix_(bounded, bounded)],
        allow_singular=True,
        seed=0,
    )
    normal.abseps = normal.releps = _PRECISION  # SciPy 1.11 has no arguments
    return normal.cdf(b[bounded], lower_limit=a[bounded])


def rosenblatt(dist, points):
    """P(Y_d <= y_d | y_1, ..., y_d-1) at points (n or 1, m, D); (n, m, D)."""
    out = np.empty((len(dist), *points.shape[1:]))
    for rows in row_blocks(len(dist), dist.means[0:1].size * points.shape[1]):
        part = dist[rows]
        at = points if len(points) == 1 else points[rows]
        weights, means, scales = part._with_axis_of_outputs()
        z = (at[:, :, None] - means[:, None]) / scales[:, None]
        if part._factors is not None:
            z = whitened(part._factors[:, None], z)
        below = evaluate.standard_tail(part, z)
        for d in range(dist.n_outputs):
            shares = weights[:, None]
            if d > 0:
                before = part._of_outputs(weights, list(range(d)))
                before_y = np.ascontiguousarray(at[..., :d])
                terms = evaluate.log_terms(before, before_y)
                shares = special.softmax(terms, axis=-1)
            out[rows, :, d] = np.sum(shares * below[..., d], axis=-1)
    return np.minimum(out, 1.0)
