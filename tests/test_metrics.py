# SPDX-License-Identifier: BSD-3-Clause
"""Scores and scorers: against the oracle, with weights, in searches, with routing."""

import pickle

import naive
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skmdn import MDNRegressor, MixtureDistribution, metrics
from skmdn.datasets import make_heteroscedastic

N_ROWS = 12


class Fixed(RegressorMixin, BaseEstimator):
    """Predicts N(shift + 2 sin(2 pi x), scale^2) without looking at the targets."""

    def __init__(self, shift=0.0, scale=1.0):
        self.shift = shift
        self.scale = scale

    def fit(self, X, y, sample_weight=None):
        self.n_features_in_ = np.shape(X)[1]
        return self

    def predict(self, X):
        return self.predict_dist(X).mean()

    def predict_dist(self, X):
        means = self.shift + 2 * np.sin(2 * np.pi * np.asarray(X)[:, :1])
        return MixtureDistribution(
            np.ones_like(means), means, np.full_like(means, self.scale)
        )


@pytest.fixture
def rows():
    rng = np.random.RandomState(0)
    dist = MixtureDistribution(
        rng.dirichlet([1, 1, 1], N_ROWS),
        rng.normal(size=(N_ROWS, 3)),
        rng.uniform(0.1, 1, (N_ROWS, 3)),
    )
    return rng.normal(size=N_ROWS), dist, rng.uniform(0.1, 3, N_ROWS)


def components(dist):
    return zip(dist.weights, dist.means, dist.scales, strict=True)


# Every metric of one output: its function, and the oracle's value of one row.
SCORES = {
    "log_likelihood_score": (
        metrics.log_likelihood_score,
        lambda w, m, s, y: np.log(
            sum(w * np.exp(-0.5 * ((y - m) / s) ** 2) / s / np.sqrt(2 * np.pi))
        ),
    ),
    "crps_loss": (metrics.crps_loss, naive.mixture_crps),
    "pinball_loss": (
        lambda y, dist, **kw: metrics.pinball_loss(y, dist, [0.2, 0.9], **kw),
        lambda w, m, s, y: (
            0.5 * naive.pinball(y, naive.mixture_quantile(w, m, s, 0.2), 0.2)
            + 0.5 * naive.pinball(y, naive.mixture_quantile(w, m, s, 0.9), 0.9)
        ),
    ),
    "interval_loss": (
        lambda y, dist, **kw: metrics.interval_loss(y, dist, 0.5, **kw),
        lambda w, m, s, y: naive.interval_loss(
            y,
            naive.mixture_quantile(w, m, s, 0.25),
            naive.mixture_quantile(w, m, s, 0.75),
            0.5,
        ),
    ),
    "coverage_score": (
        lambda y, dist, **kw: metrics.coverage_score(y, dist, 0.5, **kw),
        lambda w, m, s, y: 0.25 <= naive.mixture_cdf(w, m, s, y) <= 0.75,
    ),
}
each_score = pytest.mark.parametrize("name", SCORES)


@each_score
@pytest.mark.parametrize("weighted", [False, True])
def test_score_equals_the_oracle(rows, name, weighted):
    y, dist, weight = rows
    score, oracle = SCORES[name]
    values = [oracle(*parts, at) for parts, at in zip(components(dist), y, strict=True)]
    expected = naive.weighted_mean(values, weight if weighted else np.ones(N_ROWS))
    actual = score(y, dist, sample_weight=weight if weighted else None)
    assert isinstance(actual, float)
    assert actual == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_calibration_error_equals_the_oracle(rows, weighted):
    y, dist, weight = rows
    if not weighted:
        weight = np.ones(N_ROWS)
    pits = [
        naive.mixture_cdf(*parts, at)
        for parts, at in zip(components(dist), y, strict=True)
    ]
    np.testing.assert_allclose(metrics.pit_values(y, dist), pits, rtol=1e-12)
    for levels in (None, [0.1, 0.6]):
        used = np.arange(1, 20) / 20 if levels is None else levels
        expected = naive.calibration_error(pits, weight, used)
        actual = metrics.calibration_error(y, dist, levels, sample_weight=weight)
        assert actual == pytest.approx(expected, rel=1e-12)


def test_energy_loss_is_the_mean_of_the_rows():
    rng = np.random.RandomState(0)
    dist = MixtureDistribution(
        rng.dirichlet([1, 1], 4), rng.normal(size=(4, 2, 2)), np.ones((4, 2, 2))
    )
    Y, weight = rng.normal(size=(4, 2)), [1.0, 0.0, 2.0, 1.0]
    each = dist.energy_score(Y)
    actual = metrics.energy_loss(Y, dist, sample_weight=weight)
    assert actual == pytest.approx(naive.weighted_mean(each, weight), rel=1e-12)


def test_metrics_of_distributions_that_are_right_and_wrong():
    rng = np.random.RandomState(0)
    ones = np.ones((4000, 1))
    y = rng.normal(size=4000)
    true = MixtureDistribution(ones, 0 * ones, ones)
    for wrong in (
        MixtureDistribution(ones, 0.5 * ones, ones),
        MixtureDistribution(ones, 0 * ones, 1.6 * ones),
        MixtureDistribution(ones, 0 * ones, ones / 1.6),
    ):
        likelihood = metrics.log_likelihood_score
        assert likelihood(y, true) > likelihood(y, wrong)
        for loss in (
            metrics.crps_loss,
            metrics.interval_loss,
            metrics.calibration_error,
            lambda y, dist: metrics.pinball_loss(y, dist, [0.1, 0.5, 0.9]),
        ):
            assert loss(y, true) < loss(y, wrong)


@pytest.mark.parametrize("name", [*SCORES, "calibration_error"])
def test_weight_two_is_a_row_twice_and_weight_zero_no_row(rows, name):
    y, dist, _ = rows
    score = SCORES[name][0] if name in SCORES else metrics.calibration_error
    weight = np.array([0, 1, 2] * 4)
    repeated = np.repeat(np.arange(N_ROWS), weight)
    expected = score(y[repeated], dist[repeated])
    assert score(y, dist, sample_weight=weight) == pytest.approx(expected, rel=1e-12)
    # Neither the unit of the weights matters nor their kind.
    huge = pd.Series(weight * 1e307)
    assert score(y, dist, sample_weight=huge) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", [list, pd.Series, lambda y: y[:, None]])
def test_targets_of_any_kind(rows, kind):
    y, dist, _ = rows
    expected = metrics.log_likelihood_score(y, dist)
    assert metrics.log_likelihood_score(kind(y), dist) == expected


@each_score
def test_errors_name_the_culprit(rows, name):
    y, dist, weight = rows
    score = SCORES[name][0]
    with pytest.raises(ValueError, match=r"y_true has 11 rows, dist has 12"):
        score(y[1:], dist)
    with pytest.raises(ValueError, match="y_true contains NaN"):
        score(np.where(np.arange(N_ROWS) == 3, np.nan, y), dist)
    with pytest.raises(ValueError, match="y_true has 2 outputs, dist has 1"):
        score(np.c_[y, y], dist)
    with pytest.raises(TypeError, match="ndarray"):
        score(y, dist.means)
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(12,\)"):
        score(y, dist, sample_weight=weight[1:])
    with pytest.raises(ValueError, match=r"sample_weight .* between -1"):
        score(y, dist, sample_weight=-np.ones(N_ROWS))
    with pytest.raises(ValueError, match="zero everywhere"):
        score(y, dist, sample_weight=np.zeros(N_ROWS))


@pytest.mark.parametrize("bad", [0, 1, -0.5, np.nan])
def test_levels_must_be_probabilities(rows, bad):
    y, dist, _ = rows
    with pytest.raises(ValueError, match="q must lie strictly between 0 and 1"):
        metrics.pinball_loss(y, dist, [0.5, bad])
    with pytest.raises(ValueError, match="q must lie strictly"):
        metrics.calibration_error(y, dist, [bad])
    with pytest.raises(ValueError, match="coverage must be a number strictly"):
        metrics.interval_loss(y, dist, bad)
    with pytest.raises(ValueError, match="coverage must be a number strictly"):
        metrics.coverage_score(y, dist, bad)
    with pytest.raises(ValueError, match="q must lie strictly"):
        metrics.make_pinball_scorer(bad)
    with pytest.raises(ValueError, match="coverage must be a number strictly"):
        metrics.make_coverage_scorer(bad)


# --- scorers --------------------------------------------------------------------------


SCORERS = {
    "log_likelihood": (metrics.log_likelihood_scorer, metrics.log_likelihood_score, 1),
    "crps": (metrics.neg_crps_scorer, metrics.crps_loss, -1),
    "pinball": (metrics.make_pinball_scorer(0.5), metrics.pinball_loss, -1),
    "coverage": (metrics.make_coverage_scorer(0.9), metrics.coverage_score, 1),
}
each_scorer = pytest.mark.parametrize("name", SCORERS)


@each_scorer
def test_scorer_is_its_metric_with_the_sign_that_makes_greater_better(name):
    scorer, metric, sign = SCORERS[name]
    X, y = make_heteroscedastic(50, random_state=0)
    model = Pipeline([("mdn", Fixed(0.3))]).fit(X, y)
    weight = np.arange(50)
    for options in ({}, {"sample_weight": weight}):
        expected = sign * metric(y, model[-1].predict_dist(X), **options)
        actual = scorer(model, X, y, **options)
        assert actual == pytest.approx(expected, rel=1e-12)
        assert pickle.loads(pickle.dumps(scorer))(model, X, y, **options) == actual


@pytest.mark.parametrize("name", ["log_likelihood", "crps", "pinball"])
def test_search_through_a_pipeline_finds_the_best(name):
    X, y = make_heteroscedastic(300, random_state=0)
    model = Pipeline([("identity", "passthrough"), ("mdn", Fixed())])
    search = GridSearchCV(
        model, {"mdn__shift": [-1.0, 0.0, 1.0]}, scoring=SCORERS[name][0], cv=3
    )
    search = clone(search).fit(X, y)
    assert search.best_params_ == {"mdn__shift": 0.0}
    # The scorer walks down a fitted search, too.
    scorer = SCORERS[name][0]
    assert scorer(search, X, y) == scorer(search.best_estimator_, X, y)


def test_several_scorers_at_once():
    X, y = make_heteroscedastic(300, random_state=0)
    scoring = {name: scorer for name, (scorer, _, _) in SCORERS.items()}
    scores = cross_validate(Fixed(), X, y, scoring=scoring, cv=3)
    for name in SCORERS:
        alone = cross_val_score(Fixed(), X, y, scoring=scoring[name], cv=3)
        np.testing.assert_array_equal(scores[f"test_{name}"], alone)
    grid = {"shift": [0.0, 1.0], "scale": [0.5, 1.0, 4.0]}
    search = GridSearchCV(Fixed(), grid, scoring=scoring, refit="crps", cv=3)
    assert search.fit(X, y).best_params_ == {"shift": 0.0, "scale": 1.0}


def test_scorer_in_processes_and_threads():
    X, y = make_heteroscedastic(60, random_state=0)
    mdn = MDNRegressor(2, hidden_layer_sizes=4, max_iter=2, random_state=0)
    model = Pipeline([("scale", StandardScaler()), ("mdn", mdn)])
    for scorer in (metrics.neg_crps_scorer, metrics.log_likelihood_scorer):
        one = cross_val_score(model, X, y, scoring=scorer, cv=2)
        two = cross_val_score(model, X, y, scoring=scorer, cv=2, n_jobs=2)
        np.testing.assert_array_equal(one, two)


def test_log_likelihood_scorer_is_the_score_of_the_estimator():
    X, y = make_heteroscedastic(60, random_state=0)
    mdn = MDNRegressor(2, hidden_layer_sizes=4, max_iter=2, random_state=0).fit(X, y)
    expected = mdn.score(X, y, sample_weight=y**2)
    actual = metrics.log_likelihood_scorer(mdn, X, y, sample_weight=y**2)
    assert actual == pytest.approx(expected, rel=1e-12)


class Counting(Fixed):
    """Remembers how many rows it was asked for at a time."""

    def predict_dist(self, X):
        self.asked = [*getattr(self, "asked", []), len(X)]
        return super().predict_dist(X)


@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame, pl.DataFrame, list])
def test_scorers_work_in_blocks(monkeypatch, kind):
    monkeypatch.setattr("skmdn._estimators.unwrap._COMPONENTS_AT_ONCE", 100)
    X, y = make_heteroscedastic(300, random_state=0)
    weight = np.r_[np.zeros(70), np.arange(230)]
    for name, (scorer, metric, sign) in SCORERS.items():
        model = Counting()
        dist = Fixed().predict_dist(X)
        for options in ({}, {"sample_weight": weight}):
            expected = sign * metric(y, dist, **options)
            actual = scorer(model, kind(X), kind(y), **options)
            assert actual == pytest.approx(expected, rel=1e-12), name
        assert model.asked == [64, 100, 100, 36] * 2
    with pytest.raises(ValueError, match="y_true has 299 rows, X has 300"):
        metrics.neg_crps_scorer(Fixed(), kind(X), kind(y[1:]))
    # A metric that is no mean over the rows sees all of them at once.
    scorer, model = metrics.make_dist_scorer(metrics.calibration_error), Counting()
    assert scorer(model, kind(X), y) == metrics.calibration_error(y, dist)
    assert model.asked == [300]


def weights_that_choose_a_shift():
    """Rows of which half lie 2 higher and carry all weight: a shift of 2 is best."""
    X, y = make_heteroscedastic(400, random_state=0)
    weight = np.arange(400) % 2.0
    return X, y + 2 * weight, weight


@pytest.mark.parametrize("name", ["log_likelihood", "crps"])
def test_weights_are_routed_through_a_pipeline_to_the_scorer(name):
    X, y, weight = weights_that_choose_a_shift()
    grid = {"mdn__shift": [0.0, 1.0, 2.0]}
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = SCORERS[name][0].set_score_request(sample_weight=True)
        model = Pipeline([("mdn", Fixed().set_fit_request(sample_weight=True))])
        search = GridSearchCV(model, grid, scoring=scorer, cv=3)
        search.fit(X, y, sample_weight=weight)
        assert search.best_params_ == {"mdn__shift": 2.0}
        without = SCORERS[name][0].set_score_request(sample_weight=False)
        search = GridSearchCV(model, grid, scoring=without, cv=3)
        search.fit(X, y, sample_weight=weight)
        assert search.best_params_ == {"mdn__shift": 1.0}


def test_weights_under_another_name_and_for_one_scorer_of_two():
    X, y, weight = weights_that_choose_a_shift()
    with sklearn.config_context(enable_metadata_routing=True):
        model = Fixed(2.0).set_fit_request(sample_weight=False)
        scoring = {
            "with": metrics.neg_crps_scorer.set_score_request(sample_weight="trust"),
            "without": metrics.neg_crps_scorer.set_score_request(sample_weight=False),
        }
        scores = cross_validate(
            model, X, y, scoring=scoring, cv=3, params={"trust": weight}
        )
    assert np.all(scores["test_with"] > scores["test_without"])


def test_weights_without_a_request_are_an_error_and_requests_need_routing():
    X, y, weight = weights_that_choose_a_shift()
    scorer = metrics.neg_crps_scorer
    with pytest.raises(RuntimeError, match="enable_metadata_routing"):
        scorer.set_score_request(sample_weight=True)
    with sklearn.config_context(enable_metadata_routing=True):
        requested = scorer.set_score_request(sample_weight=True)
        # Everyone shares the scorers of the package: a request makes a new one.
        assert requested is not scorer
        assert scorer.request is None
        model = Fixed().set_fit_request(sample_weight=True)
        search = GridSearchCV(model, {"shift": [0.0]}, scoring=scorer, cv=3)
        with pytest.raises(ValueError, match="sample_weight"):
            search.fit(X, y, sample_weight=weight)


def test_make_dist_scorer_says_what_it_is():
    scorer = metrics.make_dist_scorer(
        metrics.interval_loss, greater_is_better=False, coverage=0.8
    )
    expected = "make_dist_scorer(interval_loss, greater_is_better=False, coverage=0.8)"
    assert repr(scorer) == expected
    X, y = make_heteroscedastic(50, random_state=0)
    dist = Fixed().fit(X, y).predict_dist(X)
    expected = -metrics.interval_loss(y, dist, 0.8)
    assert scorer(Fixed(), X, y) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(TypeError, match="score_func must be callable, got str"):
        metrics.make_dist_scorer("crps")
