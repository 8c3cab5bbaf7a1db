# SPDX-License-Identifier: BSD-3-Clause
"""Conformal recalibration: finite-sample coverage, exact ranks, proper cdf and ppf."""

import pickle

import naive
import numpy as np
import pandas as pd
import pytest
from biased import COVERAGES, Bad, calibrated
from scipy.stats import norm
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmdn import MDNRegressor, MixtureDistribution, metrics, predict_dist
from skmdn.calibration import ConformalMDNRegressor
from skmdn.datasets import make_heteroscedastic


def inside(regions, y):
    return np.array(
        [
            np.any((region[:, 0] <= at) & (at <= region[:, 1]))
            for region, at in zip(regions, y, strict=True)
        ]
    )


# --- coverage -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bad_models():
    """Recalibrated distributions of new rows, and their targets."""
    rows = [make_heteroscedastic(500, random_state=1000 + seed) for seed in range(100)]
    models = [calibrated(199, seed)[0] for seed in range(100)]
    return [(m.predict_dist(X), y) for m, (X, y) in zip(models, rows, strict=True)]


def test_intervals_of_a_bad_model_cover_what_they_promise(bad_models):
    before = [metrics.coverage_score(y, dist.base, 0.9) for dist, y in bad_models]
    assert np.mean(before) < 0.7
    for coverage in COVERAGES:
        covered = [metrics.coverage_score(y, dist, coverage) for dist, y in bad_models]
        assert np.mean(covered) == pytest.approx(coverage, abs=0.01)


def test_regions_of_a_bad_model_cover_what_they_promise(bad_models):
    for coverage in COVERAGES:
        # The model predicts the same for every row: one region serves all.
        covered = [
            np.mean(inside(dist[:1].hdr(coverage) * len(y), y))
            for dist, y in bad_models
        ]
        assert np.mean(covered) == pytest.approx(coverage, abs=0.01)


def test_coverage_with_few_rows_is_never_too_small():
    # 19 rows: 90 % needs ranks 1 and 19, which cover 18/20 exactly.
    covered = []
    for seed in range(200):
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
    expected = 2 * norm.sf(np.abs(np.sort(y)))  # rows are ordered by their content
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
    assert model.score(frame, y) == pytest.approx(model.estimator_.score(frame, y))
    outer = make_pipeline("passthrough", model).fit(frame, y)
    expected = metrics.coverage_score(y, predict_dist(outer, frame), 0.9)
    actual = metrics.make_coverage_scorer(0.9)(outer, frame, y)
    assert actual == pytest.approx(expected, rel=1e-12)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        copy.predict_dist(frame).interval(0.9), model.predict_dist(frame).interval(0.9)
    )


def test_draws_are_finite_where_the_model_cannot_follow():
    rng = np.random.RandomState(0)
    X, y = make_heteroscedastic(500, random_state=0)
    y[:15] = 1e4 * rng.choice([-1, 1], 15)  # 3 % outliers
    dist = ConformalMDNRegressor(FrozenEstimator(Bad().fit(X, y))).fit(X, y)
    dist = dist.predict_dist(X[:3])
    assert np.isinf(dist.ppf(0.999)).all()  # the truth about what is known
    draws = dist.sample(3000, random_state=0)
    assert np.isfinite(draws).all()
    # Only what lies beyond the model's tails is moved to their end.
    assert np.mean(np.abs(draws) > 15) == pytest.approx(0.03, abs=0.01)


@pytest.mark.parametrize("scale", [2.0, -2.0])
def test_inside_a_transformed_target(scale):
    X, y = make_heteroscedastic(200, random_state=0)
    model = ConformalMDNRegressor(Bad(), random_state=0).fit(X, y)
    dist = model.predict_dist(X[:5])
    moved = dist.affine(scale, 1.0)
    lower, upper = dist.interval(0.8)
    expected = np.sort([scale * lower + 1, scale * upper + 1], axis=0)
    np.testing.assert_allclose(moved.interval(0.8), expected)
    np.testing.assert_allclose(
        moved.cdf(scale * 0.3 + 1), dist.affine(scale).cdf(scale * 0.3)
    )
    q = 0.3 if scale > 0 else 0.7
    np.testing.assert_allclose(moved.ppf(q), scale * dist.ppf(0.3) + 1, rtol=1e-9)
    outer = TransformedTargetRegressor(
        ConformalMDNRegressor(Bad(), random_state=0), transformer=StandardScaler()
    ).fit(X, y)
    assert metrics.coverage_score(y, predict_dist(outer, X), 0.9) > 0.85


def test_summaries_by_output_type():
    model, X, _ = calibrated(50)
    dist = model.predict_dist(X)
    for name, expected in (
        ("mean", dist.base.mean()),
        ("median", dist.median()),
        ("mode", dist.base.mode()),
        ("quantiles", dist.ppf([np.arange(1, 10) / 10])),
    ):
        np.testing.assert_allclose(model.predict(X, output_type=name), expected)
    assert model.predict(X, quantiles=[0.5], output_type="quantiles").shape == (50, 1)
    assert len(model.predict(X, output_type="full")) == 50
    with pytest.raises(ValueError, match="output_type must be one of"):
        model.predict(X, output_type="variance")


def test_levels_are_for_every_row():
    model, X, _ = calibrated(50)
    dist = model.predict_dist(X[:2])
    np.testing.assert_array_equal(dist.ppf([0.2, 0.7]), dist.ppf([[0.2, 0.7]]))
    one_each = dist.ppf([[0.2], [0.7]])
    np.testing.assert_array_equal(one_each[:, 0], np.diag(dist.ppf([0.2, 0.7])))
    several = np.stack(dist.interval([0.5, 0.9, 0.99]), axis=2)
    for place, coverage in enumerate((0.5, 0.9, 0.99)):
        one = np.stack(dist.interval(coverage), axis=1)
        np.testing.assert_array_equal(several[:, place], one)


def test_what_needs_a_density_says_why_there_is_none():
    model, X, _ = calibrated(20)
    dist = model.predict_dist(X)
    with pytest.raises(AttributeError, match="no pdf: recalibrated by ranks"):
        dist.pdf(0.0)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = dist.nonsense


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
        with pytest.raises(ValueError, match=r"coverage must (lie|not be NaN)"):
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
)
def test_common_checks(estimator, check):
    check(estimator)
