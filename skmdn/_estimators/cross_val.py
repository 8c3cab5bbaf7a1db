# SPDX-License-Identifier: BSD-3-Clause
"""Out-of-fold distributions: scikit-learn's cross_val_predict for predict_dist."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import check_cv, cross_validate
from sklearn.utils import indexable
from sklearn.utils.metadata_routing import get_routing_for_object

from skmdn._estimators.unwrap import predict_dist
from skmdn._sklearn import count_rows, take_rows
from skmdn.distribution import MixtureDistribution


def cross_val_predict_dist(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    cv: Any = None,
    params: dict[str, Any] | None = None,
    n_jobs: int | None = None,
) -> MixtureDistribution:
    """Distribution of every row by a model that did not see it.

    Clones of `estimator` are fitted to all folds but one and predict that one, as in
    `sklearn.model_selection.cross_val_predict`. What comes out is made for
    `skmdn.metrics` and the displays: calibration over all rows at once, for example.

    Parameters
    ----------
    estimator : estimator instance
        `MDNRegressor`, or what `predict_dist` accepts around one.
    X : array-like of shape (n_rows, n_features)
        Inputs.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        Targets.
    groups : array-like of shape (n_rows,), default=None
        Group labels for the splitter `cv`. With metadata routing enabled they go into
        `params`, as in scikit-learn.
    cv : int, cross-validation generator or iterable, default=None
        Every row must be in exactly one test fold. An integer is the number of folds
        of `KFold`, which does not shuffle; None: 5.
    params : dict, default=None
        Parameters for ``estimator.fit``, for example ``{"sample_weight": weight}``;
        arrays of `n_rows` are split with the rows.
    n_jobs : int or None, default=None
        Processes for the fits. None means 1, -1 all cores.

    Returns
    -------
    distribution : MixtureDistribution
        Of all rows, in the order of `X`.

    Raises
    ------
    ValueError
        If the test folds of `cv` are no partition of the rows.
    TypeError
        If `estimator` gives no mixtures.

    See Also
    --------
    MDNRegressorCV : Its `oof_logpdf_` are log-densities of this kind.

    Examples
    --------
    >>> from skmdn import MDNRegressor, cross_val_predict_dist
    >>> from skmdn.datasets import make_heteroscedastic
    >>> from skmdn.metrics import coverage_score
    >>> X, y = make_heteroscedastic(200, random_state=0)
    >>> mdn = MDNRegressor(2, max_iter=20, random_state=0)
    >>> dist = cross_val_predict_dist(mdn, X, y, cv=2)
    >>> len(dist)
    200
    >>> coverage = coverage_score(y, dist, 0.9)
    """
    X, y = indexable(X, y)
    result = cross_validate(
        estimator,
        X,
        y,
        groups=groups,
        cv=_Partition(check_cv(cv, y)),
        params=params,
        n_jobs=n_jobs,
        scoring=_no_score,
        return_estimator=True,
        return_indices=True,
        error_score="raise",
    )
    folds = result["indices"]["test"]
    parts = [
        predict_dist(fitted, take_rows(X, rows))
        for fitted, rows in zip(result["estimator"], folds, strict=True)
    ]
    return MixtureDistribution.concatenate(parts)[np.argsort(np.concatenate(folds))]


def _no_score(estimator, X, y):
    """Stand in for a scorer: `cross_validate` is here to fit."""
    return 0.0


class _Partition:
    """A splitter whose test folds hold every row once, else it says so before fits."""

    def __init__(self, cv: Any) -> None:
        self.cv = cv

    def split(self, X, y=None, groups=None, **params):
        folds = list(self.cv.split(X, y, groups, **params))
        n_rows = count_rows(X)
        tested = np.concatenate([test for _, test in folds])
        if not np.array_equal(np.sort(tested), np.arange(n_rows)):
            raise ValueError(
                "cv must put every row into exactly one test fold, as KFold and "
                f"GroupKFold do; the {len(folds)} test folds of {self.cv!r} hold "
                f"{len(np.unique(tested))} of the {n_rows} rows, {len(tested)} in all."
            )
        return folds

    def get_n_splits(self, X=None, y=None, groups=None):
        return self.cv.get_n_splits(X, y, groups)

    def get_metadata_routing(self):
        return get_routing_for_object(self.cv)
