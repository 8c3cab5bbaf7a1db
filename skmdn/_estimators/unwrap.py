# SPDX-License-Identifier: BSD-3-Clause
"""predict_dist through the meta-estimators of scikit-learn and its relatives."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skmdn._estimators.affine import inverse_affine
from skmdn._sklearn import check_any, count_rows, take_rows
from skmdn.distribution import MixtureDistribution

# Numbers of components that `dist_blocks` has in memory at a time.
_COMPONENTS_AT_ONCE = 2**20
_FIRST_BLOCK = 64


def predict_dist(model: Any, X: ArrayLike) -> MixtureDistribution:
    """Conditional distribution from a fitted model that contains an `MDNRegressor`.

    Parameters
    ----------
    model : estimator
        Fitted: an estimator with a method `predict_dist`, or one of these around it,
        nested to any depth:

        - what has `steps`: `Pipeline`, also that of imbalanced-learn, whose samplers
          only act in `fit`;
        - what has `best_estimator_`: `GridSearchCV` and every other search;
        - what predicts by one `estimator_`, like `RFE`, and `FrozenEstimator`;
        - `TransformedTargetRegressor` with an affine transformer: `StandardScaler`,
          `MinMaxScaler`, `MaxAbsScaler`, `RobustScaler` or a pipeline of these;
        - `VotingRegressor` and `BaggingRegressor`: the mixture of their members;
        - `StackingRegressor` whose final estimator is such a model;
        - `MultiOutputRegressor`: the outputs are independent given X.
    X : array-like of shape (n_rows, n_features)
        Inputs of `model`.

    Returns
    -------
    distribution : MixtureDistribution
        In the units of the targets that `model` was fitted to. Exact: its mean is what
        ``model.predict(X)`` returns.

    Raises
    ------
    TypeError
        If `model` contains something else, or a transformer that is not affine: its
        density would not be a mixture of Gaussians.
    AttributeError
        If a search has ``refit=False``.
    NotFittedError
        If `model` is not fitted.

    See Also
    --------
    cross_val_predict_dist : Distributions of the training rows, out of fold.

    Notes
    -----
    ``TransformedTargetRegressor.score`` is R², even around an `MDNRegressor`, hence
    what a search sees of it is the mean alone: give the search
    ``scoring=skmdn.metrics.log_likelihood_scorer``.

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
    return _reader(model, X)(slice(None))


def dist_blocks(model, X):
    """Distributions of `predict_dist`, a limited number of rows at a time."""
    read, start, step = _reader(model, X), 0, _FIRST_BLOCK
    n_rows = count_rows(X)
    while start < n_rows:
        dist = read(slice(start, start + step))
        yield dist
        start += step
        step = max(_FIRST_BLOCK, _COMPONENTS_AT_ONCE // _width(dist))


def _width(dist):
    """Means of a row; what is no plain mixture wraps one as its `base`."""
    dist = getattr(dist, "base", dist)
    return getattr(dist, "n_components", 1) * dist.n_outputs


def _reader(model, X):
    """Return the function from a slice of rows to their distributions.

    Transformers run now, once and on all rows; only what `model` predicts is left.
    """
    if hasattr(model, "predict_dist"):
        return lambda rows: model.predict_dist(take_rows(X, rows))
    if isinstance(model, FrozenEstimator):
        return _reader(model.estimator, X)
    if hasattr(model, "steps"):
        *transformers, regressor = (step for _, step in model.steps)
        for step in transformers:
            # Samplers of imbalanced-learn act in fit only.
            if step not in (None, "passthrough") and not hasattr(step, "fit_resample"):
                X = step.transform(X)
        return _reader(regressor, X)
    if hasattr(model, "best_estimator_"):
        return _reader(model.best_estimator_, X)
    check_is_fitted(model)
    if getattr(model, "refit", True) is False:
        raise AttributeError(
            f"This {type(model).__name__} has refit=False, hence no best estimator."
        )
    if hasattr(model, "regressor_") and hasattr(model, "transformer_"):
        inner = _reader(model.regressor_, X)
        return partial(_transformed, inner, *inverse_affine(model.transformer_))
    if hasattr(model, "estimators_"):
        return _members_reader(model, X)
    if hasattr(model, "estimator_") and hasattr(model, "predict"):
        # RFE hands the chosen columns on.
        return _reader(model.estimator_, _transform(model, X))
    raise _no_distribution(model)


def _transform(model, X):
    return model.transform(X) if hasattr(model, "transform") else X


def _transformed(inner, scale, shift, rows):
    dist = inner(rows).affine(scale, shift)
    if isinstance(dist, MixtureDistribution):
        # Names would be those that the transformer made up for an array.
        dist = dist._replace(output_names=None)
    return dist


def _members_reader(model, X):
    """`_reader` for models of several estimators."""
    # A tenth of the time that `import skmdn` would take.
    from sklearn.ensemble import BaggingRegressor, VotingRegressor
    from sklearn.multioutput import MultiOutputRegressor

    members = model.estimators_
    if hasattr(model, "final_estimator_"):
        return _reader(model.final_estimator_, model.transform(X))
    if isinstance(model, MultiOutputRegressor):
        readers = [_reader(member, X) for member in members]
        return lambda rows: MixtureDistribution.independent([r(rows) for r in readers])
    if isinstance(model, VotingRegressor):
        weights = np.ones(len(members))
        if model.weights is not None:
            named = zip(model.estimators, model.weights, strict=True)
            weights = [weight for (_, member), weight in named if member != "drop"]
        readers = [_reader(member, X) for member in members]
    elif isinstance(model, BaggingRegressor):
        X = check_any(model, X)
        weights = np.ones(len(members))
        columns = model.estimators_features_
        readers = [
            _reader(member, X[:, chosen])
            for member, chosen in zip(members, columns, strict=True)
        ]
    else:
        raise _no_distribution(model)
    weights = np.asarray(weights, dtype=np.float64) / np.sum(weights)
    return lambda rows: MixtureDistribution.mix([r(rows) for r in readers], weights)


def _no_distribution(model):
    return TypeError(
        f"{type(model).__name__} gives no distribution: expected an MDNRegressor, or a "
        "Pipeline, search, TransformedTargetRegressor, VotingRegressor, "
        "BaggingRegressor or MultiOutputRegressor around one."
    )
