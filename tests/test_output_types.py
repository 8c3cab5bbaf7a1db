# SPDX-License-Identifier: BSD-3-Clause
"""What predict returns by output_type, alone and through pipelines."""

import numpy as np
import pytest
import sklearn
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmdn import MDNRegressor, MDNRegressorCV

QUICK = {"n_components": 2, "hidden_layer_sizes": 8, "max_iter": 5, "random_state": 0}


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(90, 2))
    return X, X[:, 0] + rng.gamma(2.0, size=90)


@pytest.fixture(scope="module", params=["one", "cv"])
def fitted(request, table):
    if request.param == "one":
        return MDNRegressor(**QUICK).fit(*table)
    return MDNRegressorCV(cv=2, n_estimators=1, n_bins=0, **QUICK).fit(*table)


def test_output_types_are_summaries_of_the_distribution(fitted, table, monkeypatch):
    monkeypatch.setattr("skmdn._estimators.base._COMPONENTS_AT_ONCE", 1)  # 64 rows
    X, _ = table
    dist = fitted.predict_dist(X)
    for name in ("mean", "median", "mode"):
        expected = getattr(dist, name)()
        predicted = fitted.predict(X, output_type=name)
        np.testing.assert_allclose(predicted, expected, rtol=1e-14, atol=1e-15)
    mean, _ = fitted.predict(X, return_std=True)
    np.testing.assert_array_equal(mean, fitted.predict(X))
    levels = [0.05, 0.5]
    quantiles = fitted.predict(X, output_type="quantiles", quantiles=levels)
    np.testing.assert_array_equal(quantiles, dist.ppf([levels]))
    # As many levels as rows, too.
    pair = fitted.predict(X[:2], output_type="quantiles", quantiles=levels)
    np.testing.assert_allclose(pair, quantiles[:2], rtol=1e-12)
    deciles = fitted.predict(X, output_type="quantiles")
    np.testing.assert_array_equal(deciles, dist.ppf([np.arange(1, 10) / 10]))
    full = fitted.predict(X, output_type="full")
    np.testing.assert_array_equal(full.weights, dist.weights)


def test_output_types_pass_through_a_pipeline(table):
    X, y = table
    model = make_pipeline(StandardScaler(), MDNRegressor(**QUICK)).fit(X, y)
    assert len(model.predict(X, output_type="full")) == 90
    assert model.predict(X, output_type="quantiles", quantiles=[0.9]).shape == (90, 1)
    mean, std = model.predict(X, return_std=True)
    assert mean.shape == std.shape == (90,)
    with sklearn.config_context(enable_metadata_routing=True):
        mdn = MDNRegressor(**QUICK).set_predict_request(output_type=True)
        model = make_pipeline(StandardScaler(), mdn).fit(X, y)
        assert len(model.predict(X, output_type="full")) == 90


def test_quantiles_pass_through_increasing_functions_of_the_target(table):
    X, y = table
    y = y - y.min()
    model = TransformedTargetRegressor(
        MDNRegressor(**QUICK), func=np.log1p, inverse_func=np.expm1
    ).fit(X, y)
    inner = model.regressor_.predict_dist(X)
    actual = model.predict(X, output_type="quantiles", quantiles=[0.1, 0.5])
    np.testing.assert_allclose(actual, np.expm1(inner.ppf([[0.1, 0.5]])))
    median = model.predict(X, output_type="median")
    np.testing.assert_array_equal(median, actual[:, 1])


def test_shapes_follow_y(table):
    X, y = table
    column = MDNRegressor(**QUICK).fit(X, y[:, None])
    for name in ("mean", "median", "mode"):
        assert column.predict(X, output_type=name).shape == (90, 1)
    assert column.predict(X, output_type="quantiles").shape == (90, 9)


def test_several_outputs(table):
    X, y = table
    mdn = MDNRegressor(**QUICK).fit(X, np.column_stack([y, X[:, 1]]))
    mode = mdn.predict(X, output_type="mode")
    np.testing.assert_array_equal(mode, mdn.predict_dist(X).mode())
    for name in ("median", "quantiles"):
        with pytest.raises(ValueError, match=r"one output, this model has 2.*marginal"):
            mdn.predict(X, output_type=name)


def test_what_does_not_go_together_is_named(table):
    X, y = table
    mdn = MDNRegressor(**QUICK).fit(X, y)
    with pytest.raises(ValueError, match=r"output_type must be one of mean, .*'std'"):
        mdn.predict(X, output_type="std")
    with pytest.raises(ValueError, match=r'quantiles are for .*output_type="mean"'):
        mdn.predict(X, quantiles=[0.5])
    with pytest.raises(ValueError, match=r'return_std=True is for .*"median"'):
        mdn.predict(X, output_type="median", return_std=True)
    for bad in ([0.0], [0.5, 1.0], [], [[0.5]], [np.nan]):
        with pytest.raises(ValueError, match="quantiles must lie strictly"):
            mdn.predict(X, output_type="quantiles", quantiles=bad)
