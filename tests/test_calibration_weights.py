# SPDX-License-Identifier: BSD-3-Clause
"""Weights of conformal recalibration: counts of rows, ratios of densities, routing."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from biased import COVERAGES, Bad, calibrated
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skmdn import MDNRegressor, metrics
from skmdn.calibration import ConformalMDNRegressor
from skmdn.calibration._rows import number_rows
from skmdn.datasets import make_heteroscedastic


def test_weights_reach_the_estimator_and_the_calibration():
    X, y = make_heteroscedastic(100, random_state=0)
    weight = np.arange(100) % 3 * np.sqrt(2) ** (np.arange(100) % 2)  # no counts
    model = ConformalMDNRegressor(Bad(), random_state=0)
    model.fit(X, y, sample_weight=weight)
    expected = weight[[int(np.flatnonzero(X[:, 0] == x)[0]) for x in
                       model.estimator_.fit_rows_]]  # fmt: skip
    np.testing.assert_array_equal(model.estimator_.fit_weight_, expected)
    scaled = clone(model).fit(X, y, sample_weight=1e-200 * weight)
    np.testing.assert_allclose(
        scaled.predict_dist(X[:1]).ppf([[0.05, 0.4]]),
        model.predict_dist(X[:1]).ppf([[0.05, 0.4]]),
        rtol=1e-12,
    )
    assert model.score(X, y, weight) == pytest.approx(
        model.estimator_.score(X, y, weight)
    )


def test_rows_of_weight_zero_do_not_calibrate():
    _, X, y = calibrated(100)
    weight = np.arange(100) % 2
    frozen = FrozenEstimator(Bad().fit(X, y))
    weighted = ConformalMDNRegressor(frozen).fit(X, y, sample_weight=weight)
    some = ConformalMDNRegressor(frozen).fit(X[1::2], y[1::2])
    assert weighted.n_calibration_rows_ == some.n_calibration_rows_ == 50
    for coverage in COVERAGES:
        np.testing.assert_array_equal(
            weighted.predict_dist(X[:1]).interval(coverage),
            some.predict_dist(X[:1]).interval(coverage),
        )


def test_weights_correct_for_other_inputs_than_those_calibrated_on():
    rng = np.random.RandomState(0)

    def draw(n):
        x = rng.uniform(size=n)
        return x[:, None], (0.2 + 2 * x) * rng.normal(size=n)

    covered = {"weighted": [], "plain": []}
    for _ in range(30):
        X, y = draw(400)
        frozen = FrozenEstimator(Bad().fit(X, y))
        # The new rows come mostly from the noisy end: their inputs have density 3 x^2.
        new_X, new_y = draw(1500)
        taken = rng.uniform(size=1500) < new_X[:, 0] ** 2
        for name, weight in (("weighted", X[:, 0] ** 2), ("plain", None)):
            model = ConformalMDNRegressor(frozen).fit(X, y, sample_weight=weight)
            dist = model.predict_dist(new_X[taken])
            covered[name].append(metrics.coverage_score(new_y[taken], dist, 0.9))
    assert np.mean(covered["plain"]) < 0.87
    # At least 90 %, and little more: the weight of a new row is taken as the largest.
    assert 0.895 < np.mean(covered["weighted"]) < 0.925


def test_weights_are_routed():
    X, y = make_heteroscedastic(100, random_state=0)
    weight = 1.0 + np.arange(100) % 3
    with sklearn.config_context(enable_metadata_routing=True):
        inner = Bad().set_fit_request(sample_weight=True)
        model = ConformalMDNRegressor(make_pipeline(inner), random_state=0)
        model.set_fit_request(sample_weight=True)
        model.fit(X, y, sample_weight=weight)
        left = model.estimator_[-1].fit_weight_.sum()
        assert left == weight.sum() - model.n_calibration_rows_
        ignoring = Bad().set_fit_request(sample_weight=False)
        model = ConformalMDNRegressor(ignoring, random_state=0)
        model.fit(X, y, sample_weight=weight)
        assert model.estimator_.fit_weight_ is None


def test_rows_are_numbered_by_content_whatever_holds_them():
    y = np.array([1.0, 1.0, 2.0, 1.0, 1.0])
    table = np.array([[3.0, 1.0], [3.0, 2.0], [3.0, 1.0], [3.0, 1.0], [0.0, 2.0]])
    words = np.array([["x", None], ["x", 2], ["x", None], ["x", None], ["a", 2]])
    for X in (
        table,
        table.tolist(),
        np.where(table == 2, np.nan, table),
        sparse.csr_matrix(table),
        sparse.coo_array(table),
        pd.DataFrame(words),
        pl.DataFrame(table),
        words,
        ["c", "d", "c", "c", "a"],
    ):
        number, first = number_rows(X, y)
        assert number[0] == number[3]
        assert len(set(number[[0, 1, 2, 4]])) == len(first) == 4
        np.testing.assert_array_equal(number[first], np.arange(4))


def test_weights_reach_the_last_step_of_a_pipeline():
    X, y = make_heteroscedastic(100, random_state=0)
    weight = 1.0 + np.arange(100) % 3
    bad = make_pipeline(StandardScaler(), Bad())
    search = GridSearchCV(bad, {"bad__shift": [0.5]}, cv=2)
    nested = make_pipeline("passthrough", search)
    for inner in (bad, search, nested, TransformedTargetRegressor(bad)):
        model = ConformalMDNRegressor(inner, random_state=0)
        model.fit(X, y, sample_weight=weight)
        left = innermost(model.estimator_).fit_weight_.sum()
        assert left == weight.sum() - model.n_calibration_rows_
        assert np.isfinite(model.score(X, y, sample_weight=weight))
    none = ConformalMDNRegressor(make_pipeline(KNeighborsRegressor()))
    with pytest.raises(ValueError, match="Pipeline holds no estimator whose fit takes"):
        none.fit(X, y, sample_weight=weight)


@pytest.mark.parametrize("kind", ["frozen", "fitted"])
def test_a_weight_of_two_is_two_rows(kind):
    rng = np.random.RandomState(0)
    X = np.round(rng.uniform(size=(60, 2)), 1)  # some rows come twice by nature
    y = np.round(rng.normal(size=60), 1)
    weight = rng.randint(0, 4, 60)
    mdn = MDNRegressor(1, hidden_layer_sizes=4, max_iter=3, random_state=0)
    inner = FrozenEstimator(mdn.fit(X, y)) if kind == "frozen" else mdn
    model = ConformalMDNRegressor(inner, random_state=0)
    order = rng.permutation(60)
    weighted = clone(model).fit(X[order], y[order], sample_weight=weight[order])
    repeated = model.fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert weighted.n_calibration_rows_ == repeated.n_calibration_rows_
    one, other = weighted.predict_dist(X), repeated.predict_dist(X)
    for coverage in COVERAGES:
        np.testing.assert_array_equal(one.interval(coverage), other.interval(coverage))
    np.testing.assert_allclose(one.ppf([[0.3]]), other.ppf([[0.3]]), rtol=1e-12)
    np.testing.assert_array_equal(one.hdr(0.8)[0], other.hdr(0.8)[0])


def innermost(estimator):
    while not hasattr(estimator, "fit_rows_"):
        if isinstance(estimator, Pipeline):
            estimator = estimator[-1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            estimator = estimator.regressor_
    return estimator
