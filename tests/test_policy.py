# SPDX-License-Identifier: BSD-3-Clause
"""The policy of training: faults of it leave a network that trains, only worse."""

import numpy as np
import pytest
from test_training import Problem

from skmdn import MDNRegressor
from skmdn._engine.activations import ACTIVATIONS
from skmdn._engine.job import State
from skmdn._engine.network import Network, aligned_copy
from skmdn._families import FAMILIES
from skmdn._families.head import COVARIANCE_TYPES, Head
from skmdn._fit import auto as _auto
from skmdn._fit.job import hold_out
from skmdn._fit.rows import MergedTable, Rows
from skmdn._fit.splits import auto_splits


@pytest.mark.parametrize("epoch", [0, 3, 9])
def test_rate_decay_and_noise_follow_the_cosine(epoch):
    problem = Problem(n=200)
    options = problem.options(max_iter=10, batch_size=100, alpha=0.3, input_noise=0.2)
    state = State.start(problem.params.copy())
    training, course = problem.run(options, state)
    course.losses += [0.0] * epoch
    step = training._steps(course.schedule())
    part = [0.5 * (1 + np.cos(np.pi * (epoch + s) / 10)) for s in (0.0, 0.5)]
    np.testing.assert_allclose(step.shrink, 0.01 * 0.3 * np.array(part), rtol=1e-5)
    np.testing.assert_allclose(step.noise, 0.2 * np.array(part), rtol=1e-5)
    t = np.array([1, 2])
    adam = np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    np.testing.assert_allclose(step.correction, 0.01 * adam * part, rtol=1e-5)
    np.testing.assert_allclose(step.scale, [1 / 100] * 2)
    assert sorted(step.rows[step.rows < 200]) == list(range(200))


def test_members_are_clipped_by_their_own_norms():
    problem = Problem(members=2, hidden=())
    n = problem.network.layout.member_size
    coefs, _ = problem.network.layers(problem.params)
    for coef, size in zip(coefs, (0.01, 100.0), strict=True):
        coef *= size
    state = State.start(aligned_copy(problem.params, np.float64))
    training, course = problem.run(problem.options(), state)
    training.epoch(course.schedule())
    gradients = training.buffers.gradients[: 2 * n].reshape(2, -1)
    norms = np.linalg.norm(gradients, axis=1)
    assert norms[1] > 10 * norms[0]
    moved = np.linalg.norm(state.m.reshape(2, -1), axis=1)
    np.testing.assert_allclose(moved, 0.1 * np.minimum(norms, 1.0), rtol=1e-9)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_weights_start_with_the_gain_of_the_activation(activation):
    head, family = Head.of(3, 1, "diag"), FAMILIES["gaussian"]
    network = Network(50, 50, (200, 200), head, family, 1, activation)
    params = network.initialise(np.zeros(9), np.random.RandomState(0))
    coefs, _ = network.layers(params)
    variances = [coef.var() * len(coef) for coef in coefs[:-1]]
    np.testing.assert_allclose(variances, 2 if activation == "relu" else 1, rtol=0.05)


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("kind", sorted(COVARIANCE_TYPES))
def test_components_start_at_different_targets(kind, n_outputs):
    Y = np.random.RandomState(0).normal(size=(300, n_outputs))
    head = Head.of(4, n_outputs, kind)
    bias = head.initial_bias(Y, np.ones(300), np.random.RandomState(0))
    means = bias[4 : 4 + 4 * n_outputs].reshape(4, n_outputs)
    assert len(np.unique(means, axis=0)) == 4
    assert all(mean in Y for mean in means)


@pytest.mark.parametrize(
    ("n", "units", "rate", "batch", "epochs", "noise", "held_out"),
    [
        (50, 64, 0.01, 32, 500, 0.03, 15),
        (500, 64, 0.01, 32, 400, 0.03, 50),
        (501, 64, 0.01, 64, 400, 0.03, 51),
        (3_000, 64, 0.01, 64, 400, 0.03, 300),
        (3_001, 128, 0.005, 128, 200, 0.0, 301),
        (10_001, 128, 0.005, 256, 100, 0.0, 1001),
        (50_001, 256, 0.0025, 1024, 40, 0.0, 5001),
        (200_001, 256, 0.0025, 4096, 21, 0.0, 20_001),
        (1_000_000, 256, 0.0025, 4096, 20, 0.0, 100_000),
    ],
)
def test_what_auto_means(n, units, rate, batch, epochs, noise, held_out):
    sizes = _auto.hidden_layer_sizes(n)
    assert sizes == (units, units)
    assert _auto.learning_rate_init(sizes) == pytest.approx(rate)
    assert _auto.batch_size(n) == batch
    assert _auto.max_iter(n, batch) == epochs
    assert _auto.input_noise(n, 8) == noise
    assert _auto.input_noise(n, 4) == 0.0
    assert _auto.n_iter_no_change(epochs) == epochs // 4
    rows = Rows.of(np.zeros((n, 1)), np.zeros((n, 1)), np.ones(n))
    parts = hold_out(MDNRegressor(), rows, None, None, None, np.random.RandomState(0))
    assert [len(part) for part in parts] == [n - held_out, held_out]


def test_a_cross_fit_of_many_rows_holds_out_a_tenth():
    nothing = np.zeros((4000, 1))
    rows = Rows.of(nothing, nothing, np.ones(4000))
    table = MergedTable(rows, None, np.arange(4000))
    ((training, held_out),) = auto_splits(table, np.random.RandomState(0))
    assert (len(training), len(held_out)) == (3600, 400)


def test_decay_takes_no_more_than_all():
    X, y = np.arange(60.0)[:, None], np.arange(60.0) % 7
    options = {"hidden_layer_sizes": 8, "max_iter": 5, "random_state": 0}
    mdn = MDNRegressor(2, alpha=1e3, learning_rate_init=1.0, **options).fit(X, y)
    assert mdn.score(X, y) > -5
