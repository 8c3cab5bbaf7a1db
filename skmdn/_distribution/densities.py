# SPDX-License-Identifier: BSD-3-Clause
"""Methods of `MixtureDistribution`: density, distribution function, quantiles."""

import numpy as np
from numpy.typing import ArrayLike

from skmdn._distribution import evaluate
from skmdn._distribution.boxes import probability_of_boxes
from skmdn._distribution.checks import (
    check_levels,
    check_points,
    check_values,
)
from skmdn._typing import FloatArray


class Densities:
    """Density, distribution function, quantiles, probabilities.

    Abstract: the parameters are those of `MixtureDistribution`.
    """

    def logpdf(self, y: ArrayLike) -> FloatArray:
        """Log-density, joint for several outputs.

        Parameters
        ----------
        y : array-like
            For one output a number, (n_rows,) or a grid ([n_rows or 1], m). For several
            outputs a point (n_outputs,), (n_rows, n_outputs) or a grid
            ([n_rows or 1], m, n_outputs). May be infinite.

        Returns
        -------
        logpdf : ndarray of shape (n_rows,), or (n_rows, m) for a grid
            In nats. Finite up to 1e150 scales away, -inf beyond 1e154.

        Raises
        ------
        ValueError
            If `y` has another shape or is NaN.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[1.0], [1.0]], [[0.0], [5.0]], [[1.0], [2.0]])
        >>> dist.logpdf([0.0, 5.0]).round(4)
        array([-0.9189, -1.6121])
        >>> dist.logpdf([[0.0, 1.0, 2.0]]).shape
        (2, 3)
        """
        points, shape = check_points("y", y, len(self), self.n_outputs)
        return evaluate.logpdf(self, points).reshape(shape)

    def pdf(self, y: ArrayLike) -> FloatArray:
        """Density, joint for several outputs.

        Parameters
        ----------
        y : array-like
            As for `logpdf`.

        Returns
        -------
        pdf : ndarray of shape (n_rows,), or (n_rows, m) for a grid
            Per unit of y (product of the units of several outputs).

        Raises
        ------
        ValueError
            If `y` has another shape or is NaN.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[0.5, 0.5]], [[-1.0, 1.0]], [[1.0, 1.0]])
        >>> dist.pdf(0.0).round(6)
        array([0.241971])
        """
        logpdf = self.logpdf(y)
        return np.exp(logpdf, out=logpdf)

    def cdf(self, y: ArrayLike) -> FloatArray:
        """Distribution function P(Y <= y): that all outputs are up to their values.

        Parameters
        ----------
        y : array-like
            As for `logpdf`. May be infinite.

        Returns
        -------
        cdf : ndarray of shape (n_rows,), or (n_rows, m) for a grid
            Relative precision in the lower tail; use `sf` for the upper one. Of
            correlated outputs as precise as `prob`.

        Raises
        ------
        ValueError
            If `y` has another shape or is NaN.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[0.5, 0.5]], [[-3.0, 3.0]], [[0.5, 0.5]])
        >>> dist.cdf(0.0)
        array([0.5])
        """
        points, shape = check_points("y", y, len(self), self.n_outputs)
        if self.n_outputs > 1:
            lower = np.full((1, 1, self.n_outputs), -np.inf)
            return probability_of_boxes(self, lower, points).reshape(shape)
        return evaluate.cdf(self, points[..., 0]).reshape(shape)

    def sf(self, y: ArrayLike) -> FloatArray:
        """Survival function P(Y > y), one output.

        Parameters
        ----------
        y : array-like
            As for `cdf`.

        Returns
        -------
        sf : ndarray of shape (n_rows,), or (n_rows, m) for a grid
            Relative precision in the upper tail, where ``1 - cdf(y)`` has none.

        Raises
        ------
        ValueError
            If there are several outputs, or `y` has another shape or is NaN.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[1.0]], [[0.0]], [[1.0]])
        >>> float(dist.sf(10.0)[0])  # doctest: +ELLIPSIS
        7.6198530241...e-24
        """
        self._check_one_output("sf")
        values, shape = check_values("y", y, len(self))
        return evaluate.cdf(self, values, -1.0).reshape(shape)

    def logcdf(self, y: ArrayLike) -> FloatArray:
        """Logarithm of `cdf`, one output.

        Parameters
        ----------
        y : array-like
            As for `cdf`.

        Returns
        -------
        logcdf : ndarray of shape (n_rows,), or (n_rows, m) for a grid
            In nats. Relative precision in both tails, also where `cdf` is 0 or 1.

        Raises
        ------
        ValueError
            If there are several outputs, or `y` has another shape or is NaN.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[1.0]], [[0.0]], [[1.0]])
        >>> dist.logcdf([[-100.0, 10.0]])
        array([[-5.00552421e+03, -7.61985302e-24]])
        """
        self._check_one_output("logcdf")
        values, shape = check_values("y", y, len(self))
        return self._log_tail(values, 1.0).reshape(shape)

    def logsf(self, y: ArrayLike) -> FloatArray:
        """Logarithm of `sf`, one output.

        Parameters
        ----------
        y : array-like
            As for `cdf`.

        Returns
        -------
        logsf : ndarray of shape (n_rows,), or (n_rows, m) for a grid
            In nats. Relative precision in both tails, also where `sf` is 0 or 1.

        Raises
        ------
        ValueError
            If there are several outputs, or `y` has another shape or is NaN.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[1.0]], [[0.0]], [[1.0]])
        >>> dist.logsf(100.0).round(3)
        array([-5005.524])
        """
        self._check_one_output("logsf")
        values, shape = check_values("y", y, len(self))
        return self._log_tail(values, -1.0).reshape(shape)

    def _log_tail(self, values, sign):
        """Log-sum-exp of the tails; near 0 by the other tail, which rounds less."""
        total = np.full((len(self), values.shape[1]), -np.inf)
        for k in range(self.n_components):
            z = (values - self.means[:, k, None]) / self.scales[:, k, None]
            tail = evaluate.standard_log_tail(self, z, sign)
            term = np.log(self.weights[:, k, None]) + tail
            total = np.logaddexp(total, term)
        other = evaluate.cdf(self, values, -sign)
        return np.where(other < 0.5, np.log1p(-other), total)

    def ppf(self, q: ArrayLike) -> FloatArray:
        """Quantiles, the inverse of `cdf`, one output.

        Newton's method on the logarithm of the smaller tail, within a bracket that the
        quantiles of the components give.

        Parameters
        ----------
        q : array-like
            Levels in [0, 1]: a number, a list (m,) for every row, or a grid
            (n_rows, m); one per row is (n_rows, 1).

        Returns
        -------
        ppf : ndarray of shape (n_rows,) for a number, else (n_rows, m)
            -inf for 0, inf for 1.

        Raises
        ------
        ValueError
            If there are several outputs, or `q` has another shape or leaves [0, 1].

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[0.5, 0.5]], [[-3.0, 3.0]], [[0.5, 0.5]])
        >>> dist.ppf([0.25, 0.75])
        array([[-3.,  3.]])
        """
        self._check_one_output("ppf")
        levels, shape = check_levels("q", q, len(self))
        return evaluate.ppf(self, levels).reshape(shape)

    def isf(self, q: ArrayLike) -> FloatArray:
        """Quantiles counted from above, the inverse of `sf`, one output.

        Parameters
        ----------
        q : array-like
            As for `ppf`.

        Returns
        -------
        isf : ndarray of shape (n_rows,) for a number, else (n_rows, m)
            inf for 0, -inf for 1. Precise for levels where ``1 - q`` is rounded.

        Raises
        ------
        ValueError
            If there are several outputs, or `q` has another shape or leaves [0, 1].

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[1.0]], [[0.0]], [[1.0]])
        >>> dist.isf(1e-20).round(6)
        array([9.26234])
        """
        self._check_one_output("isf")
        levels, shape = check_levels("q", q, len(self))
        return evaluate.ppf(self, levels, upper=True).reshape(shape)

    def median(self) -> FloatArray:
        """Median, one output.

        Returns
        -------
        median : ndarray of shape (n_rows,)

        Raises
        ------
        ValueError
            If there are several outputs.
        """
        return self.ppf(0.5)

    def interval(self, coverage: ArrayLike = 0.9) -> tuple[FloatArray, FloatArray]:
        """Central interval, with the same probability on either side; one output.

        Parameters
        ----------
        coverage : float or array-like, default=0.9
            Probability of the interval, in (0, 1): a number, a list (m,) for every row,
            or a grid (n_rows, m).

        Returns
        -------
        lower, upper : ndarray of shape (n_rows,) for a number, else (n_rows, m)

        Raises
        ------
        ValueError
            If there are several outputs, or `coverage` has another shape or is not in
            (0, 1).

        See Also
        --------
        MixtureDistribution.hdr : The shortest region of the same probability.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[1.0]], [[10.0]], [[1.0]])
        >>> lower, upper = dist.interval(0.95)
        >>> lower.round(2), upper.round(2)
        (array([8.04]), array([11.96]))
        """
        self._check_one_output("interval")
        coverage, shape = check_levels("coverage", coverage, len(self), inside=True)
        tail = (1 - coverage) / 2
        lower, upper = evaluate.ppf(self, tail), evaluate.ppf(self, tail, upper=True)
        return lower.reshape(shape), upper.reshape(shape)

    def prob(self, lower: ArrayLike, upper: ArrayLike) -> FloatArray:
        """P(lower < Y <= upper), for several outputs of a box.

        Of several outputs that are independent within the components a product, to
        rounding; of two correlated ones closed form, of three quadrature, to 1e-10; of
        more SciPy's `multivariate_normal`, to about 1e-6, some ten milliseconds for
        each component.

        Parameters
        ----------
        lower, upper : array-like
            Each as `y` of `logpdf`: for one output a number, (n_rows,) or a grid; for
            several the corners of a box. May be infinite.

        Returns
        -------
        prob : ndarray of shape (n_rows,), or (n_rows, m) for a grid

        Raises
        ------
        ValueError
            If a shape does not fit, or a lower bound is above its upper bound.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[0.5, 0.5]], [[-3.0, 3.0]], [[0.5, 0.5]])
        >>> dist.prob(0, float("inf"))
        array([0.5])
        """
        a, shape = check_points("lower", lower, len(self), self.n_outputs)
        b, other = check_points("upper", upper, len(self), self.n_outputs)
        shape = max(shape, other, key=len)
        if not np.all(a <= b):
            raise ValueError(
                f"lower must not be above upper; got {lower!r} and {upper!r}."
            )
        if self.n_outputs > 1:
            return probability_of_boxes(self, a, b).reshape(shape)
        a, b = a[..., 0], b[..., 0]
        # The difference of the smaller tails, which round less.
        below, above = evaluate.cdf(self, b), evaluate.cdf(self, a, -1.0)
        from_below = below - evaluate.cdf(self, a)
        from_above = above - evaluate.cdf(self, b, -1.0)
        prob = np.where(below <= above, from_below, from_above)
        return np.maximum(prob, 0.0).reshape(shape)
