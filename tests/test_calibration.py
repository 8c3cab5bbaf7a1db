# SPDX-License-Identifier: BSD-3-Clause
"""Conformal recalibration: finite-sample coverage, exact ranks, proper cdf and ppf."""

import pickle

import naive
import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.stats import norm
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmdn import MDNRegressor, MixtureDistribution, metrics, predict_dist
from skmdn.calibration import ConformalMDNRegressor
from skmdn.datasets import make_heteroscedastic

COVERAGES = (0.5, 0.8, 0.9)


class Bad(RegressorMixin, BaseEstimator):
    """A biased and much too narrow mixture, the same for every row."""

    def __init__(self, shift=0.5):
        self.shift = shift

    def fit(self, X, y, sample_weight=None):
        self.n_features_in_ = np.shape(X)[1]
        self.fit_rows_ = np.asarray(X)[:, 0]
        self.fit_weight_ = sample_weight
        return self

    def predict(self, X):
        return self.predict_dist(X).mean()

    def score(self, X, y, sample_weight=None):
        return float(np.average(self.predict_dist(X).logpdf(y), weights=sample_weight))

    def predict_dist(self, X):
        n = len(X)
        return MixtureDistribution(
            np.tile([0.7, 0.3], (n, 1)),
            np.tile([self.shift, self.shift + 1.0], (n, 1)),
            np.tile([0.6, 0.4], (n, 1)),
        )


def calibrated(n, seed=0, estimator=None, **kwargs):
    X, y = make_heteroscedastic(n, random_state=seed)
    frozen = FrozenEstimator((estimator or Bad()).fit(X, y))
    return ConformalMDNRegressor(frozen).fit(X, y, **kwargs), X, y


def inside(regions, y):
    return np.array(
        [
            np.any((region[:, 0] <= at) & (at <= region[:, 1]))
            for region, at in zip(regions, y, strict=True)
        ]
    )


# --- coverage -------------------------------------------------------------------------


def test_intervals_of_a_bad_model_cover_what_they_promise():
    covered = {coverage: [] for coverage in COVERAGES}
    before = []
    for seed in range(200):
        model, _, _ = calibrated(199, seed)
        X, y = make_heteroscedastic(500, random_state=1000 + seed)
        dist = model.predict_dist(X)
        before.append(metrics.coverage_score(y, dist.base, 0.9))
        for coverage in COVERAGES:
            covered[coverage].append(metrics.coverage_score(y, dist, coverage))
    assert np.mean(before) < 0.7
    for coverage in COVERAGES:
        assert np.mean(covered[coverage]) == pytest.approx(coverage, abs=0.01)


def test_regions_of_a_bad_model_cover_what_they_promise():
    covered = {coverage: [] for coverage in COVERAGES}
    for seed in range(200):
        model, _, _ = calibrated(199, seed)
        X, y = make_heteroscedastic(100, random_state=1000 + seed)
        dist = model.predict_dist(X)
        for coverage in COVERAGES:
            # The model predicts the same for every row: one region serves all.
            region = dist[:1].hdr(coverage)
            covered[coverage].append(np.mean(inside(region * 100, y)))
    for coverage in COVERAGES:
        assert np.mean(covered[coverage]) == pytest.approx(coverage, abs=0.01)


def test_coverage_with_few_rows_is_never_too_small():
    # 19 rows: 90 % needs ranks 1 and 19, which cover 18/20 exactly.
    covered = []
    for seed in range(400):
        model, _, _ = calibrated(19, seed)
        X, y = make_heteroscedastic(200, random_state=1000 + seed)
        covered.append(metrics.coverage_score(y, model.predict_dist(X), 0.9))
    assert np.mean(covered) == pytest.approx(0.9, abs=0.01)


# --- ranks ----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [5, 18, 19, 100])
def test_interval_ends_at_the_ranks_of_the_oracle(n):
    model, X, y = calibrated(n)
    dist = model.predict_dist(X[:1])
    # One distribution for all rows: ranks of the PIT are ranks of the targets.
    for coverage in COVERAGES:
        upper = naive.conformal_quantile(y, (1 + coverage) / 2)
        lower = -naive.conformal_quantile(-y, (1 + coverage) / 2)
        np.testing.assert_allclose(dist.interval(coverage), [[lower], [upper]])


def test_region_ends_where_the_density_of_a_calibration_row_is():
    model, X, y = calibrated(99)
    dist = model.predict_dist(X[:1])
    for coverage in COVERAGES:
        # The least density, by rank, that the region has to include.
        edge = -naive.conformal_quantile(-dist.base.pdf(y[None, :])[0], coverage)
        found = dist.base.pdf(dist.hdr(coverage)[0].ravel()[None, :])
        np.testing.assert_allclose(found, edge, rtol=0.02)


def test_too_few_rows_for_a_coverage_give_the_whole_line():
    model, X, _ = calibrated(9)
    dist = model.predict_dist(X[:2])
    np.testing.assert_array_equal(dist.interval(0.9), [[-np.inf] * 2, [np.inf] * 2])
    assert np.all(np.isfinite(dist.interval(0.8)))
    for region in dist.hdr(0.95):
        np.testing.assert_array_equal(region, [[-np.inf, np.inf]])


def test_cdf_is_the_rank_at_every_calibration_row():
    model, X, y = calibrated(40)
    dist = model.predict_dist(X[:3])
    ranks = np.arange(1, 41) / 41
    np.testing.assert_allclose(
        dist.cdf(np.sort(y)[None, :]), np.tile(ranks, (3, 1)), rtol=1e-9
    )


def test_cdf_and_ppf_are_each_others_inverse_into_the_tails():
    model, X, _ = calibrated(40)
    dist = model.predict_dist(X[:2])
    q = np.array([1e-12, 1e-6, 0.01, 0.3, 0.5, 0.7, 0.99, 1 - 1e-6])
    y = dist.ppf(q[None, :])
    assert np.all(np.diff(y, axis=1) > 0)
    np.testing.assert_allclose(dist.cdf(y), np.tile(q, (2, 1)), rtol=1e-6)
    np.testing.assert_array_equal(dist.median(), dist.ppf(0.5))
    np.testing.assert_array_equal(dist.ppf(0), [-np.inf] * 2)
    np.testing.assert_array_equal(dist.ppf(1), [np.inf] * 2)
    grid = dist.cdf(np.linspace(-20, 20, 500)[None, :])
    assert np.all(np.diff(grid, axis=1) >= 0)
    assert np.all((grid >= 0) & (grid <= 1))


def test_pit_values_of_calibration_rows_are_evenly_spaced():
    model, X, y = calibrated(199)
    dist = model.predict_dist(X)
    assert metrics.calibration_error(y, dist.base) > 0.01
    assert metrics.calibration_error(y, dist) < 1e-4
    assert metrics.pinball_loss(y, dist, [0.1, 0.9]) < metrics.pinball_loss(
        y, dist.base, [0.1, 0.9]
    )


def test_a_model_that_is_thirty_standard_deviations_off_is_repaired():
    for shift in (-12.0, 12.0):
        model, X, y = calibrated(199, estimator=Bad(shift))
        lower, upper = model.predict_dist(X).interval(0.8)
        assert np.all(np.isfinite(lower) & np.isfinite(upper))
        assert np.mean((lower <= y) & (y <= upper)) == pytest.approx(0.8, abs=0.02)


def test_a_model_that_gives_targets_no_probability_at_all_stays_valid():
    model, X, _ = calibrated(199, estimator=Bad(1e6))
    dist = model.predict_dist(X[:2])
    lower, upper = dist.interval(0.9)
    assert np.all(lower == -np.inf)
    assert not np.any(np.isnan(upper))
    assert not np.any(np.isnan(dist.cdf(0.0)))
    assert not np.any(np.isnan(dist.ppf(0.3)))
    np.testing.assert_array_equal(dist.hdr(0.9)[0], [[-np.inf, np.inf]])


def test_hpd_scores_of_one_normal_are_tail_probabilities():
    class Normal(Bad):
        def predict_dist(self, X):
            one = np.ones((len(X), 1))
            return MixtureDistribution(one, 0 * one, one)

    model, _, y = calibrated(200, estimator=Normal())
    expected = 2 * norm.sf(np.abs(y))
    np.testing.assert_allclose(model._scores["hpd"], expected, rtol=0.02, atol=1e-4)


def test_distribution_behaves_like_one():
    model, X, _ = calibrated(199)
    dist = model.predict_dist(X)
    assert repr(dist) == "ConformalDistribution(rows=199, calibration_rows=199)"
    assert len(dist) == 199
    assert len(dist[:7]) == 7
    draws = dist.sample(500, random_state=0)
    assert draws.shape == (199, 500)
    assert dist.sample(random_state=0).shape == (199,)
    np.testing.assert_array_equal(draws, dist.sample(500, random_state=0))
    # 99 500 draws from one distribution: its quartile to 4 standard errors.
    below = np.mean(draws <= dist.ppf(0.25)[:, None])
    assert below == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / draws.size))
    with pytest.raises(TypeError, match="logpdf"):
        metrics.log_likelihood_score(np.zeros(199), dist)


# --- the estimator --------------------------------------------------------------------


def test_rows_are_split_between_estimator_and_calibration():
    X, y = make_heteroscedastic(100, random_state=0)
    model = ConformalMDNRegressor(Bad(), calibration_fraction=0.3, random_state=0)
    model.fit(X, y)
    assert model.n_calibration_rows_ == 30
    assert len(model.estimator_.fit_rows_) == 70
    assert model.n_features_in_ == 1
    assert not hasattr(model.estimator, "fit_rows_")
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(
        again.predict_dist(X).ppf(0.1), model.predict_dist(X).ppf(0.1)
    )
    other = clone(model).set_params(random_state=1).fit(X, y)
    assert np.any(other.estimator_.fit_rows_ != model.estimator_.fit_rows_)


def test_a_frozen_estimator_is_calibrated_on_all_rows():
    X, y = make_heteroscedastic(100, random_state=0)
    fitted = Pipeline([("bad", Bad())]).fit(X[:50], y[:50])
    model = ConformalMDNRegressor(FrozenEstimator(fitted)).fit(X[50:], y[50:])
    assert model.n_calibration_rows_ == 50
    np.testing.assert_array_equal(fitted[-1].fit_rows_, X[:50, 0])


def test_around_and_inside_other_estimators():
    X, y = make_heteroscedastic(200, random_state=0)
    frame = pd.DataFrame(X, columns=["place"])
    mdn = MDNRegressor(2, hidden_layer_sizes=4, max_iter=3, random_state=0)
    inner = make_pipeline(StandardScaler(), mdn)
    model = ConformalMDNRegressor(inner, random_state=0).fit(frame, pd.Series(y))
    assert list(model.feature_names_in_) == ["place"]
    np.testing.assert_array_equal(model.predict(frame), model.estimator_.predict(frame))
    assert model.score(frame, y) == model.estimator_.score(frame, y)
    outer = make_pipeline("passthrough", model).fit(frame, y)
    expected = metrics.coverage_score(y, predict_dist(outer, frame), 0.9)
    actual = metrics.make_coverage_scorer(0.9)(outer, frame, y)
    assert actual == pytest.approx(expected, rel=1e-12)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        copy.predict_dist(frame).interval(0.9), model.predict_dist(frame).interval(0.9)
    )


def test_weights_reach_the_estimator_and_the_calibration():
    X, y = make_heteroscedastic(100, random_state=0)
    weight = np.arange(100) % 3.0
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
    assert model.score(X, y, weight) == model.estimator_.score(X, y, weight)


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
    for _ in range(100):
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
        assert len(model.estimator_[-1].fit_weight_) == 80
        ignoring = Bad().set_fit_request(sample_weight=False)
        model = ConformalMDNRegressor(ignoring, random_state=0)
        model.fit(X, y, sample_weight=weight)
        assert model.estimator_.fit_weight_ is None


def test_errors_name_the_culprit():
    X, y = make_heteroscedastic(50, random_state=0)
    with pytest.raises(ValueError, match="y has 2 outputs"):
        ConformalMDNRegressor(Bad()).fit(X, np.c_[y, y])
    for fraction in (0, 1, 1.5, None):
        with pytest.raises(ValueError, match="calibration_fraction"):
            ConformalMDNRegressor(Bad(), calibration_fraction=fraction).fit(X, y)
    linear = ConformalMDNRegressor(LinearRegression())
    with pytest.raises(TypeError, match="LinearRegression gives no distribution"):
        linear.fit(X, y)
    with pytest.raises(ValueError, match="sample_weight"):
        ConformalMDNRegressor(Bad()).fit(X, y, sample_weight=-np.ones(50))
    for method in ("predict", "predict_dist"):
        with pytest.raises(NotFittedError):
            getattr(ConformalMDNRegressor(Bad()), method)(X)
    dist = ConformalMDNRegressor(Bad()).fit(X, y).predict_dist(X)
    for bad in (0, 1, np.nan):
        with pytest.raises(ValueError, match="coverage must be a number strictly"):
            dist.interval(bad)
        with pytest.raises(ValueError, match="coverage must be a number strictly"):
            dist.hdr(bad)
    with pytest.raises(ValueError, match=r"q must lie in \[0, 1\]"):
        dist.ppf(1.5)


@parametrize_with_checks(
    [
        ConformalMDNRegressor(
            MDNRegressor(2, hidden_layer_sizes=4, max_iter=20, random_state=0),
            random_state=0,
        )
    ],
    expected_failed_checks=lambda estimator: dict.fromkeys(
        (
            "check_sample_weight_equivalence_on_dense_data",
            "check_sample_weights_invariance",
        ),
        "which rows are held out depends on their number, as in scikit-learn's own "
        "CalibratedClassifierCV",
    ),
)
def test_common_checks(estimator, check):
    check(estimator)
