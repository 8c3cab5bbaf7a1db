# SPDX-License-Identifier: BSD-3-Clause
"""The meta-estimator that holds rows out and calibrates on them."""

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, column_or_1d, get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import check_is_fitted

from skmdn._distribution.checks import check_open_unit
from skmdn._predict_dist import predict_dist
from skmdn.calibration._conformal import ConformalDistribution
from skmdn.calibration._scores import hpd_scores, normal_scores
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
        Rows of positive weight that were used to calibrate.
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

    def __init__(self, estimator, *, calibration_fraction=0.2, random_state=None):
        self.estimator = estimator
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        """Fit the estimator to one part of the data and calibrate on the other.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, for the estimator and for calibration.

        Returns
        -------
        self : ConformalMDNRegressor

        Raises
        ------
        ValueError
            If there are several outputs, `calibration_fraction` is not in (0, 1), or
            the data are not what the estimator accepts.
        TypeError
            If the estimator gives no distributions.
        """
        y = _one_column(y)
        fraction = check_open_unit("calibration_fraction", self.calibration_fraction)
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)
        if isinstance(self.estimator, FrozenEstimator):
            self.estimator_, held_out = self.estimator.estimator, (X, y, weight)
        else:
            parts = train_test_split(
                X, y, weight, test_size=fraction, random_state=self.random_state
            )
            held_out = parts[1::2]
            fit_params = self._fit_params(sample_weight, parts[4])
            self.estimator_ = clone(self.estimator).fit(*parts[:4:2], **fit_params)
        self._calibrate(*held_out)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    def _fit_params(self, sample_weight, training_weight):
        """Weights of the training rows, under the name the estimator asks for."""
        if sample_weight is None:
            return {}
        if not get_config()["enable_metadata_routing"]:
            return {"sample_weight": training_weight}
        routed = process_routing(self, "fit", sample_weight=sample_weight)
        return dict.fromkeys(routed.estimator.fit, training_weight)

    def _calibrate(self, X, y, sample_weight):
        weight = normalised_weight(sample_weight, len(y))
        dist = predict_dist(self.estimator_, X)
        y = check_rows(y, dist, "isf")
        dist, y, weight = dist[weight > 0], y[weight > 0], weight[weight > 0]
        self.n_calibration_rows_ = len(y)
        self._scores = {
            "normal": normal_scores(dist, y),
            "hpd": hpd_scores(dist, y),
            "weight": weight,
        }

    def predict_dist(self, X):
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

    def predict(self, X):
        """Predict as the estimator does; calibration does not change the mean.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def score(self, X, y, sample_weight=None):
        """Score of the estimator; a calibrated distribution has no likelihood.

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
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self.estimator_.score(X, y, **weights)

    def get_metadata_routing(self):
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
