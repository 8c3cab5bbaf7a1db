# SPDX-License-Identifier: BSD-3-Clause
"""One network that all blocks train, against the CPU's engine."""

import numpy as np
import pytest
from cases import make_table, new_job
from targets import HAS_BARRIER, Emulated

from skmdn._engine.cpu.engine import Engine as CPU
from skmdn._engine.cuda import large, layout
from skmdn._engine.cuda.engine import Engine


@pytest.fixture(autouse=True)
def few_rows(monkeypatch):
    monkeypatch.setattr(layout, "LARGE_BATCH", 100)
    monkeypatch.setattr(layout, "_LARGE_TILINGS", ((16, True, False),))
    # Eleven tiles of 16 rows: parts of two tiles and of three.
    for module in (layout, large):
        monkeypatch.setattr(module, "N_PARTS", 4)


def train(n_blocks, team, **parameters):
    device = Emulated(team)
    device.n_blocks = 2 * n_blocks  # two a multiprocessor
    names = []
    launch = device.launch

    def logged(variant, name, n, *arguments):
        names.append((name, n))
        launch(variant, name, n, *arguments)

    device.launch = logged
    (trial,) = Engine(device, 1).run([make_job(**parameters)])
    assert set(names) == {("fit_large", n_blocks)}
    return trial


def make_job(poisoned=False, n_held=60, **parameters):
    X, Y, weight = make_table(n=400, weighted=True)
    options = {"batch_size": 180, "max_iter": 10, "hidden_layer_sizes": (9, 6)}
    job = new_job((X, Y, weight), n_held, **options | parameters)
    if poisoned:
        job.training.X[7, 0] = np.nan
    return job


def test_large_steps_are_those_of_the_cpu():
    # 20 steps of 170 rows.
    trial = train(2, 1)
    (expected,) = CPU(1).run([make_job()])
    np.testing.assert_allclose(trial.losses, expected.losses, rtol=1e-5)
    np.testing.assert_allclose(trial.scores, expected.scores, rtol=1e-5)
    assert trial.best_epoch == expected.best_epoch
    np.testing.assert_allclose(trial.state.params, expected.state.params, atol=2e-4)


@pytest.mark.skipif(not HAS_BARRIER, reason="needs pthread_barrier_wait")
def test_bits_are_the_same_for_any_number_of_threads_and_blocks():
    trial = train(1, 1)
    for shape in ((3, 1), (2, 3)):
        again = train(*shape)
        assert (again.losses, again.scores) == (trial.losses, trial.scores)
        np.testing.assert_array_equal(again.state.params, trial.state.params)


def test_steps_that_are_not_finite_are_skipped_and_the_rate_is_halved():
    trial = train(2, 1, poisoned=True, max_iter=3)
    (expected,) = CPU(1).run([make_job(poisoned=True, max_iter=3)])
    assert np.isfinite(trial.state.params).all()
    assert len(trial.losses) == len(expected.losses)
    assert trial.best_epoch == expected.best_epoch
    np.testing.assert_allclose(trial.scores, expected.scores, rtol=1e-5)


def test_patience_ends_a_large_training():
    options = {"max_iter": 30, "n_iter_no_change": 2, "learning_rate_init": 0.3}
    trial = train(2, 1, **options)
    (expected,) = CPU(1).run([make_job(**options)])
    assert len(trial.losses) == len(expected.losses) < 30
    assert trial.best_epoch == expected.best_epoch


def test_all_rows_may_be_for_training():
    trial = train(2, 1, n_held=0, max_iter=3)
    (expected,) = CPU(1).run([make_job(n_held=0, max_iter=3)])
    np.testing.assert_allclose(trial.losses, expected.losses, rtol=1e-5)
    assert trial.scores == expected.scores == []


def test_what_is_large():
    variant = layout.variant_of(make_job(), Emulated())
    assert variant.is_large
    assert not layout.variant_of(make_job(batch_size=90), Emulated()).is_large
    assert not layout.variant_of(make_job(n_estimators=2), Emulated()).is_large
