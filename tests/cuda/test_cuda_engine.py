# SPDX-License-Identifier: BSD-3-Clause
"""The engine of a GPU without one: rounds, order, memory, Ctrl-C, callbacks."""

import pickle
from itertools import count

import numpy as np
import pytest
import standin
from sklearn.exceptions import ConvergenceWarning

import skmdn._estimators.cv
import skmdn._estimators.mdn
from skmdn import MDNRegressor, MDNRegressorCV
from skmdn._engine.cpu.engine import Engine as CPU
from skmdn._engine.cuda import engine as cuda
from skmdn._engine.cuda.device import OutOfMemory
from skmdn._fit.model import Model
from skmdn._sklearn import HAS_CALLBACKS

QUICK = {"n_components": 2, "hidden_layer_sizes": 8, "max_iter": 12, "random_state": 0}


def variant_of(job, device):
    if job.network.hidden_layer_sizes == (5,):
        raise ValueError("no 5 units")
    return job.network.hidden_layer_sizes


@pytest.fixture
def device(monkeypatch):
    """What trains for device="cuda", device="auto" in this test."""
    device = standin.StandIn()

    def get_engine(name, n_jobs):
        on_cpu = CPU(n_jobs)
        fallback = on_cpu if name == "auto" else None
        return on_cpu if name == "cpu" else cuda.Engine(device, n_jobs, fallback)

    monkeypatch.setattr(cuda, "Group", standin.Group)
    monkeypatch.setattr(cuda, "variant_of", variant_of)
    # The first round takes a seventh of what it may: 1, 7 epochs, then 49.
    monkeypatch.setattr(cuda, "perf_counter", count(step=0.04).__next__)
    for module in (skmdn._estimators.cv, skmdn._estimators.mdn):
        monkeypatch.setattr(module, "get_engine", get_engine)
    return device


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(120, 3))
    return X, X[:, 0] + rng.gamma(2.0, size=120)


def same(a, b):
    """Whether two fitted estimators have the same bits, but for `device`."""
    states = [vars(m)["_state"] for m in (a, b)]
    curves = [(m.loss_curve_, m.validation_scores_, m.n_iter_) for m in (a, b)]
    return pickle.dumps(states[0]) == pickle.dumps(states[1]) and curves[0] == curves[1]


@pytest.mark.parametrize(
    "changes",
    [{}, {"early_stopping": False}, {"n_iter_no_change": 1, "learning_rate_init": 0.3}],
)
def test_a_fit_is_the_same_in_rounds(changes, table, device):
    expected = MDNRegressor(**QUICK | changes).fit(*table)
    mdn = MDNRegressor(**QUICK | changes, device="cuda").fit(*table)
    assert same(mdn, expected)
    rounds = [n for *_, n in device.log]
    assert rounds == [1, 7, 4][: len(rounds)]
    assert (len(rounds) < 3) == ("n_iter_no_change" in changes)


def test_going_on(table, device):
    def fit(name):
        mdn = (
            MDNRegressor(**QUICK, warm_start=True, device=name).fit(*table).fit(*table)
        )
        return mdn.partial_fit(*table).partial_fit(*table)

    assert same(fit("cuda"), fit("cpu"))


GRID = {"param_grid": {"hidden_layer_sizes": [6, 8]}, "n_bins": 2, "n_estimators": 2}


def fit_cv(table, **changes):
    params = {**QUICK, **GRID, "cv": 3} | changes
    return MDNRegressorCV(**params).fit(*table)


def test_all_networks_of_a_cross_fit_run_at_the_same_time(table, device):
    mdn, expected = fit_cv(table, device="cuda"), fit_cv(table)
    np.testing.assert_array_equal(mdn.oof_logpdf_, expected.oof_logpdf_)
    np.testing.assert_array_equal(mdn.predict(table[0]), expected.predict(table[0]))
    # The first split, then the others: two candidates and the line, one kind each.
    first = [n for _, n, _ in device.log[:3]]
    assert first == [1, 1, 1]
    assert max(n for _, n, _ in device.log) == 2
    assert not device.groups  # All memory is free again.


@pytest.mark.parametrize("room", [1, 2, 3])
def test_a_group_is_halved_until_it_fits(room, table, device):
    device.n_bytes = room * standin.N_BYTES
    mdn, expected = fit_cv(table, device="cuda"), fit_cv(table)
    np.testing.assert_array_equal(mdn.oof_logpdf_, expected.oof_logpdf_)
    assert not device.groups


def test_memory_that_others_take_meanwhile(table, device, monkeypatch):
    # The estimate said yes, the device says no.
    monkeypatch.setattr(standin.Group, "n_bytes", staticmethod(lambda jobs, variant: 0))
    device.n_bytes = standin.N_BYTES
    np.testing.assert_array_equal(
        fit_cv(table, device="cuda").oof_logpdf_, fit_cv(table).oof_logpdf_
    )


def test_one_network_does_not_fit(table, device):
    device.n_bytes = 50
    mdn = MDNRegressor(**QUICK, device="cuda")
    with pytest.raises(ValueError, match=r"device='cuda'.* 100 bytes, 50 are free"):
        mdn.fit(*table)
    mdn.set_params(device="auto").fit(*table)
    assert same(mdn, MDNRegressor(**QUICK).fit(*table))


def test_memory_that_is_gone_later(table, device, monkeypatch):
    def run(self, n_epochs):
        raise OutOfMemory("4 bytes")

    monkeypatch.setattr(standin.Group, "run", run)
    with pytest.raises(ValueError, match=r"device='cuda' ran out of memory.*4 bytes"):
        MDNRegressor(**QUICK, device="cuda").fit(*table)


def test_what_no_kernel_can_do(table, device):
    with pytest.raises(ValueError, match="no 5 units"):
        fit_cv(table, device="cuda", hidden_layer_sizes=5, param_grid=None)
    grid = {"hidden_layer_sizes": [5, 8]}  # the GPU takes one of them
    mdn = fit_cv(table, device="auto", param_grid=grid)
    expected = fit_cv(table, param_grid=grid)
    np.testing.assert_array_equal(mdn.oof_logpdf_, expected.oof_logpdf_)
    assert device.log


def test_trials_come_in_order_and_closing_stops(table, device):
    seen = []

    def callback(fit, losses, estimator_copy):
        seen.append((fit, losses["candidate"], losses["split"]))
        return fit == 2

    fit_cv(table, device="cuda", callback=callback)
    assert [s[0] for s in seen] == [1, 2]
    assert {s[2] for s in seen} == {0}
    assert not device.groups


def test_callback_sees_every_epoch(table, device):
    def fit(name):
        seen = []

        def callback(epoch, losses, estimator_copy):
            seen.append((epoch, losses, Model.of(estimator_copy()).params))
            return epoch == 4

        mdn = MDNRegressor(**QUICK, device=name, callback=callback).fit(*table)
        return mdn, seen

    (mdn, seen), (expected, wanted) = fit("cuda"), fit("cpu")
    assert pickle.dumps(seen) == pickle.dumps(wanted)
    assert same(mdn, expected)
    assert mdn.n_iter_ == 4
    assert {n for *_, n in device.log} == {1}


def test_the_progress_bar_does_not_ask_for_every_epoch(table, device, capsys):
    MDNRegressor(**QUICK, device="cuda", verbose=1).fit(*table)
    assert [n for *_, n in device.log] == [1, 7, 4]
    assert "12/12" in capsys.readouterr().err


@pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn has no callbacks")
def test_scikit_learn_callbacks_see_every_epoch(table, device):
    from sklearn.callback import ScoringMonitor

    def fit(name):
        monitor = ScoringMonitor(scoring="r2")
        MDNRegressor(**QUICK, device=name).set_callbacks(monitor).fit(*table)
        rows = monitor.get_logs().data
        return [row["r2"] for row in rows if row["task_name"] == "epoch"]

    assert fit("cuda") == fit("cpu")
    assert {n for *_, n in device.log} == {1}


WHERE = {
    "while_it_runs": (standin.Group, "collect"),
    "in_the_launch": (standin.Group, "run"),
    "while_it_replays": (cuda.Fit, "_close"),
    "at_the_end": (cuda.Fit, "_finish"),
}


@pytest.mark.parametrize("where", WHERE)
def test_ctrl_c_keeps_the_best_so_far(where, table, device, monkeypatch):
    owner, name = WHERE[where]
    real, calls = getattr(owner, name), []

    def interrupted(self, *args, **kwargs):
        calls.append(None)
        if len(calls) == {"_close": 4, "_finish": 1}.get(name, 2):
            raise KeyboardInterrupt
        return real(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, interrupted)
    mdn = MDNRegressor(**QUICK, device="cuda")
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        mdn.fit(*table)
    # What is kept is what a training of as many epochs keeps.
    done = sum(n for *_, n in device.log)
    assert mdn.n_iter_ == len(mdn.validation_scores_) == done
    whole = MDNRegressor(**QUICK).fit(*table)
    assert mdn.loss_curve_ == whole.loss_curve_[: mdn.n_iter_]
    best = int(np.argmax(mdn.validation_scores_)) + 1
    assert mdn.best_validation_score_ >= mdn.validation_scores_[best - 1]
    assert np.isfinite(mdn.score(*table))
    assert not device.groups


def test_ctrl_c_before_the_first_epoch_leaves_the_earlier_fit(
    table, device, monkeypatch
):
    mdn = MDNRegressor(**QUICK, device="cuda").fit(*table)
    state = pickle.dumps(vars(mdn))

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(standin.Group, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        mdn.fit(*table)
    assert pickle.dumps(vars(mdn)) == state
    with pytest.raises(KeyboardInterrupt):
        fit_cv(table, device="cuda")


def test_ctrl_c_in_a_callback(table, device):
    def interrupt(epoch, losses, estimator_copy):
        if epoch == 3:
            raise KeyboardInterrupt

    mdn = MDNRegressor(**QUICK, device="cuda", callback=interrupt)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        mdn.fit(*table)
    assert mdn.n_iter_ == 3


@pytest.mark.parametrize("n", [-1, 1])
def test_a_kernel_that_stops_elsewhere_is_found_out(n, table, device, monkeypatch):
    def collect(self):
        chunks = [list(model.chunk) for model in self.models]
        if len(device.log) > 1:  # Longer and shorter than the host says.
            chunks = [c + c[:n] if n > 0 else c[:n] for c in chunks]
        return chunks

    monkeypatch.setattr(standin.Group, "collect", collect)
    with pytest.raises(RuntimeError, match="do not agree"):
        MDNRegressor(**QUICK, device="cuda").fit(*table)
