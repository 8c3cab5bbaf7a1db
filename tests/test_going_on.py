# SPDX-License-Identifier: BSD-3-Clause
"""Training that goes on: warm_start and partial_fit."""

import copy

import numpy as np
import pytest

from skmdn import MDNRegressor, datasets
from skmdn._fit.model import Model

QUICK = {"n_components": 2, "hidden_layer_sizes": 8, "max_iter": 5, "random_state": 0}


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(120, 3))
    return X, X[:, 0] + rng.gamma(2.0, size=120)


def test_warm_start_goes_on(table):
    X, y = table
    mdn = MDNRegressor(warm_start=True, early_stopping=False, **QUICK).fit(X, y)
    first, center = mdn.loss_curve_, Model.of(mdn).scaling.center
    mdn.fit(X, y + 1)
    assert mdn.n_iter_ == len(mdn.loss_curve_) == 10
    assert mdn.loss_curve_[:5] == first
    np.testing.assert_array_equal(
        mdn._state["model"]["target_scaling"]["center"], center
    )
    cold = MDNRegressor(early_stopping=False, **QUICK).fit(X, y + 1)
    assert mdn.loss_curve_[-1] < cold.loss_curve_[-1]


def test_warm_start_needs_the_same_network(table):
    X, y = table
    mdn = MDNRegressor(warm_start=True, **QUICK).fit(X, y)
    expected = mdn.predict(X)
    with pytest.raises(ValueError, match=r"n_components is 3, but .* has 2"):
        mdn.set_params(n_components=3).fit(X, y)
    with pytest.raises(ValueError, match="n_outputs is 2"):
        mdn.set_params(n_components=2).fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="X has 2 features"):
        mdn.fit(X[:, :2], y)
    np.testing.assert_array_equal(mdn.predict(X), expected)


@pytest.mark.parametrize("seed", [int, np.random.RandomState])
def test_warm_fits_of_one_epoch_are_as_good_as_one_fit(seed):
    """The widening compounded in the parameters: scores fell without bound.

    A generator goes on from fit to fit: each holds out other rows.
    """
    X, y = datasets.make_heteroscedastic(200, random_state=0)
    options = {"hidden_layer_sizes": 16, "n_components": 2}
    mdn = MDNRegressor(max_iter=1, warm_start=True, random_state=seed(0), **options)
    scores = [mdn.fit(X, y).best_validation_score_ for _ in range(40)]
    assert np.diff(scores).min() > -1e-6
    one = MDNRegressor(max_iter=40, random_state=0, **options).fit(X, y)
    X_new, y_new = datasets.make_heteroscedastic(1000, random_state=1)
    assert mdn.score(X_new, y_new) > one.score(X_new, y_new) - 0.1


def test_warm_start_takes_another_min_scale_and_refuses_other_bins(table):
    mdn = MDNRegressor(warm_start=True, **QUICK).fit(*table)
    mdn.set_params(min_scale=2.0).fit(*table)
    bound = 2.0 * abs(mdn._state["model"]["target_scaling"]["scale"][0])
    assert mdn.predict_dist(table[0]).scales.min() >= bound
    mdn.set_params(min_scale="auto").fit(*table)
    assert mdn._state["model"]["min_scale"] == [1e-3]
    with pytest.raises(ValueError, match=r"n_bins is 4, but .* has 8"):
        mdn.set_params(n_bins=4).fit(*table)


def test_partial_fit_keeps_pace_with_fit_and_spoils_nothing():
    X, y = datasets.make_bimodal(900, random_state=0)
    X_new, y_new = datasets.make_bimodal(1000, random_state=1)
    options = {"hidden_layer_sizes": (32, 32), "n_components": 4, "random_state": 0}
    mdn = MDNRegressor(max_iter=60, **options).fit(X[:600], y[:600])
    score = mdn.score(X_new, y_new)
    streamed = MDNRegressor(**options)
    for _ in range(20):
        for first in range(0, 600, 200):
            streamed.partial_fit(X[first : first + 200], y[first : first + 200])
    assert streamed.score(X_new, y_new) > score - 0.02
    for first in range(600, 900, 50):
        mdn.partial_fit(X[first : first + 50], y[first : first + 50])
        assert mdn.score(X_new, y_new) > score - 0.005


def test_partial_fit_learns(table):
    X, y = table
    mdn = MDNRegressor(n_components=2, hidden_layer_sizes=(16,), random_state=0)
    for _ in range(30):
        mdn.partial_fit(X, y)
    assert mdn.n_iter_ == len(mdn.loss_curve_) == 30
    assert mdn.loss_curve_[-1] < mdn.loss_curve_[0] - 0.2
    assert mdn.validation_scores_ is None
    # The state of the optimiser is kept: a fresh one makes other steps.
    fresh = copy.deepcopy(mdn)
    fresh._state["progress"]["optimizer"] = None
    step, other = mdn.partial_fit(X, y), fresh.partial_fit(X, y)
    assert np.any(Model.of(step).params != Model.of(other).params)


@pytest.mark.parametrize(
    ("n", "n_bins", "noise"), [(200, 8, 0.03), (200, 4, 0.0), (4000, 8, 0.0)]
)
def test_inputs_of_small_tables_get_noise_if_bins_are_narrow(n, n_bins, noise):
    X, y = datasets.make_heteroscedastic(n, random_state=0)
    options = {**QUICK, "max_iter": 2, "n_bins": n_bins, "random_state": 0}
    params = [
        Model.of(MDNRegressor(input_noise=value, **options).fit(X, y)).params
        for value in ("auto", noise, 0.01)
    ]
    np.testing.assert_array_equal(params[0], params[1])
    assert np.any(params[0] != params[2])


def test_partial_fit_draws_new_batches(table):
    X, y = table
    options = {**QUICK, "batch_size": 60, "learning_rate_init": 1e-9}
    mdn = MDNRegressor(input_noise=0.5, **options)
    losses = [mdn.partial_fit(X, y).loss_curve_[-1] for _ in range(3)]
    assert len(set(losses)) == 3


def test_partial_fit_freezes_scaling(table):
    X, y = table
    mdn = MDNRegressor(**QUICK).partial_fit(X, y)
    encoding = copy.deepcopy(Model.of(mdn).encoding._asdict())
    mdn.partial_fit(10 * X, 10 * y)
    for name, array in encoding.items():
        np.testing.assert_array_equal(getattr(Model.of(mdn).encoding, name), array)


def test_partial_fit_has_no_rows_to_hold_out(table):
    mdn = MDNRegressor(early_stopping=True)
    assert not hasattr(mdn, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit"):
        mdn.partial_fit(*table)
