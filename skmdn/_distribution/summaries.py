# SPDX-License-Identifier: BSD-3-Clause
"""Methods of `MixtureDistribution`: moments, tails, entropy, expectations."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from skmdn._distribution import evaluate, general
from skmdn._distribution.checks import (
    check_choice,
    check_integer,
    check_levels,
    check_values,
    new_generator,
)
from skmdn._distribution.entropy import line_entropy
from skmdn._distribution.quadrature import (
    component_rule,
    line_size,
    product_rule,
    row_blocks,
)
from skmdn._distribution.standard import standard_of
from skmdn._distribution.triangular import log_determinant
from skmdn._typing import FloatArray, Seed

_MAX_GRID = 100_000
_SMALL_SQUARE = 1e-250  # smaller ones lose digits, their inverses may be infinite
_FARTHEST = 40.0  # scales beyond which a tail is 0 in float64


class Summaries:
    """Numbers that sum a distribution up.

    Abstract: the parameters are those of `MixtureDistribution`.
    """

    def mean(self) -> FloatArray:
        """Mean of every output.

        Returns
        -------
        mean : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        """
        return np.einsum("nk,nk...->n...", self.weights, evaluate.component_means(self))

    def var(self) -> FloatArray:
        """Variance of every output.

        Returns
        -------
        var : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        """
        return self.std() ** 2

    def std(self) -> FloatArray:
        """Standard deviation of every output.

        Returns
        -------
        std : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        """
        deviation, stds = self._deviations(), evaluate.component_stds(self)
        var = sum(
            np.einsum("nk,nk...->n...", self.weights, part**2)
            for part in (stds, deviation)
        )
        std = np.sqrt(var)
        extreme = ~((var > _SMALL_SQUARE) & (var < 1 / _SMALL_SQUARE))
        if np.any(extreme):
            rows = np.any(extreme.reshape(len(self), -1), axis=1)
            parts = np.hypot(deviation[rows], stds[rows])
            parts *= self[rows]._root_weights(2)
            unit = parts.max(axis=1)
            std[rows] = unit * np.sqrt(np.sum((parts / unit[:, None]) ** 2, axis=1))
        return std

    def skew(self) -> FloatArray:
        """Skewness of every output: the third central moment in units of `std`.

        Returns
        -------
        skew : ndarray of shape (n_rows,) or (n_rows, n_outputs)

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[0.75, 0.25]], [[0.0, 4.0]], [[1.0, 1.0]])
        >>> dist.skew().round(4)
        array([0.75])
        """
        d, s = self._standardised(3)
        skew = evaluate.standard_moments(self)[2]
        third = np.sum(d**3 + 3 * d * s**2, axis=1)
        return third + skew * np.sum(s**3, axis=1) if skew else third

    def kurtosis(self) -> FloatArray:
        """Excess kurtosis of every output, 0 for a Gaussian.

        Returns
        -------
        kurtosis : ndarray of shape (n_rows,) or (n_rows, n_outputs)

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[0.5, 0.5]], [[0.0, 0.0]], [[1.0, 3.0]])
        >>> dist.kurtosis().round(4)
        array([1.92])
        """
        d, s = self._standardised(4)
        _, _, skew, kurtosis = evaluate.standard_moments(self)
        fourth = np.sum(d**4 + 6 * d**2 * s**2 + (3 + kurtosis) * s**4, axis=1)
        if skew:
            fourth += 4 * skew * np.sum(d * s**3, axis=1)
        return fourth - 3

    def _deviations(self):
        """Means of the components from the mean, as if it were not rounded.

        Seen from the heaviest component: where all means are the same they are 0.
        """
        heaviest = np.argmax(self.weights, axis=1)
        means = evaluate.component_means(self)
        deviation = means - means[np.arange(len(self)), heaviest][:, None]
        deviation -= np.einsum("nk,nk...->n...", self.weights, deviation)[:, None]
        return deviation

    def _root_weights(self, order):
        """Roots of the weights, on the axes of the means: factors below a power."""
        roots = self.weights ** (1 / order)
        return roots if self.means.ndim == 2 else roots[..., None]

    def _standardised(self, order):
        """Deviations of the means, and standard deviations, in units of `std`.

        Times the root of the weights: their powers of that order stay finite.
        """
        factor = self._root_weights(order) / self.std()[:, None]
        return factor * self._deviations(), factor * evaluate.component_stds(self)

    def cov(self) -> FloatArray:
        """Covariance matrix of the outputs, between and within the components.

        Returns
        -------
        cov : ndarray of shape (n_rows, n_outputs, n_outputs)

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> means, scales = [[[-1.0, -1.0], [1.0, 1.0]]], [[[1.0, 1.0], [1.0, 1.0]]]
        >>> MixtureDistribution([[0.5, 0.5]], means, scales).cov()
        array([[[2., 1.],
                [1., 2.]]])
        """
        std = self.std().reshape(len(self), self.n_outputs)
        large = np.maximum(std[:, :, None], std[:, None])
        small = np.minimum(std[:, :, None], std[:, None])
        return self.corr() * large * small

    def corr(self) -> FloatArray:
        """Correlation matrix of the outputs, between and within the components.

        Returns
        -------
        corr : ndarray of shape (n_rows, n_outputs, n_outputs)
            1 on the diagonal.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> means, scales = [[[-1.0, -1.0], [1.0, 1.0]]], [[[1.0, 1.0], [1.0, 1.0]]]
        >>> MixtureDistribution([[0.5, 0.5]], means, scales).corr().round(6)
        array([[[1. , 0.5],
                [0.5, 1. ]]])
        """
        shape = (*self.weights.shape, self.n_outputs)
        deviation, std = self._standardised(2)
        deviation = deviation.reshape(shape)
        corr = np.einsum("nki,nkj->nij", deviation, deviation)
        if self._factors is not None:
            within = np.broadcast_to(self.correlations, (*shape, shape[2]))
            std = np.broadcast_to(std, shape)
            corr += np.einsum("nki,nkj,nkij->nij", std, std, within)
        diagonal = np.arange(self.n_outputs)
        corr[:, diagonal, diagonal] = 1.0
        return np.clip(corr, -1.0, 1.0)

    def partial_moment(
        self,
        threshold: ArrayLike,
        order: int = 1,
        *,
        tail: Literal["lower", "upper"] = "lower",
    ) -> FloatArray:
        """E[(threshold - Y)^order; Y < threshold], or that above; one output.

        Parameters
        ----------
        threshold : array-like
            A number, (n_rows,) or a grid ([n_rows or 1], m); finite.
        order : {0, 1, 2}, default=1
            0 is the probability, 1 the expected shortage, 2 the semivariance about the
            threshold.
        tail : {"lower", "upper"}, default="lower"
            ``"upper"``: ``(Y - threshold)^order`` where Y is above.

        Returns
        -------
        moment : ndarray of shape (n_rows,), or (n_rows, m) for a grid

        Raises
        ------
        ValueError
            If there are several outputs, or an argument is not as described.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[1.0]], [[0.0]], [[1.0]])
        >>> dist.partial_moment(0.0).round(6)
        array([0.398942])
        """
        self._check_one_output("partial_moment")
        order = check_integer("order", order, 0, 2)
        tail = check_choice("tail", tail, ("lower", "upper"))
        values, shape = check_values("threshold", threshold, len(self), finite=True)
        return self._partial_moment(values, order, tail).reshape(shape)

    def _partial_moment(self, values, order, tail):
        sign = 1.0 if tail == "lower" else -1.0
        if order == 0:
            return evaluate.cdf(self, values, sign)
        if not evaluate.is_gaussian(self):
            return general.tail_moment(self, values, order, sign)
        moment = np.zeros((len(self), values.shape[1]))
        for k in range(self.n_components):
            w, s = self.weights[:, k : k + 1], self.scales[:, k : k + 1]
            distance = sign * (values - self.means[:, k : k + 1])
            z = np.abs(distance) / s
            loss = _loss_of_tail(z)
            if order == 1:
                moment += w * (s * loss + np.maximum(distance, 0))
            else:
                # Roots of the weight, because squares overflow beyond 1e154.
                root = np.sqrt(w)
                beyond = special.ndtr(-z) - np.minimum(z, _FARTHEST) * loss
                part = (root * s) ** 2 * np.maximum(beyond, 0)
                whole = (root * s) ** 2 + (root * distance) ** 2
                moment += np.where(distance > 0, whole - part, part)
        return moment

    def expected_shortfall(
        self, q: ArrayLike, *, tail: Literal["lower", "upper"] = "lower"
    ) -> FloatArray:
        """Mean of the lowest share q of the distribution (CVaR), one output.

        Parameters
        ----------
        q : array-like
            Levels in (0, 1]: a number, a list (m,) for every row, or a grid
            (n_rows, m); one per row is (n_rows, 1).
        tail : {"lower", "upper"}, default="lower"
            ``"upper"``: mean of the highest share q.

        Returns
        -------
        shortfall : ndarray of shape (n_rows,) for a number, else (n_rows, m)

        Raises
        ------
        ValueError
            If there are several outputs, or an argument is not as described.

        References
        ----------
        .. [1] R. T. Rockafellar and S. Uryasev, "Conditional value-at-risk for general
           loss distributions", J. Banking & Finance 26, 2002.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[1.0]], [[0.0]], [[1.0]])
        >>> dist.expected_shortfall(0.05).round(4)
        array([-2.0627])
        """
        self._check_one_output("expected_shortfall")
        tail = check_choice("tail", tail, ("lower", "upper"))
        levels, shape = check_levels("q", q, len(self))
        if not np.all(levels > 0):
            raise ValueError(f"q must be above 0; got {q!r}.")
        upper = tail == "upper"
        quantile = evaluate.ppf(self, levels, upper)
        finite = np.isfinite(quantile)
        values = np.where(finite, quantile, 0.0)
        beyond = self._partial_moment(values, 1, tail) / levels
        shortfall = values + beyond if upper else values - beyond
        return np.where(finite, shortfall, self.mean()[:, None]).reshape(shape)

    def entropy(
        self,
        n_samples: int = 1024,
        random_state: Seed = None,
        *,
        return_std: bool = False,
    ) -> Any:
        """Differential entropy, in nats.

        Parameters
        ----------
        n_samples : int, default=1024
            Draws of every row for several outputs, where it is a Monte Carlo mean kept
            within `entropy_bounds`. One output: quadrature, 1e-9 exact.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws.
        return_std : bool, default=False
            Return the standard error as well.

        Returns
        -------
        entropy : ndarray of shape (n_rows,)
        std : ndarray of shape (n_rows,)
            Standard error of the Monte Carlo mean, 0 for one output. Only if
            `return_std`.

        Raises
        ------
        ValueError
            If `n_samples` is not an integer of at least 2.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> MixtureDistribution([[1.0]], [[0.0]], [[1.0]]).entropy().round(6)
        array([1.418939])
        """
        n_samples = check_integer("n_samples", n_samples, 2)
        entropy, std = np.empty(len(self)), np.zeros(len(self))
        if self.n_outputs == 1:
            for rows in row_blocks(len(self), line_size(self.n_components)):
                entropy[rows] = line_entropy(self[rows])
        else:
            rng = new_generator(random_state)
            for rows in row_blocks(len(self), n_samples * self.n_outputs):
                part = self[rows]
                draws = part.sample(n_samples, random_state=rng)
                surprise = -part.logpdf(np.swapaxes(draws, 1, 2))
                entropy[rows] = surprise.mean(axis=1)
                std[rows] = surprise.std(axis=1, ddof=1) / np.sqrt(n_samples)
            entropy = np.clip(entropy, *self.entropy_bounds())
        return (entropy, std) if return_std else entropy

    def entropy_bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bound of the entropy, in nats, in closed form.

        Returns
        -------
        lower, upper : ndarray of shape (n_rows,)

        References
        ----------
        .. [1] M. F. Huber, T. Bailey, H. Durrant-Whyte and U. D. Hanebeck, "On entropy
           approximation for Gaussian mixture random variables", IEEE MFI 2008,
           theorems 2 and 3.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[0.5, 0.5]], [[-1.0, 1.0]], [[1.0, 1.0]])
        >>> lower, upper = dist.entropy_bounds()
        >>> bool(lower[0] < dist.entropy()[0] < upper[0])
        True
        """
        weights, _, scales = self._with_axis_of_outputs()
        standard = self.n_outputs * self._standard_entropy()
        own = np.sum(np.log(scales), axis=2) + standard
        if self._factors is not None:
            own = own + log_determinant(self._factors)
        upper = np.sum(weights * own - special.xlogy(weights, weights), axis=1)
        lower = np.zeros(len(self))
        for i in range(self.n_components):
            overlap = special.logsumexp(self._log_overlaps(i), axis=1)
            lower -= weights[:, i] * np.where(weights[:, i] > 0, overlap, 0)
        return lower, upper

    def _standard_entropy(self):
        if evaluate.is_gaussian(self):
            return 0.5 * (1 + np.log(2 * np.pi))
        return standard_of(self.family).entropy

    def expect(
        self, func: Callable[..., Any], *, n_nodes: int | None = None
    ) -> FloatArray:
        """E[func(Y)] by Gauss-Hermite quadrature of every component, or its like.

        Of correlated outputs in the coordinates in which they are independent.

        Exact for polynomials of a degree below ``2 * n_nodes``; precise for functions
        that are smooth over a component, poor for jumps: use `prob` for those.

        Parameters
        ----------
        func : callable
            Takes an array of targets, (..., n_outputs) for several, and returns one
            number each.
        n_nodes : int, default=None
            Nodes of a component, to the power of `n_outputs`. None: 64 for one output,
            16 for two, 8 for more. Of other families than Gaussians, 18 panels fit to
            the component of 16 nodes for one output, 8 for two; 8 for more.

        Returns
        -------
        expectation : ndarray of shape (n_rows,)

        Raises
        ------
        ValueError
            If `func` returns another shape or something that is not finite, or
            ``n_nodes ** n_outputs`` is above 100 000.

        Examples
        --------
        >>> import numpy as np
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[0.5, 0.5]], [[0.0, 1.0]], [[1.0, 2.0]])
        >>> dist.expect(np.square)
        array([3.])
        """
        on_panels = n_nodes is None and not evaluate.is_gaussian(self)
        if n_nodes is None:
            n_nodes = {1: 64, 2: 16}.get(self.n_outputs, 8)
        n_nodes = check_integer("n_nodes", n_nodes, 1, 200)
        if n_nodes**self.n_outputs > _MAX_GRID:
            raise ValueError(
                f"n_nodes ** n_outputs must be at most {_MAX_GRID}; got {n_nodes} ** "
                f"{self.n_outputs}. Average func over draws of sample() instead."
            )
        x, w = component_rule(self.family, n_nodes, self.n_outputs, on_panels)
        nodes, node_weights = product_rule(x, w, self.n_outputs)
        if self.n_outputs == 1:
            nodes = nodes[:, 0]
        expectation = np.empty(len(self))
        for rows in row_blocks(len(self), self.n_components * nodes.size):
            means, scales = self.means[rows], self.scales[rows]
            z = nodes
            if self._factors is not None:
                z = np.einsum("nkij,qj->nkqi", self._factors[rows], nodes)
            points = means[:, :, None] + scales[:, :, None] * z
            values = np.asarray(func(points), dtype=np.float64)
            expected = (*means.shape[:2], len(node_weights))
            if values.shape != expected:
                raise ValueError(
                    f"func must return the shape {expected} for an argument of shape "
                    f"{points.shape}; got {values.shape}."
                )
            expectation[rows] = np.einsum(
                "nk,nkq,q->n", self.weights[rows], values, node_weights
            )
        if not np.all(np.isfinite(expectation)):
            raise ValueError("func must be finite at all targets it is asked about.")
        return expectation


def _loss_of_tail(z):
    """E(Z - z)+ of a standard normal for z >= 0, by the Mills ratio."""
    z = np.minimum(z, _FARTHEST)
    ratio = np.sqrt(np.pi / 2) * special.erfcx(z / np.sqrt(2))
    return np.exp(-0.5 * z * z) * (1 - z * ratio) / np.sqrt(2 * np.pi)
