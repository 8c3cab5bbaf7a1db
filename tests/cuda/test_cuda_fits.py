# SPDX-License-Identifier: BSD-3-Clause
"""Estimators that train with the kernels of a GPU, on the CPU."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from targets import Emulated

import skmdn._estimators.cv
import skmdn._estimators.mdn
from skmdn import MDNRegressor, MDNRegressorCV
from skmdn._engine.cpu.engine import Engine as CPU
from skmdn._engine.cuda.engine import Engine

QUICK = {"n_components": 2, "hidden_layer_sizes": 8, "max_iter": 12, "random_state": 0}


@pytest.fixture(autouse=True)
def device(monkeypatch):
    device = Emulated()

    def get_engine(name, n_jobs):
        return CPU(n_jobs) if name == "cpu" else Engine(device, n_jobs)

    for module in (skmdn._estimators.cv, skmdn._estimators.mdn):
        monkeypatch.setattr(module, "get_engine", get_engine)
    return device


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(150, 3))
    return X, X[:, 0] + rng.gamma(2.0, size=150)


@pytest.mark.parametrize(
    "changes",
    [{}, {"early_stopping": False}, {"n_iter_no_change": 1, "learning_rate_init": 0.1}],
)
def test_a_fit_is_that_of_the_cpu(changes, table):
    mdn, expected = (
        MDNRegressor(**QUICK | changes, device=name).fit(*table)
        for name in ("cuda", "cpu")
    )
    assert mdn.n_iter_ == expected.n_iter_
    np.testing.assert_allclose(mdn.loss_curve_, expected.loss_curve_, atol=1e-4)
    if mdn.validation_scores_ is not None:
        scores = mdn.validation_scores_, expected.validation_scores_
        np.testing.assert_allclose(*scores, atol=1e-4)
    logpdf, wanted = mdn.logpdf(*table), expected.logpdf(*table)
    np.testing.assert_allclose(logpdf, wanted, atol=1e-2)
    np.testing.assert_allclose(mdn.score(*table), expected.score(*table), atol=1e-4)


def test_going_on(table):
    fits = []
    for name in ("cuda", "cpu"):
        mdn = MDNRegressor(**QUICK, device=name, warm_start=True).fit(*table)
        fits.append(mdn.fit(*table).partial_fit(*table).partial_fit(*table))
    a, b = fits
    np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, atol=1e-4)
    np.testing.assert_allclose(a.score(*table), b.score(*table), atol=1e-4)


def test_a_cross_fit_is_that_of_the_cpu(table):
    params = QUICK | {"n_components": [1, 2], "cv": 3, "n_bins": 4, "n_estimators": 2}
    a, b = (
        MDNRegressorCV(**params, device=name).fit(*table) for name in ("cuda", "cpu")
    )
    assert a.best_params_ == b.best_params_
    for one, other in zip(a.loss_curve_, b.loss_curve_, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    np.testing.assert_allclose(a.oof_logpdf_, b.oof_logpdf_, atol=1e-2)
    scores = "mean_test_score"
    np.testing.assert_allclose(a.cv_results_[scores], b.cv_results_[scores], atol=1e-3)


def test_a_search_over_the_gpu(table):
    search, expected = (
        GridSearchCV(
            MDNRegressor(**QUICK, device=name), {"n_components": [1, 2]}, cv=2
        ).fit(*table)
        for name in ("cuda", "cpu")
    )
    assert search.best_params_ == expected.best_params_
    np.testing.assert_allclose(search.best_score_, expected.best_score_, atol=1e-3)


def test_a_repeated_fit_has_the_same_bits(table):
    first, second = (MDNRegressor(**QUICK, device="cuda").fit(*table) for _ in range(2))
    assert first.loss_curve_ == second.loss_curve_
    np.testing.assert_array_equal(first.predict(table[0]), second.predict(table[0]))


def test_an_interrupted_fit_keeps_the_best_so_far(table, device, monkeypatch):
    copies = []

    def copy(handle):
        copies.append(handle)
        if len(copies) == 2:  # The curves of the second round.
            raise KeyboardInterrupt
        return handle.copy()

    monkeypatch.setattr(device, "copy", copy)
    mdn = MDNRegressor(**QUICK, device="cuda")
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        mdn.fit(*table)
    whole = MDNRegressor(**QUICK).fit(*table)
    assert 1 < mdn.n_iter_ <= whole.n_iter_
    wanted = whole.loss_curve_[: mdn.n_iter_]
    np.testing.assert_allclose(mdn.loss_curve_, wanted, atol=1e-4)
    assert np.isfinite(mdn.score(*table))


@pytest.mark.parametrize("kind", ["full", "tied"])
def test_correlated_components_are_refused_by_name(kind, table):
    mdn = MDNRegressor(**QUICK, device="cuda", covariance_type=kind)
    X, y = table
    with pytest.raises(ValueError, match="'full' and 'tied' are not available"):
        mdn.fit(X, np.column_stack([y, X[:, 0]]))
