# SPDX-License-Identifier: BSD-3-Clause
"""Callbacks, interruption and the progress bar."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline

from skmdn import MDNRegressor, MDNRegressorCV
from skmdn._engine.cpu.run import Run
from skmdn._fit.model import Model
from skmdn._sklearn import HAS_CALLBACKS

QUICK = {"n_components": 2, "hidden_layer_sizes": 8, "max_iter": 5, "random_state": 0}


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(120, 3))
    return X, X[:, 0] + rng.gamma(2.0, size=120)


@pytest.fixture(scope="module")
def fitted(table):
    return MDNRegressor(**QUICK).fit(*table)


def test_callback_sees_every_epoch(table):
    X, y = table
    seen = []

    def callback(epoch, losses, estimator_copy):
        seen.append((epoch, losses, estimator_copy()))

    mdn = MDNRegressor(callback=callback, **QUICK).fit(X, y)
    assert [epoch for epoch, *_ in seen] == [1, 2, 3, 4, 5]
    assert [losses["loss"] for _, losses, _ in seen] == mdn.loss_curve_
    scores = [losses["validation_score"] for _, losses, _ in seen]
    assert scores == mdn.validation_scores_
    for epoch, _, fitted in seen:
        assert fitted.n_iter_ == epoch
        fitted.score(X, y)
    predictions = [fitted.predict(X) for *_, fitted in seen]
    assert not np.array_equal(predictions[0], predictions[-1])
    best = int(np.argmax(scores))
    np.testing.assert_array_equal(predictions[best], mdn.predict(X))


@pytest.mark.parametrize("kind", [MDNRegressor, MDNRegressorCV])
def test_a_callback_that_cannot_be_pickled_does_not_spoil_the_fitted_model(kind, table):
    mdn = kind(callback=lambda *_: None, **QUICK)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(mdn)  # Elsewhere it would be fitted without: an error is better.
    loaded = pickle.loads(pickle.dumps(mdn.fit(*table)))
    assert mdn.callback is not None
    assert loaded.callback is None
    np.testing.assert_array_equal(loaded.predict(table[0]), mdn.predict(table[0]))
    mdn.set_params(callback=print)
    assert pickle.loads(pickle.dumps(mdn)).callback is print


def test_callback_without_validation(table):
    losses = []
    mdn = MDNRegressor(
        callback=lambda epoch, shown, copy: losses.append(shown), **QUICK
    )
    mdn.set_params(early_stopping=False).fit(*table)
    assert {shown["validation_score"] for shown in losses} == {None}


def test_callback_stops(table):
    mdn = MDNRegressor(callback=lambda epoch, *_: epoch == 3, **QUICK).fit(*table)
    assert mdn.n_iter_ == 3


def test_error_in_callback_leaves_the_earlier_fit(fitted, table):
    X, y = table
    mdn = copy.deepcopy(fitted).set_params(callback=lambda *_: 1 / 0)
    state = pickle.dumps(Model.of(fitted).params)
    with pytest.raises(ZeroDivisionError):
        mdn.fit(X[:, :2], y)
    assert pickle.dumps(Model.of(mdn).params) == state
    assert mdn.n_features_in_ == 3
    assert vars(mdn).keys() == vars(fitted).keys()


def test_interrupt_keeps_the_best_so_far(table):
    X, y = table

    def interrupt(epoch, losses, estimator_copy):
        if epoch == 3:
            raise KeyboardInterrupt

    mdn = MDNRegressor(callback=interrupt, **QUICK)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        mdn.fit(X, y)
    assert mdn.n_iter_ == 3
    assert np.isfinite(mdn.score(X, y))


def test_interrupt_before_the_first_epoch_leaves_the_earlier_fit(
    fitted, table, monkeypatch
):
    mdn, state = copy.deepcopy(fitted), pickle.dumps(vars(fitted))
    monkeypatch.setattr(Run, "epoch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        mdn.fit(*table)
    assert pickle.dumps(vars(mdn)) == state


def interrupt(*_):
    raise KeyboardInterrupt


def test_interrupt_ends_loops_over_fits(table):
    mdn = MDNRegressor(callback=interrupt, **QUICK)
    for alone in (make_pipeline(mdn), TransformedTargetRegressor(mdn)):
        with pytest.warns(ConvergenceWarning, match="interrupted"):
            alone.fit(*table)
    for loop in (
        GridSearchCV(mdn, {"n_components": [1, 2]}),
        MultiOutputRegressor(mdn),
    ):
        with pytest.raises(KeyboardInterrupt):
            loop.fit(table[0], table[1][:, None])
    with pytest.raises(KeyboardInterrupt):
        cross_val_score(mdn, *table)


def test_progress_bar(table, capsys):
    MDNRegressor(**QUICK).fit(*table)
    assert capsys.readouterr() == ("", "")
    MDNRegressor(verbose=1, **QUICK).fit(*table)
    shown = capsys.readouterr().err
    assert "5/5" in shown
    assert "loss=" in shown
    assert "validation_score=" in shown


@pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn has no callbacks")
def test_scikit_learn_callbacks(table):
    from sklearn.callback import ScoringMonitor

    X, y = table
    monitor = ScoringMonitor(scoring="r2")
    mdn = MDNRegressor(early_stopping=False, **QUICK)
    mdn.set_callbacks(monitor).fit(X, y)
    log = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert [row["task_id"] for row in log] == [0, 1, 2, 3, 4]
    assert log[-1]["r2"] == r2_score(y, mdn.predict(X))
    assert log[-1]["r2"] > log[0]["r2"]
    assert not [name for name in vars(mdn) if "callback_fit_ctx" in name]


@pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn has no callbacks")
def test_scikit_learn_callback_stops(table):
    class Stop:
        def __init__(self):
            self.begun, self.ended = [], []

        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            self.done = True

        def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
            self.begun.append(context.task_name)
            assert X.shape == (120, 3)
            assert y.shape == (120,)

        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            self.ended.append(context.task_name)
            if fitted_estimator is not None:
                fitted_estimator.predict([[0.0, 0.0, 0.0]])
            return context.task_name == "epoch" and context.task_id == 1

    stop = Stop()
    mdn = MDNRegressor(**QUICK).set_callbacks(stop).fit(*table)
    assert mdn.n_iter_ == 2
    assert stop.begun == ["fit", "epoch", "epoch"]
    assert stop.ended == ["epoch", "epoch", "fit"]
    assert stop.done
    mdn = MDNRegressor(callback=lambda epoch, *_: epoch == 3, **QUICK)
    stop = Stop()
    stop.on_fit_task_end = lambda estimator, context: False
    assert mdn.set_callbacks(stop).fit(*table).n_iter_ == 3
