# SPDX-License-Identifier: BSD-3-Clause
"""MDNRegressorCV as a loop of fits: groups, scorers, callbacks, Ctrl-C, blocks."""

import os
import signal
import threading
import tracemalloc
from threading import Timer
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn import config_context
from sklearn.metrics import make_scorer, max_error, r2_score
from sklearn.model_selection import KFold

from skmdn import MDNRegressor, MDNRegressorCV
from skmdn._engine.cpu import engine
from skmdn._estimators import base as _predictor
from skmdn._estimators import cv
from skmdn._fit import job, targets
from skmdn._fit.rows import MergedTable, Rows
from skmdn._fit.splits import auto_splits
from skmdn._sklearn import HAS_CALLBACKS, takes_weights
from skmdn.datasets import make_heteroscedastic
from skmdn.metrics import neg_crps_scorer

SMALL = {"hidden_layer_sizes": 8, "n_estimators": 2, "max_iter": 25, "random_state": 0}


@pytest.fixture(scope="module")
def table():
    return make_heteroscedastic(150, random_state=0)


@pytest.fixture(scope="module")
def fitted(table):
    return MDNRegressorCV(4, **SMALL).fit(*table)


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
    table = MergedTable.of(Rows.of(X, y[:, None], np.ones(120)), groups)
    assert len(table.rows) == 24  # 10 equal pairs a group, also those of group 7
    parts = auto_splits(table, np.random.RandomState(0))
    assert len(parts) == 5
    held_out = [set(table.groups[part.numbers]) for _, part in parts]
    for (training, _), outside in zip(parts, held_out, strict=True):
        assert not outside & set(table.groups[training.numbers])
    assert sorted(len(outside) for outside in held_out) == [2, 2, 2, 3, 3]
    assert set().union(*held_out) == set(range(12))
    other = auto_splits(table, np.random.RandomState(1))
    assert [set(table.groups[part.numbers]) for _, part in other] != held_out


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
    table = MergedTable.of(Rows.of(X, X, np.ones(n)), groups)
    ((training, held_out),) = auto_splits(table, np.random.RandomState(0))
    outside = set(table.groups[held_out.numbers])
    assert len(outside) > 1
    assert not outside & set(table.groups[training.numbers])
    assert 0.08 * n < len(held_out) < 0.12 * n


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


class Refitted(dict):
    """Attributes that another thread's fit replaces as soon as one has been read."""

    other = {}  # noqa: RUF012 (set by the test)

    def __getitem__(self, name):
        value = super().__getitem__(name)
        self.update(self.other)
        return value

    def get(self, name, default=None):
        return self[name] if name in self else default


@pytest.mark.parametrize("kind", [MDNRegressor, MDNRegressorCV])
def test_predictions_while_another_thread_fits_are_of_one_fit(kind, table):
    """Targets of two units: one fit's network with the other's scaling is neither."""
    X, y = table
    options = {"hidden_layer_sizes": 8, "max_iter": 2, "random_state": 0}
    mdn = kind(1, **options).fit(X, 1e6 * (y + 3))
    other = dict(vars(mdn))
    mdn.fit(X, y)
    mean = mdn.predict(X[:3])
    mdn.__dict__ = Refitted(vars(mdn))
    vars(mdn).other = other
    np.testing.assert_array_equal(mdn.predict(X[:3]), mean)
    assert np.all(mdn.predict(X[:3]) > 1000)


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


@pytest.mark.usefixtures("ctrl_c")
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
    """90 000 rows: a block at a time, while the distributions take 200 MB."""
    X = np.tile(table[0], (600, 1))
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


def test_what_fits_of_a_split_share_is_prepared_once(table, monkeypatch):
    jobs, counted, real = [], [], targets.atom_spacing

    def run(batch):
        jobs.append(batch)
        return engine.Engine(1).run(batch)

    def count(Y, sample_weight):
        counted.append(len(Y))
        return real(Y, sample_weight)

    monkeypatch.setattr(cv, "get_engine", lambda *_: SimpleNamespace(run=run))
    monkeypatch.setattr(job, "atom_spacing", count)
    MDNRegressorCV([1, 2, 4], cv=3, n_bins=4, **SMALL).fit(*table)
    # All of the first split at the same time, then all others.
    assert [len(batch) for batch in jobs] == [4, 8]
    assert len(counted) == 3
    for batch, n_splits in zip(jobs, (1, 2), strict=True):
        for part in ("training", "validation"):
            assert len({id(getattr(one, part)) for one in batch}) == n_splits
        assert (
            len({id(one.encoding) for one in batch}) == 2 * n_splits
        )  # and the lines'
