# SPDX-License-Identifier: BSD-3-Clause
"""The meta-estimator that holds rows out and calibrates on them."""

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import (
    check_array,
    column_or_1d,
    get_tags,
    indexable,
)
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skmdn._distribution.checks import check_open_unit, new_generator
from skmdn._distribution.errstate import own_errstate
from skmdn._estimators.output_types import check_output_type, summarise
from skmdn._estimators.unwrap import predict_dist
from skmdn._sklearn import take_rows
from skmdn._typing import Seed
from skmdn.calibration._conformal import ConformalDistribution
from skmdn.calibration._rows import hold_out, rows_to_fit, weights_to_fit
from skmdn.calibration._scores import hpd_scores, normal_scores
from skmdn.metrics import log_likelihood_scorer
from skmdn.metrics._checks import check_rows, normalised_weight


def _one_column(y):
    """Validate targets: finite, and one output."""
    if y is None:
        raise ValueError(
            "ConformalMDNRegressor requires y to be passed, but the target y is None."
        )
    y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    if y.ndim == 2 and y.shape[1] > 1:
        raise ValueError(
            f"y has {y.shape[1]} outputs: quantiles, and hence calibration, need a "
            "single one."
        )
    return column_or_1d(y, warn=True)


def _name_of_weights(estimator):
    """Name under which `fit` takes the weights: those of a pipeline's last step.

    Raises
    ------
    ValueError
        If there is none.
    """
    inner, prefix = estimator, ""
    while not has_fit_parameter(inner, "sample_weight"):
        if hasattr(inner, "steps"):
            name, inner = inner.steps[-1]
            prefix += f"{name}__"
            continue
        inner = getattr(inner, "estimator", getattr(inner, "regressor", None))
        if inner is None:
            raise ValueError(
                f"sample_weight is given, but {type(estimator).__name__} holds no "
                "estimator whose fit takes one."
            )
    return f"{prefix}sample_weight"


@own_errstate(["fit", "predict", "predict_dist", "score"], all="warn", under="ignore")
class ConformalMDNRegressor(MetaEstimatorMixin, RegressorMixin, BaseEstimator):
    """Intervals and regions with guaranteed coverage around any density regressor.

    Part of the data is held out from training; the ranks of its targets in the
    predicted distributions say what these distributions are worth. See
    `ConformalDistribution` for what is guaranteed.

    Parameters
    ----------
    estimator : estimator instance
        `MDNRegressor`, or a pipeline or search around one. Wrapped in scikit-learn's
        `FrozenEstimator` it must be fitted already, and all data are used to calibrate:
        they must not be those that it was fitted to.
    calibration_fraction : float, default=0.2
        Part of the rows that is held out to calibrate.
    random_state : int, RandomState instance or None, default=None
        Decides which rows.

    Attributes
    ----------
    estimator_ : estimator instance
        The fitted estimator.
    n_calibration_rows_ : int
        Rows that were used to calibrate; one of weight 2 counts as two.
    n_features_in_ : int
        Number of inputs, where the estimator knows it.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the inputs, where `X` has such.

    See Also
    --------
    sklearn.calibration.CalibratedClassifierCV : Calibration of classifiers.
    skmdn.inspection.CoverageDisplay : Shows whether calibration is needed.

    References
    ----------
    .. [1] V. Chernozhukov, K. Wüthrich and Y. Zhu, "Distributional conformal
       prediction", PNAS 118, 2021.
    .. [2] R. Izbicki, G. Shimizu and R. B. Stern, "CD-split and HPD-split: efficient
       conformal regions in high dimensions", J. Mach. Learn. Res. 23, 2022.

    Examples
    --------
    >>> from skmdn import MDNRegressor
    >>> from skmdn.calibration import ConformalMDNRegressor
    >>> from skmdn.datasets import make_heteroscedastic
    >>> X, y = make_heteroscedastic(500, random_state=0)
    >>> mdn = MDNRegressor(2, max_iter=5, random_state=0)  # stopped much too early
    >>> model = ConformalMDNRegressor(mdn, random_state=0).fit(X, y)
    >>> lower, upper = model.predict_dist(X).interval(0.9)
    >>> lower.shape
    (500,)
    """

    def __init__(
        self,
        estimator: Any,
        *,
        calibration_fraction: float = 0.2,
        random_state: Seed = None,
    ) -> None:
        self.estimator = estimator
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Fit the estimator to one part of the data and calibrate on the other.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, for calibration and for the estimator, in a pipeline
            its last step; with metadata routing for whoever asks. A row of weight 2 is
            two rows, also when rows are drawn.

        Returns
        -------
        self : ConformalMDNRegressor

        Raises
        ------
        ValueError
            If there are several outputs, `calibration_fraction` is not in (0, 1), the
            estimator takes no weights but there are some, or the data are not what the
            estimator accepts.
        TypeError
            If the estimator gives no distributions.
        """
        X, y = indexable(X, _one_column(y))
        fraction = check_open_unit("calibration_fraction", self.calibration_fraction)
        is_fitted = isinstance(self.estimator, FrozenEstimator)
        rng = new_generator(self.random_state)
        weight = normalised_weight(sample_weight, len(y))
        shares = hold_out(X, y, weight, 1 if is_fitted else fraction, rng)
        if is_fitted:
            self.estimator_ = self.estimator.estimator
        elif sample_weight is None:
            rows = rows_to_fit(shares)
            self.estimator_ = clone(self.estimator).fit(take_rows(X, rows), y[rows])
        else:
            rows, weight = weights_to_fit(shares, np.asarray(sample_weight))
            weights = dict.fromkeys(self._names_of_weights(sample_weight), weight)
            self.estimator_ = clone(self.estimator).fit(
                take_rows(X, rows), y[rows], **weights
            )
        self._calibrate(X, y, shares)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    def _names_of_weights(self, sample_weight):
        """Names under which the estimator asks for the weights of the rows."""
        if not get_config()["enable_metadata_routing"]:
            return [_name_of_weights(self.estimator)]
        routed = process_routing(self, "fit", sample_weight=sample_weight)
        return list(routed.estimator.fit)

    def _calibrate(self, X, y, shares):
        used = shares.weight > 0
        rows = shares.first[used]
        dist = predict_dist(self.estimator_, take_rows(X, rows))
        y = check_rows(y[rows], dist, "isf")
        self.n_calibration_rows_ = shares.n_rows
        self._scores = {
            "normal": normal_scores(dist, y),
            "hpd": hpd_scores(dist, y),
            "weight": shares.weight[used],
            "unit": shares.unit,
        }

    def predict_dist(self, X: ArrayLike) -> ConformalDistribution:
        """Recalibrated conditional distributions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        dist : ConformalDistribution
        """
        check_is_fitted(self)
        return ConformalDistribution(predict_dist(self.estimator_, X), self._scores)

    def predict(
        self,
        X: ArrayLike,
        *,
        output_type: Literal["mean", "median", "mode", "quantiles", "full"] = "mean",
        quantiles: ArrayLike | None = None,
    ) -> Any:
        """Predict the mean, or another summary, of the conditional distribution.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        output_type : {"mean", "median", "mode", "quantiles", "full"}, default="mean"
            "mean" is what the estimator predicts, and "mode" where its density is
            greatest: calibration changes neither. "median" and "quantiles" are
            recalibrated. "full" is what `predict_dist` returns.
        quantiles : array-like of shape (n_quantiles,), default=None
            Levels in (0, 1), for ``output_type="quantiles"``. None: 0.1, 0.2, ..., 0.9.

        Returns
        -------
        prediction : ndarray of shape (n_samples,), or ConformalDistribution
            (n_samples, n_quantiles) for quantiles.

        Raises
        ------
        ValueError
            If `output_type` is none of these, or does not go with `quantiles`.
        """
        check_is_fitted(self)
        levels = check_output_type(output_type, quantiles, 1)
        if output_type == "mean":
            return self.estimator_.predict(X)
        dist = self.predict_dist(X)
        return dist if output_type == "full" else summarise(dist, output_type, levels)

    def score(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Mean log-likelihood of the estimator, in nats: greater is better.

        That of its own distributions: a recalibrated one has no likelihood.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        return log_likelihood_scorer(self.estimator_, X, y, sample_weight=sample_weight)

    def get_metadata_routing(self) -> Any:
        """Tell scikit-learn which metadata this estimator asks for and passes on.

        Returns
        -------
        routing : MetadataRouter
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_tags__(self):
        """Tags of the estimator inside, for one output."""
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.regressor_tags = inner.regressor_tags
        return tags
