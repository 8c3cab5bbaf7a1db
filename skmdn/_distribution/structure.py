# SPDX-License-Identifier: BSD-3-Clause
"""Methods of `MixtureDistribution`: components, marginals, conditionals."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from skmdn._distribution import evaluate, joint
from skmdn._distribution.checks import (
    SMALLEST_SCALE,
    check_finite,
    check_integer,
    check_points,
)
from skmdn._distribution.merging import merge_correlated
from skmdn._distribution.names import (
    check_output_names,
    find_outputs,
    is_one_output,
)
from skmdn._distribution.reduction import merge_components
from skmdn._typing import FloatArray


class Structure:
    """Parts of a mixture, and mixtures made of them.

    Abstract: the parameters are those of `MixtureDistribution`.
    """

    def responsibilities(self, y: ArrayLike) -> FloatArray:
        """P(component | y): where a target came from.

        Parameters
        ----------
        y : array-like
            As for `logpdf`, finite.

        Returns
        -------
        responsibilities : ndarray of shape (n_rows, n_components), or \
                (n_rows, m, n_components) for a grid
            Sum to 1 over components.

        Raises
        ------
        ValueError
            If `y` has another shape or is not finite.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[0.5, 0.5]], [[-1.0, 1.0]], [[1.0, 1.0]])
        >>> dist.responsibilities(0.0)
        array([[0.5, 0.5]])
        """
        points, shape = check_points("y", y, len(self), self.n_outputs, finite=True)
        terms = evaluate.log_terms(self, points)
        return special.softmax(terms, axis=-1).reshape(*shape, self.n_components)

    def marginal(self, j: int | str | Sequence[int | str]) -> Self:
        """Distribution of some of the outputs, the others integrated out.

        Exact; correlations between those that stay are kept.

        Parameters
        ----------
        j : int, str or list of these
            Output or outputs: numbers from 0, negative ones count from the end; or
            their names.

        Returns
        -------
        marginal : MixtureDistribution

        Raises
        ------
        ValueError
            If there is no such output, or an output is named twice.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[1.0]], [[[1.0, 2.0]]], [[[1.0, 1.0]]])
        >>> dist.marginal(1).mean()
        array([2.])
        """
        kept = find_outputs(j, self.n_outputs, self.output_names)
        return self._of_outputs(self.weights, kept)

    def condition(self, j: int | str | Sequence[int | str], value: ArrayLike) -> Self:
        """Distribution of the other outputs, given some.

        Parameters
        ----------
        j : int, str or list of these
            Outputs that are known, as for `marginal`.
        value : array-like of shape (), (n_rows,); for a list of outputs (len(j),) or \
                (n_rows, len(j))
            Their values, finite.

        Returns
        -------
        conditional : MixtureDistribution
            Over the other outputs. The weights change to the responsibilities of the
            components for `value`; of correlated components also their means, linearly
            in `value`, and their scales and correlations, which do not depend on it.

        Raises
        ------
        ValueError
            If there is no such output, none is left, or `value` does not fit.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> means, scales = [[[-3.0, -1.0], [3.0, 1.0]]], [[[1.0, 1.0], [1.0, 1.0]]]
        >>> dist = MixtureDistribution([[0.5, 0.5]], means, scales)
        >>> dist.mean(), dist.condition(0, 3.0).mean().round(4)
        (array([[0., 0.]]), array([1.]))
        """
        known = find_outputs(j, self.n_outputs, self.output_names)
        rest = [i for i in range(self.n_outputs) if i not in known]
        if not rest:
            raise ValueError(f"j must leave an output; got {j!r} of {self.n_outputs}.")
        points = check_finite("value", value)
        each = points.shape if is_one_output(j) else points.shape[:-1]
        width = 1 if is_one_output(j) else points.shape[-1:]
        if each not in ((), (len(self),)) or width not in (1, (len(known),)):
            raise ValueError(
                "value must be one for every row, or one for all, of each output in j; "
                f"got the shape {points.shape} for j={j!r} and {len(self)} rows."
            )
        points = points.reshape(-1, 1, len(known))
        at = points[..., 0] if len(known) == 1 else points
        weights = self._of_outputs(self.weights, known).responsibilities(at)[:, 0]
        conditional = self._of_outputs(weights, rest)
        if self._factors is None:
            return conditional
        means, scales, factors = joint.conditional(self, known, rest, points[:, 0])
        if len(rest) == 1:
            means, scales = means[..., 0], scales[..., 0]
        return conditional._replace(means=means, scales=scales, factors=factors)

    def linear(
        self,
        a: ArrayLike,
        b: ArrayLike = 0.0,
        *,
        output_names: Sequence[str] | None = None,
    ) -> Self:
        """Distribution of linear combinations ``a @ Y + b`` of the outputs; Gaussians.

        Exact: again a mixture, of as many components.

        Parameters
        ----------
        a : array-like of shape (n_outputs,) or (n_combinations, n_outputs)
            One combination or several, linearly independent.
        b : float or array-like of shape (n_combinations,), default=0.0
            What is added.
        output_names : list of str, default=None
            Names of the combinations.

        Returns
        -------
        distribution : MixtureDistribution
            Of one output for one combination, else of several correlated ones.

        Raises
        ------
        ValueError
            If the family is another than Gaussians, a shape does not fit, something is
            not finite, the combinations are not independent, or the result leaves
            float64.

        See Also
        --------
        MixtureDistribution.affine : Each output scaled and shifted, of any family.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> corr = [[[[1.0, 0.5], [0.5, 1.0]]]]
        >>> dist = MixtureDistribution(
        ...     [[1.0]], [[[1.0, 2.0]]], [[[1.0, 1.0]]], correlations=corr
        ... )
        >>> total = dist.linear([1, 1])
        >>> total.mean(), total.var().round(6)
        (array([3.]), array([3.]))
        """
        if not evaluate.is_gaussian(self):
            raise ValueError(
                "linear is for Gaussians: a linear combination of the family "
                f"{self.family!r} is of no family; draw with sample() instead."
            )
        a, b = _check_combinations(a, b, self.n_outputs)
        with np.errstate(all="ignore"):
            means, scales, factors = joint.linear(self, a, b)
            fits = np.isfinite(means).all() and np.isfinite(scales).all()
            fits = fits and np.all(scales >= SMALLEST_SCALE)
            fits = fits and np.all(np.einsum("...ii->...i", factors) > 0)
        if not fits:
            raise ValueError(
                f"a @ Y + b must be finite, with positive definite covariances, in "
                f"float64; it is not for a={a.tolist()}."
            )
        if len(a) == 1:
            means, scales, factors = means[..., 0], scales[..., 0], None
        return self._replace(
            means=means,
            scales=scales,
            factors=factors,
            output_names=check_output_names(output_names, len(a)),
        )

    def reduce(self, k: int) -> Self:
        """Fewer components, by merging greedily those that are most alike.

        The pair whose merging changes the distribution least, by an upper bound of the
        Kullback-Leibler divergence, is replaced by the Gaussian of the same mean and
        variances, of correlated outputs covariances, until k are left [1]_. Mean and
        variance of every output stay exactly as they were, and where components have
        correlations so does `cov`. Components of another family are compared as if they
        were Gaussians of their means and variances, and replaced by one of their own.

        This makes the distribution small, not the model that predicted it, which takes
        as long and as much memory as before: a small model is an `MDNRegressor`, or an
        `MDNRegressorCV` of fewer folds (`cv`) and members (`n_estimators`).

        Parameters
        ----------
        k : int
            Components to keep, at least 1. With no fewer than there are, nothing
            changes.

        Returns
        -------
        reduced : MixtureDistribution

        Raises
        ------
        ValueError
            If `k` is not a positive integer.

        References
        ----------
        .. [1] A. R. Runnalls, "Kullback-Leibler approach to Gaussian mixture
           reduction", IEEE Trans. Aerosp. Electron. Syst. 43, 2007.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[0.25, 0.25, 0.5]], [[0, 0, 9]], [[1, 1, 1]])
        >>> dist.reduce(2).means
        array([[0., 9.]])
        """
        k = check_integer("k", k, 1)
        if k >= self.n_components:
            return self
        factors = None
        if self._factors is not None:
            weights, means, scales, factors = merge_correlated(self, k)
        else:
            weights, means, scales = merge_components(self, k)
        if self.n_outputs == 1:
            means, scales = means[..., 0], scales[..., 0]
        return self._replace(
            weights=weights, means=means, scales=scales, factors=factors
        )

    def _of_outputs(self, weights, outputs):
        """Mixture over some outputs with other weights."""
        if self.n_outputs == 1:
            return self._replace(weights=weights)
        means, scales = self.means[..., outputs], self.scales
        scales = scales if scales.shape[2] == 1 else scales[..., outputs]
        if len(outputs) == 1:
            means, scales = means[..., 0], scales[..., 0]
        names = self.output_names
        names = None if names is None else [names[d] for d in outputs]
        return self._replace(
            weights=weights,
            means=means,
            scales=scales,
            factors=joint.marginal(self, outputs),
            output_names=names,
        )


def _check_combinations(a, b, n_outputs):
    """Validate a (m, D) of full rank, and b, a number or (m,)."""
    a, b = check_finite("a", a), check_finite("b", b)
    if a.ndim not in (1, 2) or a.shape[-1] != n_outputs or not a.size:
        raise ValueError(
            f"a must have the shape ({n_outputs},) or (n_combinations, {n_outputs}); "
            f"got {a.shape}."
        )
    a = np.atleast_2d(a)
    if b.shape not in ((), (len(a),)):
        raise ValueError(
            f"b must be a number or have the shape ({len(a)},), one for each "
            f"combination; got {b.shape}."
        )
    # Outputs and combinations may have units of any magnitude.
    unit = np.abs(a).max(axis=0)
    scaled = a / np.where(unit > 0, unit, 1.0)
    size = np.abs(scaled).max(axis=1, keepdims=True)
    if not size.all() or np.linalg.matrix_rank(scaled / size) < len(a):
        raise ValueError(
            "a must have linearly independent rows, one for each combination; got "
            f"{a.tolist()}."
        )
    return a, b
