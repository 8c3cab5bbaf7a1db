# SPDX-License-Identifier: BSD-3-Clause
"""Methods of `MixtureDistribution`: proper scores and divergences."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from skmdn._distribution import evaluate, joint
from skmdn._distribution.boxes import rosenblatt
from skmdn._distribution.checks import (
    check_integer,
    check_points,
    check_values,
    new_generator,
)
from skmdn._distribution.energy import distance_to_points, distance_within
from skmdn._distribution.general import log_overlaps
from skmdn._distribution.quadrature import (
    adaptive_integral,
    joint_edges,
    line_size,
    row_blocks,
)
from skmdn._typing import FloatArray, Seed


class Scores:
    """Scores of every row at observed targets: lower is better.

    Abstract: the parameters are those of `MixtureDistribution`.
    """

    def log_loss(self, y: ArrayLike) -> FloatArray:
        """Negative log-density, joint for several outputs.

        Parameters
        ----------
        y : array-like
            As for `logpdf`.

        Returns
        -------
        loss : ndarray of shape (n_rows,), or (n_rows, m) for a grid
            In nats.

        Raises
        ------
        ValueError
            If `y` has another shape or is NaN.
        """
        return -self.logpdf(y)

    def pit(self, y: ArrayLike) -> FloatArray:
        """Probability integral transform: `cdf` at the observed targets.

        Of several outputs Rosenblatt's transform [1]_: of every output given those
        before it. It is exact, and depends on the order of the outputs.

        Parameters
        ----------
        y : array-like
            As for `logpdf`; for several outputs finite.

        Returns
        -------
        pit : ndarray of shape (n_rows[, n_outputs]), or (n_rows, m[, n_outputs]) for \
                a grid
            Uniform on [0, 1] over rows where the distributions are right, those of
            several outputs independent of each other.

        Raises
        ------
        ValueError
            If `y` has another shape, is NaN, or infinite for several outputs.

        References
        ----------
        .. [1] M. Rosenblatt, "Remarks on a multivariate transformation", Ann. Math.
           Statist. 23, 1952.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> corr = [[[[1.0, 0.8], [0.8, 1.0]]]]
        >>> dist = MixtureDistribution(
        ...     [[1.0]], [[[0.0, 0.0]]], [[[1.0, 1.0]]], correlations=corr
        ... )
        >>> dist.pit([1.0, 0.8]).round(4)
        array([[0.8413, 0.5   ]])
        """
        if self.n_outputs == 1:
            return self.cdf(y)
        points, shape = check_points("y", y, len(self), self.n_outputs, finite=True)
        return rosenblatt(self, points).reshape(*shape, self.n_outputs)

    def crps(self, y: ArrayLike) -> FloatArray:
        r"""Continuous ranked probability score, one output, in closed form.

        :math:`E|Y - y| - \frac12 E|Y - Y'| = \int (F(t) - 1[y \le t])^2 dt` [1]_. Of
        hundreds of Gaussians :math:`E|Y - Y'|` is mostly an integral that the
        trapezoidal rule gives to 1e-12.

        Parameters
        ----------
        y : array-like
            A number, (n_rows,) or a grid ([n_rows or 1], m); finite.

        Returns
        -------
        crps : ndarray of shape (n_rows,), or (n_rows, m) for a grid
            In units of y; lower is better.

        Raises
        ------
        ValueError
            If there are several outputs, or `y` has another shape or is not finite.

        References
        ----------
        .. [1] E. P. Grimit, T. Gneiting, V. J. Berrocal and N. A. Johnson, "The
           continuous ranked probability score for circular variables and its
           application to mesoscale forecast ensemble verification", Q. J. R. Meteorol.
           Soc. 132, 2006, equations 5 and 6.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[0.5, 0.5]], [[-3.0, 3.0]], [[0.5, 0.5]])
        >>> dist.crps(0.0).round(4)
        array([1.359])
        """
        self._check_one_output("crps")
        values, shape = check_values("y", y, len(self), finite=True)
        score = evaluate.mean_distance(self, values)
        within = evaluate.self_distance(self)
        within *= 0.5
        score -= within[:, None]
        return np.maximum(score, 0.0, out=score).reshape(shape)

    def energy_score(
        self, y: ArrayLike, *, n_samples: int | None = None, random_state: Seed = None
    ) -> FloatArray:
        r"""Energy score, the CRPS of several outputs together.

        :math:`E\|Y - y\| - \frac12 E\|Y - Y'\|` [1]_ with Euclidean distances: scale
        the outputs to comparable units first.

        Parameters
        ----------
        y : array-like of shape (n_outputs,), (n_rows, n_outputs) or \
                ([n_rows or 1], m, n_outputs)
            Targets, finite. For one output as for `crps`, which it equals.
        n_samples : int, default=None
            None: quadrature, exact to 1e-9, of Gaussians only; of correlated ones along
            the principal axes of each covariance. Its time grows with the square of
            `n_components`, 16 ms a row of 400, 160 ms with correlations; a number is
            the mean over so many draws.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws.

        Returns
        -------
        score : ndarray of shape (n_rows,), or (n_rows, m) for a grid
            Lower is better.

        Raises
        ------
        ValueError
            If `y` has another shape or is not finite, or `n_samples` is not an integer
            of at least 2, or None for another family than Gaussians.

        References
        ----------
        .. [1] T. Gneiting and A. E. Raftery, "Strictly proper scoring rules,
           prediction, and estimation", J. Am. Stat. Assoc. 102, 2007, section 4.3.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[1.0]], [[[0.0, 0.0]]], [[[1.0, 1.0]]])
        >>> dist.energy_score([0.0, 0.0]).round(4)
        array([0.3671])
        """
        if self.n_outputs == 1:
            return self.crps(y)
        points, shape = check_points("y", y, len(self), self.n_outputs, finite=True)
        if n_samples is None:
            if not evaluate.is_gaussian(self):
                raise ValueError(
                    "n_samples must be an integer for several outputs of the family "
                    f"{self.family!r}: only Gaussians have a closed form."
                )
            score = distance_to_points(self, points)
            return (score - 0.5 * distance_within(self)[:, None]).reshape(shape)
        n_samples = check_integer("n_samples", n_samples, 2)
        rng = new_generator(random_state)
        score = np.empty((len(self), points.shape[1]))
        size = n_samples * self.n_outputs * points.shape[1]
        for rows in row_blocks(len(self), size):
            draws = self[rows].sample(n_samples, random_state=rng)
            others = self[rows].sample(n_samples, random_state=rng)
            within = _length(draws - others, axis=1).mean(axis=1)
            at = points if len(points) == 1 else points[rows]
            to = _length(draws[:, None] - at[..., None], axis=2).mean(axis=2)
            score[rows] = to - 0.5 * within[:, None]
        return score.reshape(shape)

    def cde_loss(self, y: ArrayLike) -> FloatArray:
        r"""Loss of conditional density estimation, in closed form.

        :math:`\int f(t)^2 dt - 2 f(y)` [1]_: the integrated squared error of the
        density up to a constant.

        Parameters
        ----------
        y : array-like
            As for `logpdf`.

        Returns
        -------
        loss : ndarray of shape (n_rows,), or (n_rows, m) for a grid
            Like a density, per unit of y.

        Raises
        ------
        ValueError
            If `y` has another shape or is NaN.

        References
        ----------
        .. [1] R. Izbicki and A. B. Lee, "Converting high-dimensional regression to
           high-dimensional conditional density estimation", Electron. J. Stat. 11,
           2017, equation 7.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[1.0]], [[0.0]], [[1.0]])
        >>> dist.cde_loss(0.0).round(4)
        array([-0.5158])
        """
        density = self.pdf(y)
        overlaps = [
            special.logsumexp(self._log_overlaps(i), axis=1)
            for i in range(self.n_components)
        ]
        log_squared = special.logsumexp(overlaps, axis=0, b=self.weights.T)
        log_squared = log_squared.reshape(len(self), *[1] * (density.ndim - 1))
        loss = np.exp(log_squared) - 2 * density
        if np.isnan(loss).any():  # Both are beyond float64: the greater one decides.
            larger = log_squared > np.log(2) + self.logpdf(y)
            loss = np.where(np.isnan(loss), np.where(larger, np.inf, -np.inf), loss)
        return loss

    def _log_overlaps(self, i):
        """Log of w_j times the integral of f_i f_j, all components j of each row."""
        if not evaluate.is_gaussian(self):
            return log_overlaps(self, i)
        if self._factors is not None:
            return joint.log_overlaps(self, i)
        weights, means, scales = self._with_axis_of_outputs()
        scale = np.hypot(scales, scales[:, i : i + 1])
        with np.errstate(divide="ignore", over="ignore"):
            z = (means - means[:, i : i + 1]) / scale
            log_scale = np.log(scale).sum(axis=2)
            log_normal = -0.5 * np.sum(z * z + np.log(2 * np.pi), axis=2) - log_scale
            return np.log(weights) + log_normal

    def kl_divergence(self, other: Any) -> FloatArray:
        r"""Kullback-Leibler divergence of every row from that of another distribution.

        :math:`\int f \log(f / g)`, f being this one: quadrature, one output.

        Parameters
        ----------
        other : MixtureDistribution
            As many rows, one output.

        Returns
        -------
        divergence : ndarray of shape (n_rows,)
            In nats; 0 where the two are equal.

        Raises
        ------
        TypeError
            If `other` is no MixtureDistribution.
        ValueError
            If there are several outputs or the number of rows differs.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> f = MixtureDistribution([[1.0]], [[0.0]], [[1.0]])
        >>> g = MixtureDistribution([[1.0]], [[1.0]], [[1.0]])
        >>> f.kl_divergence(g).round(6)
        array([0.5])
        """
        if not isinstance(other, type(self)):
            raise TypeError(
                f"other must be a MixtureDistribution; got {type(other).__name__}."
            )
        self._check_one_output("kl_divergence")
        other._check_one_output("kl_divergence")
        if len(other) != len(self):
            raise ValueError(f"other must have {len(self)} rows; got {len(other)}.")
        divergence = np.empty(len(self))
        size = line_size(self.n_components + other.n_components)
        for rows in row_blocks(len(self), size):
            divergence[rows] = _divergence(self[rows], other[rows])
        return np.maximum(divergence, 0.0)


def _length(vectors, axis):
    """Euclidean length; squares of huge or tiny numbers would leave float64."""
    unit = np.abs(vectors).max(axis=axis, keepdims=True, initial=0.0)
    unit[unit == 0] = 1.0
    return np.linalg.norm(vectors / unit, axis=axis) * unit.squeeze(axis)


def _divergence(f, g):
    # Adaptively: far from its components log g has kinks where their order changes.
    centre = f.means[np.arange(len(f)), np.argmax(f.weights, axis=1)][:, None]
    f, g = (part._replace(means=part.means - centre) for part in (f, g))

    def integrand(rows, nodes):
        log_f = f[rows].logpdf(nodes)
        density = np.exp(log_f)
        log_ratio = log_f - g[rows].logpdf(nodes)
        return np.where(density > 0, density * log_ratio, 0.0)

    return adaptive_integral(integrand, joint_edges(f, g))
