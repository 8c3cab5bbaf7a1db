# SPDX-License-Identifier: BSD-3-Clause
"""Mixtures, one for every row: the answer of a mixture density network."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skmdn._distribution import evaluate
from skmdn._distribution.checks import check_mixture, without_idle
from skmdn._distribution.densities import Densities
from skmdn._distribution.errstate import own_errstate, under
from skmdn._distribution.factors import (
    check_correlations,
    correlations_of,
    for_each_component,
)
from skmdn._distribution.names import check_output_names
from skmdn._distribution.regions import Regions
from skmdn._distribution.sampling import Sampling
from skmdn._distribution.scores import Scores
from skmdn._distribution.structure import Structure
from skmdn._distribution.summaries import Summaries
from skmdn._distribution.verbs import Verbs
from skmdn._families import find_family
from skmdn._typing import FloatArray


@own_errstate(all="ignore")
class MixtureDistribution(
    Densities, Regions, Summaries, Scores, Structure, Verbs, Sampling
):
    r"""Mixtures of Gaussians, or of another family, one for every row.

    The density of row i is :math:`\sum_k w_{ik} \prod_d f((y_d - \mu_{ikd}) /
    \sigma_{ikd}) / \sigma_{ikd}` with the standard density f of the family: several
    outputs are independent within a component, not within the mixture. With
    `correlations` the components are multivariate normal densities instead.

    Of Gaussians, everything is closed form or exact to rounding, in float64, unless the
    method says otherwise; of other families, what has no closed form is quadrature and
    inversion, exact to 1e-10.

    Values are given to the methods as a number for all rows, one per row (n_rows,), or
    a grid (n_rows, m) or (1, m) for every row; the result has the shape (n_rows,) or
    (n_rows, m).

    Parameters
    ----------
    weights : array-like of shape (n_rows, n_components)
        Not negative; every row sums to 1 (within 1e-5, and is divided by its sum).
    means : array-like of shape (n_rows, n_components) or \
            (n_rows, n_components, n_outputs)
        Locations of the components, in units of the targets.
    scales : array-like of the shape of `means`, or (n_rows, n_components, 1)
        Scales of the components, positive: of Gaussians their standard deviations. With
        a last axis of 1 the same for all outputs.
    correlations : array-like of shape (n_rows, n_components, n_outputs, n_outputs) \
            or (n_rows, 1, n_outputs, n_outputs), default=None
        Correlation matrices of the outputs within the components, positive definite;
        with a second axis of 1 the same for all components of a row. Of Gaussians only.
        None: independent within a component.
    family : {"gaussian", "laplace", "logistic"}, default="gaussian"
        What a component is. The standard densities are :math:`e^{-z^2/2} /
        \sqrt{2\pi}`, :math:`e^{-|z|} / 2` and :math:`1 / (4 \cosh^2(z / 2))`, with
        standard deviations of 1, :math:`\sqrt 2` and :math:`\pi / \sqrt 3`.
    output_names : list of str, default=None
        One for each output, all different.

    Attributes
    ----------
    weights : ndarray of shape (n_rows, n_components)
    means : ndarray of shape (n_rows, n_components[, n_outputs])
        Without the last axis for one output.
    scales : ndarray of the shape of `means`, or (n_rows, n_components, 1)
        Components of weight 0 have the mean and scale of the heaviest one of their row:
        whatever they were given, they have no influence.
    correlations : ndarray or None
        As given. What is kept are their Cholesky factors, so that correlations near 1
        keep their digits through all methods.
    covariances : ndarray of shape (n_rows, n_components, n_outputs, n_outputs)
    family : str
    output_names : list of str or None
    n_components : int
    n_outputs : int

    Raises
    ------
    ValueError
        If the shapes do not fit, something is not finite, a weight is negative, weights
        do not sum to 1, a scale is not positive, correlations are not those of
        Gaussians or no positive definite matrices with ones on the diagonal, there are
        not as many different names as outputs, or there is no such family.

    See Also
    --------
    skmdn.MDNRegressor.predict_dist : Where these come from.

    References
    ----------
    .. [1] C. M. Bishop, "Mixture density networks", Aston University NCRG/94/004, 1994.

    Examples
    --------
    >>> from skmdn import MixtureDistribution
    >>> dist = MixtureDistribution(
    ...     weights=[[0.5, 0.5], [0.1, 0.9]],
    ...     means=[[-3.0, 3.0], [0.0, 1.0]],
    ...     scales=[[0.5, 0.5], [1.0, 2.0]],
    ... )
    >>> dist
    MixtureDistribution(n_rows=2, n_components=2, n_outputs=1)
    >>> dist.mean()
    array([0. , 0.9])
    >>> dist[1].interval(0.5)[1].round(4)
    array([2.1884])
    """

    def __init__(
        self,
        weights: ArrayLike,
        means: ArrayLike,
        scales: ArrayLike,
        *,
        correlations: ArrayLike | None = None,
        family: str = "gaussian",
        output_names: Sequence[str] | None = None,
    ) -> None:
        self.family = find_family(family).name
        weights, means, scales = check_mixture(weights, means, scales)
        factors = None
        if correlations is not None:
            if self.family != "gaussian":
                raise ValueError(
                    "correlations must be None for another family than 'gaussian': a "
                    f"linear combination of others is of no family; got {family!r}."
                )
            n_outputs = 1 if means.ndim == 2 else means.shape[2]
            factors = check_correlations(correlations, (*weights.shape, n_outputs))
        means, scales, factors = without_idle(weights, means, scales, factors)
        self.weights, self.means, self.scales = weights, means, scales
        self._factors = factors
        self.output_names = check_output_names(output_names, self.n_outputs)

    @classmethod
    def _of(
        cls,
        weights,
        means,
        scales,
        factors=None,
        output_names=None,
        family="gaussian",
    ):
        """Put arrays together that are valid already; `factors` as in `factors`."""
        dist = object.__new__(cls)
        dist.weights = np.ascontiguousarray(weights)
        means, scales, factors = without_idle(weights, means, scales, factors)
        dist.means = np.ascontiguousarray(means)
        dist.scales = np.ascontiguousarray(scales)
        dist._factors = None if factors is None else np.ascontiguousarray(factors)
        dist.output_names = output_names
        dist.family = family
        return dist

    def _replace(self, **parts):
        """Return a copy with other parts, which are valid already."""
        own = {name.removeprefix("_"): part for name, part in vars(self).items()}
        return self._of(**own | parts)

    @property
    @under(all="ignore")
    def correlations(self) -> FloatArray | None:
        """Correlation matrices within the components; None if there are none."""
        return None if self._factors is None else correlations_of(self._factors)

    @property
    @under(all="ignore")
    def covariances(self) -> FloatArray:
        """Covariance matrices of the components, of independent outputs too.

        Of shape (n_rows, n_components, n_outputs, n_outputs).
        """
        shape = (*self.weights.shape, self.n_outputs)
        factors = for_each_component(self._factors, shape)
        stds = np.broadcast_to(
            evaluate.component_stds(self).reshape(*shape[:2], -1), shape
        )
        return correlations_of(factors) * (stds[..., :, None] * stds[..., None, :])

    @property
    def n_components(self) -> int:
        """Number of components of every row."""
        return self.weights.shape[1]

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return 1 if self.means.ndim == 2 else self.means.shape[2]

    def __len__(self) -> int:
        return len(self.weights)

    def __getitem__(self, rows: Any) -> Self:
        """Select rows by number, slice, mask or array of numbers, as a distribution."""
        if isinstance(rows, (int, np.integer)):
            rows = [rows]
        weights = self.weights[rows]
        if weights.ndim != 2 or weights.shape[1:] != self.weights.shape[1:]:
            raise IndexError(
                f"Rows must be a number, slice, mask or array of numbers; got {rows!r}."
            )
        factors = None if self._factors is None else self._factors[rows]
        return self._replace(
            weights=weights,
            means=self.means[rows],
            scales=self.scales[rows],
            factors=factors,
        )

    def __repr__(self):
        family = "" if self.family == "gaussian" else f", family={self.family!r}"
        correlated = "" if self._factors is None else ", correlated"
        return (
            f"{type(self).__name__}(n_rows={len(self)}, "
            f"n_components={self.n_components}, n_outputs={self.n_outputs}"
            f"{correlated}{family})"
        )

    def to_frame(self) -> Any:
        """Components as a table.

        Returns
        -------
        frame : pandas.DataFrame of n_rows * n_components rows
            Index: row, component. Columns: weight, mean, scale; for several outputs
            mean_0, mean_1, ..., scale_0, scale_1, ..., with the names of the outputs
            for their numbers where they have names; for correlated ones also corr_0_1,
            corr_0_2, ..., corr_1_2, ...

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> MixtureDistribution([[0.5, 0.5]], [[0, 1]], [[1, 2]]).to_frame().shape
        (2, 3)
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "to_frame needs pandas: pip install pandas. The same numbers are in "
                "the attributes weights, means and scales."
            ) from error
        index = pd.MultiIndex.from_product(
            [range(len(self)), range(self.n_components)], names=["row", "component"]
        )
        weights, means, scales = self._with_axis_of_outputs()
        outputs = self.output_names
        if outputs is None and self.n_outputs > 1:
            outputs = range(self.n_outputs)
        columns = {"weight": weights.ravel()}
        for name, values in (("mean", means), ("scale", scales)):
            for d in range(self.n_outputs):
                column = name if outputs is None else f"{name}_{outputs[d]}"
                columns[column] = values[..., d].ravel()
        if self._factors is not None:
            each = for_each_component(self._factors, means.shape)
            within = correlations_of(each)
            for i, j in zip(*np.triu_indices(self.n_outputs, 1), strict=True):
                column = f"corr_{outputs[i]}_{outputs[j]}"
                columns[column] = within[..., i, j].ravel()
        return pd.DataFrame(columns, index=index)

    def _with_axis_of_outputs(self):
        """Weights, and means and scales as (n_rows, n_components, n_outputs)."""
        shape = (*self.weights.shape, self.n_outputs)
        if self.scales.shape == self.means.shape:
            scales = self.scales.reshape(shape)
        else:
            scales = np.broadcast_to(self.scales, shape)
        return self.weights, self.means.reshape(shape), scales

    def _check_one_output(self, method):
        if self.n_outputs != 1:
            raise ValueError(
                f"{method} is for one output, this distribution has {self.n_outputs}: "
                "choose one with marginal(j), condition(j, value) or linear(a)."
            )
