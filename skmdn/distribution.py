# SPDX-License-Identifier: BSD-3-Clause
"""Mixtures of Gaussians, one for every row: the answer of a mixture density network."""

import numpy as np
from scipy import special

from skmdn._distribution.checks import (
    check_integer,
    check_levels,
    check_mixture,
    check_points,
    check_values,
    new_generator,
)

_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


class MixtureDistribution:
    """Mixtures of Gaussians, one for every row.

    Parameters
    ----------
    weights : array-like of shape (n_rows, n_components)
        Not negative; every row sums to 1.
    means : array-like of shape (n_rows, n_components[, n_outputs])
        Without the last axis: one output.
    scales : array-like of the shape of `means`, or (n_rows, n_components, 1)
        Standard deviations, positive. A last axis of 1: the same for all outputs.
    """

    def __init__(self, weights, means, scales):
        self.weights, self.means, self.scales = check_mixture(weights, means, scales)

    @classmethod
    def _of(cls, weights, means, scales):
        """Put arrays together that are valid already."""
        dist = object.__new__(cls)
        dist.weights, dist.means, dist.scales = map(
            np.ascontiguousarray, (weights, means, scales)
        )
        return dist

    @property
    def n_components(self):
        """Components of every row."""
        return self.weights.shape[1]

    @property
    def n_outputs(self):
        """Outputs of the joint distribution."""
        return 1 if self.means.ndim == 2 else self.means.shape[2]

    def __len__(self):
        return len(self.weights)

    def __getitem__(self, rows):
        if isinstance(rows, (int, np.integer)):
            rows = [rows]
        return self._of(self.weights[rows], self.means[rows], self.scales[rows])

    def __repr__(self):
        return (
            f"MixtureDistribution(rows={len(self)}, components={self.n_components}, "
            f"outputs={self.n_outputs})"
        )

    def _one_output(self, method):
        if self.n_outputs != 1:
            raise ValueError(
                f"{method} is for one output, this distribution has {self.n_outputs}: "
                f"take marginal(j) or condition(j, value) first."
            )
        return self.means.reshape(self.weights.shape), self.scales.reshape(
            self.weights.shape
        )

    def logpdf(self, y):
        """Log-density, joint for several outputs."""
        y, shape = check_points("y", y, len(self), self.n_outputs)
        means = self.means.reshape(*self.weights.shape, -1)
        scales = self.scales.reshape(*self.weights.shape, -1)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            z = (y[:, :, None, :] - means[:, None]) / scales[:, None]
            terms = np.sum(
                -0.5 * z * z - np.log(scales[:, None]) - _HALF_LOG_2PI, axis=-1
            )
            terms += np.log(self.weights)[:, None]
            value = special.logsumexp(terms, axis=-1)
        return value.reshape(shape)

    def pdf(self, y):
        """Density, joint for several outputs."""
        return np.exp(self.logpdf(y))

    def cdf(self, y):
        """P(Y <= y)."""
        means, scales = self._one_output("cdf")
        y, shape = check_values("y", y, len(self))
        z = (y[:, :, None] - means[:, None]) / scales[:, None]
        return np.minimum(
            np.einsum("nk,nmk->nm", self.weights, special.ndtr(z)), 1
        ).reshape(shape)

    def sf(self, y):
        """P(Y > y)."""
        means, scales = self._one_output("sf")
        y, shape = check_values("y", y, len(self))
        z = (y[:, :, None] - means[:, None]) / scales[:, None]
        return np.minimum(
            np.einsum("nk,nmk->nm", self.weights, special.ndtr(-z)), 1
        ).reshape(shape)

    def ppf(self, q):
        """Quantiles."""
        self._one_output("ppf")
        q, shape = check_levels("q", q, len(self))
        return self._quantile(q, upper=False).reshape(shape)

    def isf(self, q):
        """Upper quantiles."""
        self._one_output("isf")
        q, shape = check_levels("q", q, len(self))
        return self._quantile(q, upper=True).reshape(shape)

    def _quantile(self, p, upper):
        means, scales = self._one_output("ppf")
        q = np.broadcast_to(p, (len(self), p.shape[1]))
        w, m, s = self.weights[:, None], means[:, None], scales[:, None]
        z = special.ndtri(q)[..., None]
        ends = m - s * z if upper else m + s * z
        ends[np.broadcast_to(w == 0, ends.shape)] = np.nan
        low, high = np.nanmin(ends, -1), np.nanmax(ends, -1)
        x = np.where(np.isfinite(low + high), 0.5 * low + 0.5 * high, low)
        for _ in range(120):
            done = ~((high > low) & np.isfinite(low) & np.isfinite(high))
            if np.all(done):
                break
            t = (x[..., None] - m) / s
            c, u = (w * special.ndtr(t)).sum(-1), (w * special.ndtr(-t)).sum(-1)
            f = (w * np.exp(-0.5 * t * t) / s).sum(-1) / np.sqrt(2 * np.pi)
            error = (q - u) if upper else (c - q)
            small = (q > 0.5) & ~done
            error = np.where(small, (c - (1 - q)) if upper else ((1 - q) - u), error)
            low = np.where(~done & (error <= 0), x, low)
            high = np.where(~done & (error >= 0), x, high)
            with np.errstate(all="ignore"):
                new = x - error / f
                new = np.where((new > low) & (new < high), new, 0.5 * (low + high))
            stop = np.abs(new - x) <= 1e-16 * np.abs(x)
            x = np.where(done, x, new)
            high = np.where(stop & ~done, x, high)
            low = np.where(stop & ~done, x, low)
        return x

    def median(self):
        """Quantile of level 1/2."""
        return self.ppf(0.5)

    def mean(self):
        """Mean, (n_rows,) or (n_rows, n_outputs)."""
        weights = self.weights.reshape(self.weights.shape + (1,) * (self.means.ndim - 2))
        return np.sum(weights * self.means, axis=1)

    def var(self):
        """Variance, of every output."""
        weights = self.weights.reshape(self.weights.shape + (1,) * (self.means.ndim - 2))
        deviation = self.means - self.mean()[:, None]
        return np.sum(weights * (self.scales**2 + deviation**2), axis=1)

    def std(self):
        """Standard deviation, of every output."""
        return np.sqrt(self.var())

    def sample(self, size=None, random_state=None):
        """Draw: (n_rows[, n_outputs][, size])."""
        n_draws = 1 if size is None else check_integer("size", size, 0)
        rng = new_generator(random_state)
        n, k = self.weights.shape
        edges = np.cumsum(self.weights, axis=1)
        u = rng.uniform(size=(n, n_draws)) * edges[:, -1:]
        chosen = np.zeros((n, n_draws), dtype=np.intp)
        for j in range(k - 1):
            chosen += u >= edges[:, j : j + 1]
        rows = np.arange(n)[:, None]
        if self.means.ndim == 2:
            noise = rng.standard_normal((n, n_draws))
            draws = self.means[rows, chosen] + self.scales[rows, chosen] * noise
        else:
            noise = rng.standard_normal((n, n_draws, self.n_outputs))
            draws = self.means[rows, chosen] + self.scales[rows, chosen] * noise
            draws = np.swapaxes(draws, 1, 2)
        return draws[..., 0] if size is None else draws
