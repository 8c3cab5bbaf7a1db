# SPDX-License-Identifier: BSD-3-Clause
"""The standard component of a family by quadrature and inversion, exact to 1e-10.

The density is interpolated by Chebyshev polynomials on panels that are as narrow as it
asks for; its integrals are polynomials again, and so are the integrals of these.

References
----------
L. N. Trefethen, Approximation Theory and Approximation Practice, 2013, chapters 8, 19.
"""

import math
from functools import cached_property

import numpy as np
from numpy.polynomial import chebyshev

from skmdn._families.roots import find_roots

_DEGREE = 18
# Within a panel the density falls by no more than exp(-10): what is far out in a tail
# is then as precise, relative to itself, as the bulk.
_STEEPEST = 10.0
_NARROWEST = 1e-3
_EXACT, _ROUNDING = 1e-14, 4e-16  # of the panel's largest density; of its logarithm
_LOWEST = -700.0  # log-densities beyond are zero
_FARTHEST = 2.0**40


class Numerical:
    """Distribution function, quantiles and moments of a density with one peak at 0.

    Parameters
    ----------
    log_density : callable
        See `skmdn._families.base.Family`; with a precision of 1.
    log_normaliser : float
    """

    def __init__(self, log_density, log_normaliser):
        self._log_density, self._log_normaliser = log_density, log_normaliser

    def _logpdf(self, z):
        return self._log_density(z, 1.0)[0] - self._log_normaliser

    @cached_property
    def _tables(self):
        """Edges of the panels and, for each, the polynomials of 0 to 3 integrations.

        Both tails are integrated from their far ends, where they are small.
        """
        upper = self._panels(1.0)
        lower = [(-b, -a) for a, b in reversed(self._panels(-1.0))]
        panels = np.array(lower + upper)
        nodes = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
        middle, half = panels.mean(axis=1), 0.5 * np.diff(panels, axis=1)[:, 0]
        z = middle[:, None] + half[:, None] * nodes
        density = np.exp([[self._logpdf(x) for x in row] for row in z.tolist()])
        pdf = np.linalg.solve(chebyshev.chebvander(nodes, _DEGREE), density.T).T
        below, above = [pdf], [pdf]
        for _ in range(3):
            below.append(_integrals(below[-1], half, from_left=True))
            above.append(_integrals(above[-1], half, from_left=False))
        by_degree = [
            [np.ascontiguousarray(t.T) for t in side] for side in (below, above)
        ]
        return panels, *by_degree

    @property
    def edges(self):
        """Ends of the panels, as far as the density is above 0."""
        return np.unique(self._tables[0])

    def _panels(self, sign):
        """Panels from 0 outwards, as pairs of distances."""
        panels, start, width = [], 0.0, 0.25
        while start < _FARTHEST and self._logpdf(sign * start) > _LOWEST:
            end = start + width
            while width > _NARROWEST and not self._is_smooth(sign, start, end):
                width *= 0.5
                end = start + width
            panels.append((start, end))
            start, width = end, 2 * width
        return panels

    def _is_smooth(self, sign, a, b):
        logs = [self._logpdf(sign * (a + (b - a) * t)) for t in _PROBES]
        if max(logs) - min(logs) > _STEEPEST:
            return False
        values = np.exp(np.array(logs) - max(logs))
        allowed = _EXACT + _ROUNDING * abs(min(logs))
        return np.abs(_TO_TAIL @ values).max() < allowed

    def _evaluate(self, tables, z):
        """Value of the panels' polynomials at z, and where z is beyond all panels."""
        panels = self._tables[0]
        z = np.asarray(z, dtype=float)
        which = np.clip(np.searchsorted(panels[:, 1], z), 0, len(panels) - 1)
        left, right = panels[which, 0], panels[which, 1]
        inside = np.clip(z, left, right)
        t = (2 * inside - left - right) / (right - left)
        # Clenshaw's recurrence; a table of one degree stays in the cache.
        value, before = np.zeros(z.shape), np.zeros(z.shape)
        for degree in range(len(tables) - 1, 0, -1):
            value, before = 2 * t * value - before + tables[degree][which], value
        value = t * value - before + tables[0][which]
        return value, z - inside

    def pdf(self, z):
        """Density."""
        value, beyond = self._evaluate(self._tables[1][0], z)
        return np.where(beyond == 0, np.maximum(value, 0.0), 0.0)

    def cdf(self, z):
        """P(Z <= z), relatively precise in the lower tail."""
        value, beyond = self._evaluate(self._tables[1][1], z)
        return np.where(beyond < 0, 0.0, np.clip(value, 0.0, 1.0))

    def sf(self, z):
        """P(Z > z), relatively precise in the upper tail."""
        value, beyond = self._evaluate(self._tables[2][1], z)
        return np.where(beyond > 0, 0.0, np.clip(value, 0.0, 1.0))

    def excess(self, z, order=1):
        """E[(Z - z)^order; Z > z] for order 1 or 2."""
        value, beyond = self._evaluate(self._tables[2][order + 1], z)
        value = math.factorial(order) * np.maximum(value, 0.0)
        if order == 2:
            first = self._evaluate(self._tables[2][2], z)[0]
            value = np.where(beyond < 0, value - 2 * beyond * first + beyond**2, value)
        else:
            value = np.where(beyond < 0, value - beyond, value)
        return np.where(beyond > 0, 0.0, value)

    def shortage(self, z, order=1):
        """E[(z - Z)^order; Z < z] for order 1 or 2."""
        value, beyond = self._evaluate(self._tables[1][order + 1], z)
        value = math.factorial(order) * np.maximum(value, 0.0)
        if order == 2:
            first = self._evaluate(self._tables[1][2], z)[0]
            value = np.where(beyond > 0, value + 2 * beyond * first + beyond**2, value)
        else:
            value = np.where(beyond > 0, value + beyond, value)
        return np.where(beyond < 0, 0.0, value)

    def ppf(self, q):
        """Quantiles: the inverse of `cdf`."""
        return self._invert(self.cdf, 1.0, q)

    def isf(self, q):
        """Quantiles counted from above: the inverse of `sf`."""
        return -self._invert(lambda z: self.sf(-z), -1.0, q)

    def _invert(self, tail, sign, q):
        """Inverse of an increasing tail: the panel, then Newton steps on its log."""
        q = np.asarray(q, dtype=float)
        level = q.ravel()
        edges = np.sort(sign * self.edges)
        right = np.clip(np.searchsorted(tail(edges), level), 1, len(edges) - 1)
        low, high = edges[right - 1], edges[right]

        def excess(z, which):
            value = tail(z)
            return np.log(value / level[which]), self.pdf(sign * z) / value

        with np.errstate(divide="ignore", invalid="ignore"):
            z = find_roots(excess, low, high, 0.5 * low + 0.5 * high)
        z = np.where(level == 0, -np.inf, np.where(level == 1, np.inf, z))
        return z.reshape(q.shape)

    def moment(self, order):
        """E[Z^order] about 0."""
        panels = self._tables[0]
        x, w = np.polynomial.legendre.leggauss(_DEGREE)
        middle, half = panels.mean(axis=1), 0.5 * np.diff(panels, axis=1)[:, 0]
        z = middle[:, None] + half[:, None] * x
        return float(np.sum(half[:, None] * w * z**order * self.pdf(z)))


def _integrals(coefficients, half, *, from_left):
    """Polynomials of the integral up to a point, or from it on, panel by panel."""
    integral = half[:, None] * np.array(
        [chebyshev.chebint(row, lbnd=-1.0) for row in coefficients]
    )
    total = np.sum(integral, axis=1)  # at the right end, where every T_k is 1
    if from_left:
        integral[:, 0] += np.concatenate([[0.0], np.cumsum(total[:-1])])
        return integral
    beyond = np.concatenate([np.cumsum(total[::-1])[::-1][1:], [0.0]])
    integral *= -1
    integral[:, 0] += total + beyond
    return integral


_PROBES = 0.5 - 0.5 * np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
# The last two Chebyshev coefficients of values at the probes: 0 for smooth functions.
_TO_TAIL = np.linalg.inv(chebyshev.chebvander(2 * _PROBES - 1, _DEGREE))[-2:]
