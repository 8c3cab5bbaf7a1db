# SPDX-License-Identifier: BSD-3-Clause
"""predict_dist through scikit-learn's meta-estimators."""

from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils.validation import check_is_fitted

from skmdn._sklearn import BaseSearchCV


def predict_dist(model, X):
    """Conditional distribution from a fitted model that contains an `MDNRegressor`.

    Parameters
    ----------
    model : estimator
        Fitted: an estimator with a method `predict_dist`, or a `Pipeline`, a search
        (`GridSearchCV`, `RandomizedSearchCV`, the halving ones) or a
        `TransformedTargetRegressor` around one, nested to any depth.
    X : array-like of shape (n_samples, n_features)
        Inputs of `model`.

    Returns
    -------
    distribution : MixtureDistribution
        In the units of the targets that `model` was fitted to. The transformer of a
        `TransformedTargetRegressor` must be affine: `StandardScaler`, `MinMaxScaler`,
        `MaxAbsScaler`, `RobustScaler` or a pipeline of these. The result is exact.

    Raises
    ------
    TypeError
        If `model` contains something else, or a transformer that is not affine: its
        density would not be a mixture of Gaussians.
    AttributeError
        If a search has ``refit=False``.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skmdn import MDNRegressor, predict_dist
    >>> X, y = load_diabetes(return_X_y=True)
    >>> mdn = MDNRegressor(n_components=2, max_iter=10, random_state=0)
    >>> model = make_pipeline(StandardScaler(), mdn).fit(X, y)
    >>> len(predict_dist(model, X[:5]))
    5
    """
    if hasattr(model, "predict_dist"):
        return model.predict_dist(X)
    if isinstance(model, Pipeline):
        check_is_fitted(model)
        *transformers, regressor = (step for _, step in model.steps)
        for transformer in transformers:
            if transformer not in (None, "passthrough"):
                X = transformer.transform(X)
        return predict_dist(regressor, X)
    if isinstance(model, BaseSearchCV):
        if not model.refit:
            raise AttributeError(
                f"This {type(model).__name__} has refit=False, hence no best estimator."
            )
        check_is_fitted(model)
        return predict_dist(model.best_estimator_, X)
    if isinstance(model, TransformedTargetRegressor):
        check_is_fitted(model)
        scale, shift = _inverse_affine(model.transformer_)
        return predict_dist(model.regressor_, X).affine(scale, shift)
    raise TypeError(
        f"{type(model).__name__} gives no distribution: expected an MDNRegressor, or a "
        "Pipeline, search or TransformedTargetRegressor around one."
    )


def _inverse_affine(transformer):
    """Scale and shift of ``inverse_transform``, one for each column.

    Only the classes themselves: a subclass may have changed what they do.
    """
    kind = type(transformer)
    if kind is Pipeline:
        scale, shift = 1.0, 0.0
        for _, step in transformer.steps:
            if step not in (None, "passthrough"):
                step_scale, step_shift = _inverse_affine(step)
                scale, shift = scale * step_scale, scale * step_shift + shift
        return scale, shift
    if kind is StandardScaler:
        return (
            transformer.scale_ if transformer.with_std else 1.0,
            transformer.mean_ if transformer.with_mean else 0.0,
        )
    if kind is RobustScaler:
        return (
            transformer.scale_ if transformer.with_scaling else 1.0,
            transformer.center_ if transformer.with_centering else 0.0,
        )
    # Clipping is not affine; MaxAbsScaler can do it in some versions of scikit-learn.
    if kind in (MaxAbsScaler, MinMaxScaler) and not getattr(transformer, "clip", False):
        if kind is MaxAbsScaler:
            return transformer.scale_, 0.0
        return 1.0 / transformer.scale_, -transformer.min_ / transformer.scale_
    if kind is FunctionTransformer and transformer.func is None:
        if transformer.inverse_func is None:
            return 1.0, 0.0
    raise TypeError(
        "The transformer of a TransformedTargetRegressor must be affine for the "
        "distribution to be a mixture of Gaussians: a StandardScaler, MinMaxScaler or "
        "MaxAbsScaler (without clip), RobustScaler, or a Pipeline of these. "
        f"Got {transformer}."
    )
