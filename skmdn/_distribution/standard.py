# SPDX-License-Identifier: BSD-3-Clause
"""The standard component of a family, as arrays ask about it."""

import math
from functools import cache, cached_property

import numpy as np

from skmdn._distribution.kernels.component import standard_loop
from skmdn._families import find_family

# Panels end where the tail is exp(-t): log-densities of mixtures are close to
# polynomials on them, whatever the family.
_TAILS = np.array([1.0, 2.0, 4.0, 7.0, 11.0, 16.0, 24.0, 36.0, 46.0])
N_NODES = 16
_FARTHEST = 1e300
_TINY, _N_LAGUERRE = 1e-290, 24


class Standard:
    """What every family answers with: the component of location 0 and scale 1.

    Parameters
    ----------
    family : Family

    Attributes
    ----------
    edges : ndarray
        Ends of panels on which every integral is taken: 0, where the density may have a
        kink, and on both sides quantiles as far as there is mass.
    """

    def __init__(self, family):
        self.name = family.name
        self._loop = standard_loop(family)
        self._closed, self._numerical = family.standard, family.numerical
        levels = np.exp(-_TAILS)
        self.edges = np.concatenate(
            [self._closed.ppf(levels[::-1]), [0.0], self._closed.isf(levels)]
        )

    def log_density(self, z):
        """Log-density and its derivative."""
        z = np.ascontiguousarray(np.clip(z, -_FARTHEST, _FARTHEST))
        value, slope = np.empty(z.shape), np.empty(z.shape)
        self._loop(z.reshape(-1), value.reshape(-1), slope.reshape(-1))
        return value, slope

    def tail(self, z, sign=1.0):
        """P(Z <= z), or P(Z > z) if sign is -1."""
        return self._closed.cdf(z) if sign > 0 else self._closed.sf(z)

    def log_tail(self, z, sign=1.0):
        """Logarithm of `tail`, also where that is 0.

        There the tail is the density at z times the mean of exp(log f - its tangent),
        a smooth function, over an exponential distribution: Gauss-Laguerre quadrature.
        """
        tail = self.tail(z, sign)
        value = np.log(tail)
        deep = (tail < _TINY) & np.isfinite(z)
        if np.any(deep):
            start, (u, w) = z[deep], np.polynomial.laguerre.laggauss(_N_LAGUERRE)
            log_f, slope = self.log_density(start)
            inner = start[:, None] - u / slope[:, None]
            bend = self.log_density(inner)[0] - log_f[:, None] + u
            value[deep] = log_f - np.log(np.abs(slope)) + np.log(np.exp(bend) @ w)
        return value

    def quantile(self, level, upper=False):
        """Inverse of `tail`."""
        return self._closed.isf(level) if upper else self._closed.ppf(level)

    def tail_moment(self, z, order, sign=1.0):
        """E[(z - Z)^order; Z < z] for order 1 or 2, or that above if sign is -1."""
        if sign > 0:
            return self._numerical.shortage(z, order)
        return self._numerical.excess(z, order)

    @cached_property
    def is_symmetric(self):
        """Whether the density is the same on both sides."""
        z = np.array([0.1, 0.7, 1.9, 4.3, 11.0])
        left, right = self.log_density(-z)[0], self.log_density(z)[0]
        return bool(np.allclose(left, right, rtol=1e-12))

    @cached_property
    def moments(self):
        """Mean, standard deviation, skewness and excess kurtosis."""
        m1, m2, m3, m4 = (float(self._closed.moment(order)) for order in (1, 2, 3, 4))
        if self.is_symmetric:
            m1, m3 = 0.0, 0.0  # exactly
        var = m2 - m1**2
        third = m3 - 3 * m1 * m2 + 2 * m1**3
        fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
        return m1, math.sqrt(var), third / var**1.5, fourth / var**2 - 3

    @cached_property
    def entropy(self):
        """Differential entropy, in nats."""
        nodes, mass = self.panel_rule(N_NODES)
        return float(-np.sum(mass * self.log_density(nodes)[0]))

    def panel_rule(self, n_nodes):
        """Nodes and weights of E f(Z) for smooth f, `n_nodes` on every panel."""
        nodes, node_weights = nodes_between(self.edges, n_nodes)
        return nodes, node_weights * np.exp(self.log_density(nodes)[0])

    def gauss_rule(self, n_nodes):
        """Nodes and weights of E f(Z), exact for polynomials below ``2 * n_nodes``.

        W. Gautschi, Orthogonal Polynomials, 2004, section 2.2.3: Lanczos' algorithm for
        the density at the nodes of a rule with many more.
        """
        many, node_weights = nodes_between(self._numerical.edges)
        mass = node_weights * np.exp(self.log_density(many)[0])
        many, mass = many[mass > 0], mass[mass > 0]
        basis = np.zeros((n_nodes + 1, len(many)))
        basis[0] = np.sqrt(mass / mass.sum())
        diagonal, beside = np.zeros(n_nodes), np.zeros(n_nodes)
        for i in range(n_nodes):
            following = many * basis[i]
            diagonal[i] = following @ basis[i]
            for _ in range(2):  # "twice is enough"
                following = following - (basis[: i + 1] @ following) @ basis[: i + 1]
            beside[i] = np.linalg.norm(following)
            basis[i + 1] = following / beside[i]
        jacobi = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
        nodes, vectors = np.linalg.eigh(jacobi)
        return nodes, vectors[0] ** 2


@cache
def _standard(family):
    return Standard(family)


def standard_of(name):
    """Return the `Standard` of a family, by its name."""
    return _standard(find_family(name))


def nodes_between(edges, n_nodes=N_NODES):
    """Gauss-Legendre nodes and weights on all panels between edges (..., m)."""
    x, w = np.polynomial.legendre.leggauss(n_nodes)
    half = 0.5 * np.diff(edges, axis=-1)[..., None]
    nodes = edges[..., :-1, None] + half * (1 + x)
    shape = (*edges.shape[:-1], (edges.shape[-1] - 1) * n_nodes)
    return nodes.reshape(shape), (half * w).reshape(shape)
