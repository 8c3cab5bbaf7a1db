# SPDX-License-Identifier: BSD-3-Clause
"""Answers of mixtures of any family, over blocks of elements; see `evaluate`.

An element is one value asked of one row. Arrays of a block have the shape
(n_components, n_outputs, n_elements): loops over elements are NumPy's.
"""

import numpy as np

from skmdn._distribution.grid import distinct
from skmdn._distribution.standard import nodes_between, standard_of
from skmdn._families.roots import find_roots

_BLOCK = 1 << 17
_TINY = 1e-290  # tails below are followed by their logarithms
# Panels for E|Y - Y'| end at these tails; 10 nodes each are exact to 1e-11.
_TAILS, _N_NODES = np.exp([-2.0, -5.0, -10.0, -18.0, -28.0]), 10


class Elements:
    """Parameters of the components of a distribution, element by element."""

    def __init__(self, dist):
        self.standard = standard_of(dist.family)
        weights, means, scales = dist._with_axis_of_outputs()
        self.weights = np.ascontiguousarray(weights.T)
        self.means = np.ascontiguousarray(np.moveaxis(means, 0, 2))
        self.scales = np.ascontiguousarray(np.moveaxis(scales, 0, 2))

    def at(self, rows, y):
        """Weights (K, m), and z and scales (K, D, m) of values y (D, m)."""
        weights, scales = self.weights[:, rows], self.scales[..., rows]
        with np.errstate(over="ignore"):
            return weights, (y - self.means[..., rows]) / scales, scales

    def log_density(self, rows, y):
        """Log-density at y (D, m)."""
        return log_sum(self.log_terms(rows, y))

    def log_terms(self, rows, y):
        """Log of weight times density of every component (K, m)."""
        weights, z, scales = self.at(rows, y)
        with np.errstate(divide="ignore", over="ignore"):
            terms = np.sum(self.standard.log_density(z)[0] - np.log(scales), axis=1)
            terms += np.log(weights)
        return np.where(np.isinf(y).any(axis=0), -np.inf, terms)

    def tail(self, rows, y, sign=1.0):
        """P(Y <= y), or P(Y > y) if sign is -1, at y (m,)."""
        weights, z, _ = self.at(rows, y)
        total = np.einsum("km,km->m", weights, self.standard.tail(z[:, 0], sign))
        return np.minimum(total, 1.0)

    def slope(self, rows, y, side=0.0):
        """Derivative of the log-density at y (m,); 0 where it is rounding.

        At a kink that to the right if side is 1, to the left if -1.
        """
        return self.height_and_slope(rows, y, side)[1]

    def height_and_slope(self, rows, y, side=0.0):
        """Log-density at y (m,) and its `slope`."""
        weights, z, scales = self.at(rows, y)
        z, scales = np.where(z == 0, _TINY * side, z)[:, 0], scales[:, 0]
        value, slope = self.standard.log_density(z)
        with np.errstate(divide="ignore"):
            terms = value - np.log(scales) + np.log(weights)
        best = terms.max(axis=0)
        shares = np.exp(terms - best)
        slopes = shares * slope / scales
        total, size = slopes.sum(axis=0), np.abs(slopes).sum(axis=0)
        whole = shares.sum(axis=0)
        slope = np.where(np.abs(total) <= 1e-13 * size, 0.0, total / whole)
        return best + np.log(whole), slope


def _at_values(func, dist, values, shape=()):
    """Evaluate ``func(rows, y)``, (*shape, m), at values (n or 1, m, D)."""
    n_columns = values.shape[1]
    out = np.empty((len(dist) * n_columns, *shape))
    step = max(1, _BLOCK // (dist.n_components * dist.n_outputs))
    for first in range(0, len(out), step):
        elements = np.arange(first, min(first + step, len(out)))
        rows, columns = np.divmod(elements, n_columns)
        y = values[rows if len(values) > 1 else 0, columns].T
        out[elements] = func(rows, y).T
    return out.reshape(len(dist), n_columns, *shape)


def logpdf(dist, points):
    """Joint log-density at points (n or 1, m, D)."""
    return _at_values(Elements(dist).log_density, dist, points)


def log_terms(dist, points):
    """Log of weight times density of every component, (n, m, K)."""
    return _at_values(Elements(dist).log_terms, dist, points, (dist.n_components,))


def cdf(dist, values, sign=1.0):
    """P(Y <= y), or P(Y > y) if sign is -1, at values (n or 1, m)."""
    elements = Elements(dist)

    def tail(rows, y):
        return elements.tail(rows, y[0], sign)

    return _at_values(tail, dist, values[..., None])


def tail_moment(dist, values, order, sign=1.0):
    """E[(y - Y)^order; Y < y] for order 1 or 2, or that above if sign is -1."""
    elements = Elements(dist)

    def moment(rows, y):
        weights, z, scales = elements.at(rows, y)
        own = elements.standard.tail_moment(z[:, 0], order, sign)
        return np.sum(weights * scales[:, 0] ** order * own, axis=0)

    return _at_values(moment, dist, values[..., None])


def mean_distance(dist, values):
    """E|Y - y| at values (n or 1, m)."""
    return tail_moment(dist, values, 1) + tail_moment(dist, values, 1, -1.0)


def self_distance(dist):
    """E|Y - Y'| of every row: twice the integral of F (1 - F)."""
    standard = standard_of(dist.family)
    offsets = np.concatenate(
        [standard.quantile(_TAILS[::-1]), [0.0], standard.quantile(_TAILS, upper=True)]
    )
    total = np.empty(len(dist))
    step = max(1, _BLOCK // (len(offsets) * _N_NODES * dist.n_components))
    for first in range(0, len(dist), step):
        part = dist[first : first + step]
        nodes, node_weights = nodes_between(edges_of(part, offsets), _N_NODES)
        below = cdf(part, nodes)
        total[first : first + step] = np.sum(
            2 * node_weights * below * (1 - below), axis=1
        )
    return total


def edges_of(dist, offsets=None):
    """Ends of panels for the whole line of every row, not decreasing (n, m).

    Every component asks for panels as wide as its own ones. Their ends are rounded to
    multiples of a power of two, where those of many components coincide; locations are
    kept, because there may be kinks.
    """
    offsets = standard_of(dist.family).edges if offsets is None else offsets
    # Points closer together than float64 numbers near the mean would all be the same.
    scales = np.maximum(dist.scales, np.spacing(np.abs(dist.means)))[..., None]
    places = dist.means[..., None] + scales * offsets
    gaps = np.diff(offsets)
    gaps = np.minimum(np.append(gaps, gaps[-1]), np.append(gaps[0], gaps))
    unit = 2.0 ** np.floor(np.log2(scales * gaps))
    rounded = np.round(places / unit) * unit
    rounded[..., offsets == 0] = places[..., offsets == 0]
    return distinct(rounded.reshape(len(dist), dist.n_components * len(offsets)))


def ppf(dist, levels, upper=False):
    """Quantiles of levels (n or 1, m), counted from above if `upper`."""
    elements, n_columns = Elements(dist), levels.shape[1]
    out = np.empty(len(dist) * n_columns)
    step = max(1, _BLOCK // dist.n_components)
    for first in range(0, out.size, step):
        which = np.arange(first, min(first + step, out.size))
        rows, columns = np.divmod(which, n_columns)
        level = levels[rows if len(levels) > 1 else 0, columns]
        # Levels above 1/2 are exact as tails from the other end.
        for far in (False, True):
            chosen = (level > 0.5) == far
            tails = 1 - level[chosen] if far else level[chosen]
            out[which[chosen]] = _quantiles(elements, rows[chosen], tails, far != upper)
    return out.reshape(len(dist), n_columns)


def _quantiles(elements, rows, level, upper):
    """Newton's method on the log of the tail, between the components' quantiles."""
    own = elements.standard.quantile(level, upper)
    ends = elements.means[:, 0, rows] + elements.scales[:, 0, rows] * own
    has_weight = elements.weights[:, rows] > 0
    low = np.min(ends, axis=0, where=has_weight, initial=np.inf)
    high = np.max(ends, axis=0, where=has_weight, initial=-np.inf)
    sign = -1.0 if upper else 1.0

    def excess(y, which):
        tail = elements.tail(rows[which], y, sign)
        density = np.exp(elements.log_density(rows[which], y[None]))
        return sign * np.log(tail / level[which]), density / tail

    with np.errstate(divide="ignore", invalid="ignore"):
        start = np.sum(elements.weights[:, rows] * ends, axis=0)
        return find_roots(excess, low, high, start)


def log_overlaps(dist, i):
    """Log of w_j times the integral of f_i f_j, all components j of each row."""
    standard = standard_of(dist.family)
    weights, means, scales = dist._with_axis_of_outputs()
    n_panels = 2 * len(standard.edges) - 1
    with np.errstate(divide="ignore"):
        total = np.log(weights)
    step = max(1, _BLOCK // (dist.n_components * n_panels * 16))
    for first in range(0, len(dist), step):
        rows = slice(first, first + step)
        for d in range(dist.n_outputs):
            mu, sigma = means[rows, :, d, None], scales[rows, :, d, None]
            pairs = [(mu, sigma), (mu[:, i, None], sigma[:, i, None])]
            edges = [
                np.broadcast_to(
                    m + s * standard.edges, (*mu.shape[:2], len(standard.edges))
                )
                for m, s in pairs
            ]
            nodes, node_weights = nodes_between(np.sort(np.concatenate(edges, axis=2)))
            log_f = [
                standard.log_density((nodes - m) / s)[0] - np.log(s) for m, s in pairs
            ]
            with np.errstate(divide="ignore", under="ignore"):
                integral = np.sum(node_weights * np.exp(log_f[0] + log_f[1]), axis=2)
                total[rows] += np.log(integral)
    return total


def log_sum(terms):
    """Logarithm of the sum over the first axis of exponentials."""
    best = terms.max(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = best + np.log(np.sum(np.exp(terms - best), axis=0))
    return np.where(best == -np.inf, -np.inf, total)
