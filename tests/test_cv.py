# SPDX-License-Identifier: BSD-3-Clause
"""MDNRegressorCV: folds, choice of candidates, calibration."""

import os
import pickle
import signal
import threading
import tracemalloc
from threading import Event, Thread, Timer

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from sklearn import config_context
from sklearn.metrics import make_scorer, max_error, r2_score
from sklearn.model_selection import GroupKFold, KFold, RepeatedKFold, ShuffleSplit
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmdn import MDNRegressor, MDNRegressorCV, _predictor
from skmdn._blend import clearly_best, stacking_weights
from skmdn._crossfit import Fold, MergedRows, auto_splits, splits, unshared
from skmdn._holdout import count_units, hold_out_folds, hold_out_part
from skmdn._sklearn import HAS_CALLBACKS, takes_weights
from skmdn._tail import N_COMPONENTS as N_TAIL
from skmdn._tail import with_tail
from skmdn.datasets import make_bimodal, make_heteroscedastic, make_interactions
from skmdn.metrics import neg_crps_scorer

SMALL = {"hidden_layer_sizes": 8, "n_estimators": 2, "max_iter": 25, "random_state": 0}


@pytest.fixture(scope="module")
def table():
    return make_heteroscedastic(150, random_state=0)


@pytest.fixture(scope="module")
def fitted(table):
    return MDNRegressorCV(4, **SMALL).fit(*table)


@parametrize_with_checks(
    [
        MDNRegressorCV(2, cv=2, **SMALL),
        MDNRegressorCV([1, 2], **SMALL | {"max_iter": 40}),
    ]
)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def test_keeps_every_fold(fitted, table):
    X, y = table
    distribution = fitted.predict_dist(X)
    assert fitted.component_weights_.shape == (5, 8)
    np.testing.assert_allclose(fitted.component_weights_.sum(axis=1), 1)
    n_experts = int(fitted.linear_weight_ > 0)
    # The first fold has networks of both views.
    assert distribution.n_components == 8 + 5 * (8 + n_experts) + N_TAIL
    np.testing.assert_allclose(distribution.weights.sum(axis=1), 1)
    assert np.isfinite(fitted.oof_logpdf_).all()
    assert len(fitted.oof_logpdf_) == len(X)
    # Out-of-fold densities are honest: a little below those of the training rows.
    assert fitted.oof_logpdf_.mean() < fitted.score(X, y)


def test_density_integrates_to_one(fitted, table):
    row = fitted.predict_dist(table[0][:1])
    total, _ = quad(lambda y: row.pdf(y)[0], -1e3, 1e3, points=[-5, 0, 5], limit=500)
    np.testing.assert_allclose(total, 1, atol=1e-6)  # the tail goes on


def test_chooses_the_number_of_components():
    X, y = make_bimodal(300, random_state=0)
    mdn = MDNRegressorCV([1, 3], **SMALL).fit(X, y)
    assert mdn.best_params_ == {"n_components": 3}
    results = mdn.cv_results_
    assert results["rank_test_score"].tolist() == [2, 1]
    assert results["params"] == [{"n_components": 1}, {"n_components": 3}]
    np.testing.assert_allclose(mdn.best_score_, results["mean_test_score"][1])
    splits = [results[f"split{i}_test_score"][1] for i in range(5)]
    np.testing.assert_allclose(np.mean(splits), mdn.best_score_)


def test_param_grid_and_scoring():
    X, y = make_heteroscedastic(120, random_state=1)

    def few_bins(estimator, X, y):
        assert isinstance(estimator, MDNRegressor)
        assert np.isfinite(estimator.score(X, y))
        return -estimator.coefs_[0].shape[0]

    mdn = MDNRegressorCV(2, param_grid={"n_bins": [0, 8]}, scoring=few_bins, **SMALL)
    assert mdn.fit(X, y).best_params_ == {"n_components": 2, "n_bins": 0}
    mdn.set_params(scoring="neg_mean_squared_error")
    assert -np.var(y) < mdn.fit(X, y).best_score_ < 0


def test_bins_follow_the_shape_of_the_function():
    """Few for a smooth one, many for steps; the first split keeps both kinds."""
    rng = np.random.RandomState(0)
    X = rng.uniform(-2, 2, size=(400, 2))
    steps = np.random.RandomState(1).normal(size=17)
    means = {4: X[:, 0] * X[:, 1], 16: steps[np.floor(4 * X[:, 0]).astype(int) + 8]}
    for n_bins, mean in means.items():
        y = mean + 0.1 * rng.normal(size=400)
        mdn = MDNRegressorCV(1, cv=3, **SMALL | {"max_iter": 80}).fit(X, y)
        assert mdn.n_bins_ == n_bins
        first, *others = mdn._mixture().folds
        np.testing.assert_allclose(np.sum(first.weights), 1)
        kinds = [len(model.view.bin_feature) for model in first.models]
        assert kinds == [8, 32]
        assert kinds[int(np.argmax(first.weights))] == 2 * n_bins
        for fold in others:
            assert fold.weights == [1.0]
            assert len(fold.models[0].view.bin_feature) == 2 * n_bins


def test_bins_may_be_given(table):
    mdn = MDNRegressorCV(2, cv=2, n_bins=3, **SMALL).fit(*table)
    assert mdn.n_bins_ == 3
    for fold in mdn._mixture().folds:
        assert [len(model.view.bin_feature) for model in fold.models] == [3]


def test_stacking_weights_are_those_of_greatest_likelihood():
    rng = np.random.RandomState(0)
    y = np.where(rng.uniform(size=3000) < 0.3, rng.normal(size=3000), 8.0)
    y[y == 8.0] += rng.normal(size=(y == 8.0).sum())
    sample_weight = rng.uniform(0, 2, size=3000)
    logpdf = norm.logpdf(y, loc=[[0.0], [8.0], [500.0]])
    weights = stacking_weights(logpdf, sample_weight)
    share = np.average(y < 4, weights=sample_weight)
    np.testing.assert_allclose(weights, [share, 1 - share, 0], atol=1e-3)
    # A row that every density excludes has no say.
    with_outlier = np.column_stack([logpdf, np.full(3, -np.inf)])
    again = stacking_weights(with_outlier, np.append(sample_weight, 1.0))
    np.testing.assert_allclose(again, weights, atol=1e-3)


@pytest.mark.parametrize(("gain", "expected"), [(0.06, 0), (0.04, 1), (-0.2, 1)])
def test_clearly_best_needs_more_than_a_standard_error(gain, expected):
    last = np.random.RandomState(0).normal(size=400)
    other = last + gain + np.tile([1.0, -1.0], 200)  # a standard error of 0.05
    assert clearly_best([other, last], np.ones(400)) == expected


def test_clearly_best_survives_densities_of_zero():
    last, zero = np.zeros(5), np.full(5, -np.inf)
    assert clearly_best([zero, zero], np.ones(5)) == 1
    assert clearly_best([zero, last], np.ones(5)) == 1
    assert clearly_best([last, zero], np.ones(5)) == 0


def test_same_bits_for_every_n_jobs(table, fitted):
    X, y = table
    for n_jobs in (2, 3):
        again = MDNRegressorCV(4, n_jobs=n_jobs, **SMALL).fit(X, y)
        np.testing.assert_array_equal(again.oof_logpdf_, fitted.oof_logpdf_)
        np.testing.assert_array_equal(again.logpdf(X, y), fitted.logpdf(X, y))


def test_pickle_keeps_the_bits(table, fitted):
    X, y = table
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.logpdf(X, y), fitted.logpdf(X, y))


def test_groups_stay_together(table):
    X, y = table
    groups = np.arange(len(y)) // 10
    mdn = MDNRegressorCV(2, cv=GroupKFold(3), **SMALL).fit(X, y, groups=groups)
    assert len(mdn.component_weights_) == 3
    assert np.isfinite(mdn.oof_logpdf_).all()


def grouped_table():
    """Groups with a level of their own, and equal rows in different groups."""
    rng = np.random.RandomState(0)
    groups = np.repeat(np.arange(12), 10)
    X = np.column_stack([np.repeat(rng.normal(size=12), 10), np.tile([0.0, 1.0], 60)])
    y = np.repeat(rng.normal(size=12), 10)
    X[groups == 7], y[groups == 7] = X[groups == 3], y[groups == 3]
    return X, y, np.array([f"patient {g}" for g in groups])


def test_groups_make_group_folds():
    X, y, groups = grouped_table()
    rows = MergedRows.of(X, y[:, None], np.ones(120), groups)
    assert len(rows.X) == 24  # 10 equal pairs a group, also those of group 7
    parts = auto_splits(rows, np.random.RandomState(0))
    assert len(parts) == 5
    held_out = [set(rows.groups[part[3]]) for _, part in parts]
    for (training, _), outside in zip(parts, held_out, strict=True):
        assert not outside & set(rows.groups[training[3]])
    assert sorted(len(outside) for outside in held_out) == [2, 2, 2, 3, 3]
    assert set().union(*held_out) == set(range(12))
    other = auto_splits(rows, np.random.RandomState(1))
    assert [set(rows.groups[part[3]]) for _, part in other] != held_out


def test_groups_given_without_a_splitter_are_used():
    """Out-of-fold densities are those of new groups: a level is not known there."""
    rng = np.random.RandomState(0)
    groups = np.repeat(np.arange(30), 8)
    X = rng.normal(size=(30, 2))[groups] + 0.01 * rng.normal(size=(240, 2))
    y = rng.normal(size=30)[groups] + 0.1 * rng.normal(size=240)
    mdn = MDNRegressorCV(1, **SMALL | {"hidden_layer_sizes": 32, "max_iter": 100})
    known = mdn.fit(X, y).oof_logpdf_.mean()
    new = mdn.fit(X, y, groups=groups).oof_logpdf_
    assert np.isfinite(new).all()
    assert new.mean() < known - 1


def test_groups_of_many_rows_are_held_out_as_a_whole():
    groups = np.repeat(np.arange(50), np.arange(51, 151, 2))
    n = len(groups)
    X = np.arange(n, dtype=float)[:, None]
    rows = MergedRows.of(X, X, np.ones(n), groups)
    ((training, held_out),) = auto_splits(rows, np.random.RandomState(0))
    outside = set(rows.groups[held_out[3]])
    assert len(outside) > 1
    assert not outside & set(rows.groups[training[3]])
    assert 0.08 * n < len(held_out[0]) < 0.12 * n


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.zeros(150), "at least 2 groups"),
        (np.arange(149), "inconsistent numbers"),
        (np.full(150, np.nan), "groups contains NaN"),
    ],
)
def test_bad_groups_are_named(groups, message, table):
    with pytest.raises(ValueError, match=message):
        MDNRegressorCV(2, **SMALL).fit(*table, groups=groups)


def test_weights_reach_every_scorer_that_takes_them(table):
    X, y = table
    weight = np.random.RandomState(0).randint(1, 4, size=150).astype(float)
    cv = list(KFold(2).split(X))
    seen = []

    def takes(estimator, X, y, sample_weight=None):
        seen.append(sample_weight)
        return 0.0

    def takes_none(estimator, X, y):
        seen.append(len(y))
        return 0.0

    options = SMALL | {"n_estimators": 1, "max_iter": 3}
    mdn = MDNRegressorCV(1, cv=cv, scoring=takes, n_bins=2, **options)
    mdn.fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(np.concatenate(seen), weight)
    seen.clear()
    mdn.set_params(scoring=takes_none).fit(X, y, sample_weight=weight)
    assert seen == [75, 75]
    # scikit-learn's, and those of this package: as if every row came that often.
    for scoring in ("neg_mean_squared_error", neg_crps_scorer):
        mdn.set_params(scoring=scoring, cv="auto")
        weighted = mdn.fit(X, y, sample_weight=weight).cv_results_
        times = weight.astype(int)
        repeated = mdn.fit(np.repeat(X, times, axis=0), np.repeat(y, times)).cv_results_
        np.testing.assert_allclose(
            weighted["mean_test_score"], repeated["mean_test_score"]
        )


def test_merged_rows_count_as_often_as_they_came(table):
    """For scorers without weights too."""
    X, y = table
    times = np.random.RandomState(0).randint(1, 4, size=150)
    n_seen = []

    def squared_error(estimator, X, y):
        n_seen.append(len(y))
        return -np.mean((estimator.predict(X) - y) ** 2)

    X, y = np.repeat(X, times, axis=0), np.repeat(y, times)
    options = SMALL | {"n_estimators": 1, "max_iter": 3}
    mdn = MDNRegressorCV(1, scoring=squared_error, n_bins=2, **options).fit(X, y)
    assert sum(n_seen) == len(y)
    weighted = mdn.set_params(scoring="neg_mean_squared_error")
    expected = weighted.fit(X, y).cv_results_["mean_test_score"]
    mdn.set_params(scoring=squared_error).fit(X, y)
    np.testing.assert_allclose(mdn.cv_results_["mean_test_score"], expected)


def test_a_scorer_may_refuse_weights():
    with config_context(enable_metadata_routing=True):
        for scorer in (make_scorer(r2_score), neg_crps_scorer):
            assert takes_weights(scorer)
            assert takes_weights(scorer.set_score_request(sample_weight=True))
            assert not takes_weights(scorer.set_score_request(sample_weight=False))
    assert not takes_weights(make_scorer(max_error))


def test_predictions_while_another_thread_fits_are_of_one_fit(table):
    """Targets of two units: means of the one network with the other's are neither."""
    X, y = table
    mdn = MDNRegressorCV(1, cv=2, **SMALL | {"n_estimators": 1, "max_iter": 2})
    states, means = [], []
    for unit in (1.0, 1e6):
        mdn.fit(X, unit * (y + 3))
        states.append(dict(vars(mdn)))
        means.append(mdn.predict(X[:3]))
    done = Event()

    def refit():
        for i in range(4000):
            mdn._store(states[i % 2])
        done.set()

    thread = Thread(target=refit)
    thread.start()
    while not done.is_set():
        found = mdn.predict(X[:3])
        assert any(np.array_equal(found, mean) for mean in means)
    thread.join()


def test_callback_after_every_fit(table):
    X, y = table
    seen = []

    def callback(fit, losses, estimator_copy):
        seen.append((fit, losses["candidate"], losses["split"]))
        network = estimator_copy()
        assert isinstance(network, MDNRegressor)
        assert np.isfinite(network.score(X, y))
        assert np.isfinite([losses["loss"], losses["validation_score"]]).all()

    options = SMALL | {"n_estimators": 1, "max_iter": 5}
    mdn = MDNRegressorCV([1, 2], cv=3, n_bins=2, callback=callback, **options)
    fitted = mdn.fit(X, y)
    candidates = (0, 1, None)
    expected = [(c, split) for split in range(3) for c in candidates]
    assert seen == [(i + 1, *pair) for i, pair in enumerate(expected)]
    first, seen[:] = list(seen), []
    again = mdn.set_params(n_jobs=3).fit(X, y)
    assert seen == first
    assert again is fitted


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_callback_stops_after_the_split(n_jobs, table):
    X, y = table
    options = SMALL | {"n_estimators": 1, "max_iter": 5}
    mdn = MDNRegressorCV([1, 2], cv=5, n_bins=2, n_jobs=n_jobs, **options)
    mdn.set_params(callback=lambda fit, losses, _: losses["split"] == 1).fit(X, y)
    assert len(mdn.component_weights_) == 2
    assert mdn.cv_results_["split1_test_score"].shape == (2,)
    assert "split2_test_score" not in mdn.cv_results_
    mdn.set_params(callback=lambda *_: True).fit(X, y)
    assert len(mdn.component_weights_) == 1
    assert np.isfinite(mdn.score(X, y))


@pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn has no callbacks")
def test_scikit_learn_callbacks(table):
    class Watcher:
        def __init__(self):
            self.ended, self.scores = [], []

        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            self.ended.append(context.task_name)
            if fitted_estimator is not None:
                self.scores.append(fitted_estimator.score(*table))
            return context.task_id == 2

    watcher = Watcher()
    options = SMALL | {"n_estimators": 1, "max_iter": 5}
    mdn = MDNRegressorCV(2, cv=5, n_bins=2, **options).set_callbacks(watcher)
    mdn.fit(*table)
    assert watcher.ended == ["network"] * 3 + ["fit"]
    assert watcher.scores == [mdn.score(*table)]
    assert len(mdn.component_weights_) == 2


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_interrupt_leaves_the_earlier_fit(n_jobs, table):
    X, y = table
    options = SMALL | {"n_estimators": 1, "max_iter": 5}
    mdn = MDNRegressorCV(1, cv=2, n_jobs=n_jobs, **options).fit(X, y)
    before = mdn.logpdf(X, y)
    n_threads = threading.active_count()

    def interrupt(fit, losses, estimator_copy):
        if fit == 2:
            raise KeyboardInterrupt

    mdn.set_params(callback=interrupt, max_iter=300, n_iter_no_change=None)
    with pytest.raises(KeyboardInterrupt):
        mdn.fit(X, y + 100)
    assert threading.active_count() == n_threads
    np.testing.assert_array_equal(mdn.logpdf(X, y), before)


def test_interrupt_of_threads_stops_them_all(table):
    """A signal comes to the main thread, which waits; the others train for hours."""
    X, y = table
    options = SMALL | {"max_iter": 10**6, "n_iter_no_change": None}
    mdn = MDNRegressorCV(1, cv=2, n_jobs=2, **options)
    timer = Timer(1.0, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        mdn.fit(X, y)
    timer.join()
    assert not hasattr(mdn, "_state")


def test_predictions_in_blocks_are_those_of_the_whole(fitted, table, monkeypatch):
    X, y = table
    whole = fitted.predict_dist(X)
    draws, one = fitted.sample(X, 5, random_state=0), fitted.sample(X, random_state=0)
    logpdf, pair = fitted.logpdf(X, y), fitted.predict(X, return_std=True)
    np.testing.assert_array_equal(draws, whole.sample(5, random_state=0))
    monkeypatch.setattr(_predictor, "_COMPONENTS_AT_ONCE", 1)  # blocks of 64 rows
    for name in ("weights", "means", "scales"):
        blocks = fitted.predict_dist(X)
        np.testing.assert_array_equal(getattr(blocks, name), getattr(whole, name))
    np.testing.assert_array_equal(fitted.sample(X, 5, random_state=0), draws)
    np.testing.assert_array_equal(fitted.sample(X, random_state=0), one)
    np.testing.assert_array_equal(fitted.logpdf(X, y), logpdf)
    np.testing.assert_array_equal(fitted.predict(X, return_std=True), pair)


def test_one_draw_a_row_holds_no_whole_distribution(fitted, table):
    """3000 rows: 2 MB of draws and blocks, 24 MB and more of the distributions."""
    X = np.tile(table[0], (200, 1))
    sizes = []
    for method in (fitted.sample, fitted.predict_dist):
        tracemalloc.start()
        method(X)
        sizes.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert sizes[0] < 0.6 * sizes[1]


def test_predictor_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        _predictor.DistributionRegressor()


def test_one_hold_out_leaves_rows_unjudged(table):
    X, y = table
    split = next(KFold(3).split(X))
    mdn = MDNRegressorCV(2, cv=[split], **SMALL).fit(X, y)
    assert np.isnan(mdn.oof_logpdf_[split[0]]).all()
    assert np.isfinite(mdn.oof_logpdf_[split[1]]).all()


def test_splits_may_be_lists_or_masks(table):
    """As in scikit-learn's own cross-validation."""
    X, y = table
    weight = np.arange(150.0) % 5
    inside = np.arange(150) < 100
    rows = (X, y[:, None], weight)
    (as_masks,) = splits([(inside, ~inside)], rows, None)
    lists = (np.flatnonzero(part).tolist() for part in (inside, ~inside))
    (as_lists,) = splits([tuple(lists)], rows, None)
    for part, other in zip(as_masks, as_lists, strict=True):
        for array, expected in zip(part, other, strict=True):
            np.testing.assert_array_equal(array, expected)
    assert as_masks[1][3].tolist() == [i for i in range(100, 150) if i % 5]


@pytest.mark.parametrize(
    "split",
    [
        ([], range(5)),
        (range(5), []),
        (range(5), [150]),
        (range(5), [5.0]),
        ([True] * 149, [5]),
        (range(5, 10), range(5)),  # held-out rows without weight
    ],
)
def test_splits_without_rows_are_refused(split, table):
    weight = np.ones(150)
    weight[:5] = 0
    with pytest.raises(ValueError, match="cv must give"):
        MDNRegressorCV(2, cv=[split], **SMALL).fit(*table, sample_weight=weight)


def linear_ensemble(table, n_estimators):
    """Two folds of linear networks, and rows drawn around their predictions."""
    options = SMALL | {"n_estimators": n_estimators, "hidden_layer_sizes": ()}
    options |= {"n_bins": 4}
    ensemble = MDNRegressorCV(1, cv=2, **options).fit(*table)._mixture()

    def held_out(spread):
        z = np.random.RandomState(0).normal(size=len(table[0]))
        for fold in ensemble.folds:
            core = fold.distribution(table[0])
            yield table[0], core.mean() + spread * core.std() * z, np.ones(len(z))

    return ensemble._replace(temperature=1.0), held_out


@pytest.mark.parametrize("spread", [0.5, 1.0, 1.8])
def test_temperature_follows_held_out_rows(spread, table):
    ensemble, held_out = linear_ensemble(table, n_estimators=1)
    found = ensemble.calibrated(list(held_out(spread))).temperature
    np.testing.assert_allclose(found, spread, rtol=0.12)


def test_weights_on_components_of_no_use_are_sharpened_away(table):
    """Held-out rows that know only the heavier of two components, or both."""
    ensemble = MDNRegressorCV(2, n_bins=4, cv=2, **SMALL).fit(*table)._mixture()
    ensemble = ensemble._replace(temperature=1.0, linear_weight=0.0, sharpness=1.0)
    blends = []
    for fold in ensemble.folds:
        (model,) = fold.models
        params = model.params.copy()
        coefs, intercepts = model.network.layers(params)
        for coef, intercept in zip(coefs[-2:], intercepts[-2:], strict=True):
            coef[:] = 0.0
            # Logits, means and log-scales of two components: weights 0.9 and 0.1.
            intercept[:] = [np.log(9.0), 0.0, 0.0, 8.0, -1.0, -1.0]
        blends.append(fold._replace(models=[model._replace(params=params)]))
    ensemble = ensemble._replace(folds=blends)
    X, weight = table[0], np.ones(len(table[0]))
    found = {}
    for n_far in (0, 15):
        held_out = []
        for fold in blends:
            mixture = fold.distribution(X)
            chosen = np.where(np.arange(len(X)) < n_far, 1, 0)
            z = np.random.RandomState(0).normal(size=len(X))
            rows = np.arange(len(X))
            y = mixture.means[rows, chosen] + mixture.scales[rows, chosen] * z
            held_out.append((X, y, weight))
        found[n_far] = ensemble.calibrated(held_out).sharpness
    assert found[0] > 2.5
    assert found[15] < 1.1


def test_sharpening_keeps_the_weights_of_members():
    rng = np.random.RandomState(0)
    X, y = make_heteroscedastic(100, random_state=0)
    fold = MDNRegressorCV(3, cv=2, **SMALL).fit(X, y)._mixture().folds[0]
    plain = fold.distribution(X[rng.permutation(100)[:5]])
    sharp = fold.sharpened(plain, 2.0)
    for before, after in zip(
        np.split(plain.weights, 4, axis=1),
        np.split(sharp.weights, 4, axis=1),
        strict=True,
    ):
        squares = before**2
        share = before.sum(axis=1) / squares.sum(axis=1)
        np.testing.assert_allclose(after, squares * share[:, None])


def spread_out(ensemble, distance):
    """Move the members of every network apart, by scaled units of the targets."""
    folds = []
    for fold in ensemble.folds:
        (model,) = fold.models
        params = model.params.copy()
        heads = model.network.layers(params)[1][-2:]
        for sign, intercept in zip((-1, 1), heads, strict=True):
            intercept[1] += sign * distance
        folds.append(fold._replace(models=[model._replace(params=params)]))
    return ensemble._replace(folds=folds)


def test_pooling_lowers_the_temperature_of_members_that_disagree(table):
    """By the factor from one member to the mixture of all, or less; never above 1."""
    ensemble, held_out = linear_ensemble(table, n_estimators=2)
    held_out = list(held_out(1.0))
    ratios = []
    for distance in (0.0, 0.5):
        calibrated = spread_out(ensemble, distance).calibrated(held_out)
        ratios.append(
            [
                calibrated.pooled(held_out, share).temperature / calibrated.temperature
                for share in (0.2, 0.1, 0.0)
            ]
        )
    assert 0.9 < ratios[0][0] <= 1
    assert ratios[1][0] < 0.7
    # Folds that differ half as much: half of the logarithm.
    np.testing.assert_allclose(ratios[1][1] ** 2, ratios[1][0])
    assert ratios[1][2] == 1


@pytest.mark.parametrize(
    ("cv", "expected"),
    [
        (KFold(5), 0.8 / 5),
        (KFold(2), 0.5 / 2),
        (ShuffleSplit(1, test_size=20, random_state=0), 0.0),
        (RepeatedKFold(n_splits=4, n_repeats=2, random_state=0), None),
        (ShuffleSplit(3, test_size=20, random_state=0), None),
    ],
)
def test_unshared_rows_are_those_that_one_fold_has_seen_and_another_has_not(
    cv, expected
):
    X, y = make_heteroscedastic(100, random_state=0)
    rows = (X, y[:, None], np.ones(100))
    held_out = [part[1] for part in splits(cv, rows, None)]
    folds = [Fold(None, None, part[:3], part[3]) for part in held_out]
    sets = [set(part[3]) for part in held_out]
    pairs = [len(others - own) / 100 for own in sets for others in sets]
    assert unshared(folds, rows[2]) == pytest.approx(np.mean(pairs))
    if expected is not None:
        assert np.mean(pairs) == pytest.approx(expected)


def test_one_hold_out_shares_its_rows_with_itself():
    """Also if it holds out a part of merged rows only."""
    weight = np.full(10, 4.0)
    part = Fold(None, None, (None, None, np.ones(5)), np.arange(5))
    assert unshared([part], weight) == 0.0


def test_temperature_of_the_fit_is_that_of_the_pooled_folds():
    X, y = make_interactions(300, random_state=0)
    folds = list(KFold(3, shuffle=True, random_state=0).split(X))
    mdn = MDNRegressorCV(4, cv=folds, **SMALL | {"max_iter": 60}).fit(X, y)
    held_out = [(X[rows], y[rows], np.ones(len(rows))) for _, rows in folds]
    ensemble = mdn._mixture()
    calibrated = ensemble.calibrated(held_out)
    assert calibrated.pooled(held_out, 2 / 9).temperature == mdn.temperature_
    assert mdn.temperature_ < 0.95 * calibrated.temperature
    # Out of fold it is the calibrated fold that counts, not its part in the mixture.
    logpdf = [
        with_tail(calibrated.part(fold, held_out[fold][0])).logpdf(held_out[fold][1])
        for fold in range(3)
    ]
    rows = np.concatenate([rows for _, rows in folds])
    np.testing.assert_allclose(mdn.oof_logpdf_[rows], np.concatenate(logpdf))


def test_bound_of_the_scales_holds_after_calibration(table):
    X, y = table
    mdn = MDNRegressorCV(2, min_scale=1.0, n_bins=4, **SMALL).fit(X, y)
    ensemble = mdn._mixture()._replace(linear_weight=0.0)
    for number, fold in enumerate(ensemble.folds):
        assert np.all(ensemble.part(number, X).scales >= 0.999 * fold.unit)


def test_a_line_is_left_to_the_linear_experts():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(500, 5))
    y = X[:, 0] - 2 * X[:, 1] + rng.normal(size=500)
    mdn = MDNRegressorCV(4, **SMALL | {"max_iter": 100}).fit(X[:100], y[:100])
    assert mdn.linear_weight_ > 0.3
    noise = -0.5 * np.log(2 * np.pi) - 0.5  # mean log-density of the truth
    assert mdn.score(X[100:], y[100:]) > noise - 0.15


def test_experts_stay_out_where_a_line_is_wrong():
    X, y = make_bimodal(400, random_state=0)
    mdn = MDNRegressorCV(3, **SMALL | {"max_iter": 100}).fit(X, y)
    assert mdn.linear_weight_ < 0.1


def test_gross_outliers_cost_little():
    X, y = make_heteroscedastic(600, random_state=2)
    clean = MDNRegressorCV(2, **SMALL).fit(X[:400], y[:400]).score(X[400:], y[400:])
    spoiled = y[:400].copy()
    spoiled[::200] += 1e4 * y.std()
    score = MDNRegressorCV(2, **SMALL).fit(X[:400], spoiled).score(X[400:], y[400:])
    assert clean - score < 0.1


def test_inputs_far_away_get_finite_wide_densities(fitted, table):
    far = fitted.predict_dist([[1e6], [-1e300]])
    assert np.isfinite(far.std()).all()
    assert np.isfinite(far.logpdf(table[1][:2])).all()


def test_several_outputs():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(120, 2))
    Y = X @ rng.normal(size=(2, 2)) + 0.1 * rng.normal(size=(120, 2))
    mdn = MDNRegressorCV(2, covariance_type="spherical", **SMALL).fit(X, Y)
    assert mdn.predict(X).shape == Y.shape
    assert mdn.sample(X, 3, random_state=0).shape == (120, 2, 3)
    assert np.isfinite(mdn.oof_logpdf_).all()


def test_failed_fit_keeps_the_earlier_one(table):
    X, y = table
    mdn = MDNRegressorCV(2, cv=2, **SMALL).fit(X, y)
    before = mdn.logpdf(X, y)
    with pytest.raises(ValueError, match="NaN"):
        mdn.fit(X, np.where(np.arange(len(y)) == 3, np.nan, y))
    np.testing.assert_array_equal(mdn.logpdf(X, y), before)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": []}, "n_components"),
        ({"n_components": [0, 2]}, "n_components"),
        ({"param_grid": {"depth": [1]}}, "depth"),
        ({"cv": "loo"}, "cv"),
        ({"cv": []}, "cv"),
        ({"n_bins": "few"}, "n_bins"),
        ({"scoring": "best"}, "scoring"),
        ({"alpha": -1}, "alpha"),
    ],
)
def test_bad_parameters_are_named(parameters, message, table):
    with pytest.raises(ValueError, match=message):
        MDNRegressorCV(**parameters).fit(*table)


def test_units_of_weights():
    assert count_units(np.array([0.5, 1.0, 1.5])).tolist() == [1, 2, 3]
    assert count_units(np.array([0.5, 1.1, 1.5])).tolist() == [1, 1, 1]
    rng = np.random.RandomState(0)
    weight = np.array([1.0, 3.0, 2.0, 1.0])
    folds = list(hold_out_folds(weight, 3, rng))
    np.testing.assert_allclose(np.sum(folds, axis=0), weight)
    assert sorted(np.sum(folds, axis=1)) == [2, 2, 3]
    assert hold_out_part(weight, 4, rng).sum() == 4
    assert hold_out_part(weight, 100, rng).sum() == 6  # something to train on remains
