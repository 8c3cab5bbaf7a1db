# SPDX-License-Identifier: BSD-3-Clause
"""Methods of `MixtureDistribution`: components, marginals, conditionals."""

from collections.abc import Sequence
from typing import Self

from numpy.typing import ArrayLike
from scipy import special

from skmdn._distribution import evaluate
from skmdn._distribution.checks import check_finite, check_integer, check_points
from skmdn._distribution.names import find_outputs, is_one_output
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
            Over the other outputs. Components are independent within, so only the
            weights change: to the responsibilities of the components for `value`.

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
        return self._of_outputs(weights, rest)

    def reduce(self, k: int) -> Self:
        """Fewer components, by merging greedily those that are most alike.

        The pair whose merging changes the distribution least, by an upper bound of the
        Kullback-Leibler divergence, is replaced by the Gaussian of the same mean and
        variances, until k are left [1]_. Mean and variance of every output stay exactly
        as they were. Components of another family are compared as if they were
        Gaussians of their means and variances, and replaced by one of their own family.

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
        weights, means, scales = merge_components(self, k)
        if self.n_outputs == 1:
            means, scales = means[..., 0], scales[..., 0]
        return self._replace(weights=weights, means=means, scales=scales)

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
            weights=weights, means=means, scales=scales, output_names=names
        )
