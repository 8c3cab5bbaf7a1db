# SPDX-License-Identifier: BSD-3-Clause
"""Distributions through pipelines, searches and target transformers."""

import warnings

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 (its import is its effect)
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

from skmdn import MDNRegressor, predict_dist

QUICK = {"n_components": 2, "hidden_layer_sizes": 8, "max_iter": 5, "random_state": 0}


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(120, 3))
    return X, X[:, 0] + rng.gamma(2.0, size=120)


@pytest.fixture(scope="module")
def two_outputs(table):
    X, y = table
    noise = np.random.RandomState(1).normal(size=120)
    return X, np.column_stack([y, 100 * (X[:, 1] + noise)])


@pytest.mark.parametrize(
    "wrap",
    [
        lambda mdn: make_pipeline(StandardScaler(), "passthrough", mdn),
        lambda mdn: GridSearchCV(mdn, {"n_components": [2]}, cv=2),
        lambda mdn: RandomizedSearchCV(mdn, {"n_components": [2]}, n_iter=1, cv=2),
        lambda mdn: HalvingGridSearchCV(mdn, {"n_components": [2]}, cv=2),
        lambda mdn: TransformedTargetRegressor(mdn),
        lambda mdn: GridSearchCV(
            make_pipeline(MinMaxScaler(), TransformedTargetRegressor(mdn)),
            {"transformedtargetregressor__regressor__n_components": [2]},
            cv=2,
        ),
    ],
)
def test_predict_dist_through_meta_estimators(table, wrap):
    X, y = table
    model = wrap(MDNRegressor(**QUICK)).fit(X, y)
    distribution = predict_dist(model, X)
    assert distribution.weights.shape == (120, 2)
    np.testing.assert_allclose(distribution.mean(), model.predict(X), rtol=1e-10)


@pytest.mark.parametrize(
    "transformer",
    [
        StandardScaler(),
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        MinMaxScaler((-1, 5)),
        MaxAbsScaler(),
        RobustScaler(),
        RobustScaler(with_centering=False),
        RobustScaler(with_scaling=False),
        make_pipeline(RobustScaler(), "passthrough", MinMaxScaler(), StandardScaler()),
    ],
)
def test_affine_target_transformers_are_exact(table, two_outputs, transformer):
    for X, y in (table, two_outputs):
        model = TransformedTargetRegressor(
            MDNRegressor(**QUICK), transformer=transformer
        )
        model.fit(X, y)
        scaled = model.transformer_.transform(y.reshape(120, -1))
        slope = np.ptp(scaled, axis=0) / np.ptp(y.reshape(120, -1), axis=0)
        inner = model.regressor_.logpdf(X, scaled) + np.log(slope).sum()
        np.testing.assert_allclose(predict_dist(model, X).logpdf(y), inner, atol=1e-9)


@pytest.mark.parametrize(
    "target",
    [
        {"transformer": PowerTransformer()},
        {"transformer": MinMaxScaler(clip=True)},
        {"transformer": FunctionTransformer(np.log1p, np.expm1)},
        {"func": np.log1p, "inverse_func": np.expm1},
    ],
)
def test_other_target_transformers_are_refused(table, target):
    X, y = table
    model = TransformedTargetRegressor(MDNRegressor(**QUICK), **target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.fit(X, np.abs(y))
    with pytest.raises(TypeError, match=r"must be affine.*Got"):
        predict_dist(model, X)


def test_models_without_distribution_are_refused(table):
    X, y = table
    with pytest.raises(TypeError, match="LinearRegression gives no distribution"):
        predict_dist(make_pipeline(LinearRegression()).fit(X, y), X)
    search = GridSearchCV(MDNRegressor(**QUICK), {}, cv=2, refit=False).fit(X, y)
    with pytest.raises(AttributeError, match="refit=False"):
        predict_dist(search, X)
