# SPDX-License-Identifier: BSD-3-Clause
"""The engine: loss, gradient, optimiser step and course against the oracle."""

import signal
import threading
from itertools import chain

import naive
import numpy as np
import pytest
from oracle_course import oracle_course
from sklearn.exceptions import ConvergenceWarning

from skmdn._engine import streams
from skmdn._engine.activations import ACTIVATIONS
from skmdn._engine.cpu import run
from skmdn._engine.cpu.data import as_training_rows
from skmdn._engine.cpu.engine import Engine
from skmdn._engine.cpu.predict import raw_outputs
from skmdn._engine.cpu.run import Run
from skmdn._engine.job import Data, Job, Options, State
from skmdn._engine.network import Network, aligned_copy
from skmdn._engine.training import Course
from skmdn._families import FAMILIES
from skmdn._families.head import COVARIANCE_TYPES, Head
from skmdn._fit.inputs import InputEncoding


class Problem:
    """A small regression problem with its network."""

    def __init__(
        self, *, n=23, D=1, kind="diag", hidden=(5, 4), members=1, activation="tanh",
        n_bins=2, K=3, family="gaussian",
    ):  # fmt: skip
        rng = np.random.RandomState(1)
        X = rng.normal(size=(n, 2))
        self.weight = rng.uniform(0.2, 2.0, n)
        self.Y = rng.normal(size=(n, D)) + X[:, :1]
        self.encoding = InputEncoding.fit(X, self.weight, n_bins)
        self.X = self.encoding.scale_inputs(X)
        self.head = Head.of(K, D, kind)
        self.network = Network(
            2,
            self.encoding.n_features_out,
            hidden,
            self.head,
            FAMILIES[family],
            members,
            activation,
        )
        bias = self.head.initial_bias(self.Y, self.weight, rng)
        self.params = self.network.initialise(bias, rng)
        self.used = self.params != 0  # all but the padding
        for part in chain(*self.network.layers(self.used)):
            part[...] = True
        self.params += 0.3 * rng.normal(size=self.params.size) * self.used
        self.min_scale = np.full(self.head.n_scales, 0.05)

    @property
    def data(self):
        return Data(self.X, self.Y, self.weight)

    def layers(self, params):
        """Plain layers [(W, b), ...] of every member."""
        plan, plain = self.network.layout, self.network.members(params)
        for m in range(plan.n_members):
            layers = []
            for layer in plan.layers:
                n_in, n_pad, n_out, _, weight, bias = layer[:6]
                start = m * plan.member_size
                W = plain[start + weight :][: n_out * n_pad].reshape(n_out, n_pad)
                layers.append((W[:, :n_in], plain[start + bias :][:n_out]))
            yield layers

    def logpdf(self, params, X=None):
        """Log-densities of the rows by the oracle, shape (n_members, n)."""
        inputs = self.encoding.encode(self.X if X is None else X)
        return np.array(
            [
                [
                    self.mixture_logpdf(
                        naive.head_outputs(x, layers, self.network.activation), y
                    )
                    for x, y in zip(inputs, self.Y, strict=True)
                ]
                for layers in self.layers(params)
            ]
        )

    def mixture_logpdf(self, outputs, y):
        """Log-density of a row by the oracle, from the outputs of the head."""
        K, _, S, C, _ = self.head
        if self.head.is_chain:
            return naive.chain_logpdf(outputs, y, K, C, self.min_scale)
        family = self.network.family.name
        return naive.mixture_logpdf(outputs, y, K, S, self.min_scale, family)

    def loss(self, params):
        """Sum over the members of their weighted mean losses."""
        weight = self.weight / self.weight.sum()
        return -(self.logpdf(params) @ weight).sum()

    def options(self, **changes):
        defaults = {
            "learning_rate_init": 0.01,
            "batch_size": len(self.X),
            "max_iter": 1,
            "alpha": 0.0,
            "input_noise": 0.0,
            "min_scale": self.min_scale,
        }
        return Options(**defaults | changes)

    def job(self, options, state, *, on_epoch=None, validated=False):
        data = self.data
        held_out = data if validated else None
        return Job(
            self.network, self.encoding, data, held_out, options, state, 0, on_epoch
        )

    def run(self, options, state, *, n_jobs=1, **kwargs):
        """A training that has not begun, and its course."""
        job = self.job(options, state, **kwargs)
        course, rows = Course(job), as_training_rows(job.training, state.params.dtype)
        return Run(job, course, rows, n_jobs), course

    def train(self, options, state, *, n_jobs=1, **kwargs):
        """Trial of a training by the engine."""
        (trial,) = Engine(n_jobs).run([self.job(options, state, **kwargs)])
        return trial

    def gradient(self, monkeypatch):
        """Gradient of the kernels in float64, by one full step of size 0."""
        monkeypatch.setattr(run, "CLIP_NORM", np.inf)
        state = State.start(aligned_copy(self.params, np.float64))
        training, course = self.run(self.options(learning_rate_init=0.0), state)
        loss, finite = training.epoch(course.schedule())
        assert finite
        members = self.network.n_estimators
        if members > 1:
            return loss * members, training.parameters.gradient
        # The first group's part holds the sum of all groups.
        return loss, training.buffers.gradients[: self.params.size]


CASES = [
    {"activation": name} for name in ACTIVATIONS
] + [
    {"D": 2, "activation": "tanh"},
    {"D": 2, "kind": "spherical"},
    {"D": 3, "kind": "full"},
    {"D": 2, "kind": "tied"},
    {"members": 3, "hidden": (4,), "D": 2, "kind": "tied"},
    {"family": "laplace"},
    {"family": "logistic", "D": 2},
    {"hidden": (), "n_bins": 0, "K": 1},
    {"members": 3, "hidden": (4,), "D": 2},
    {"members": 2, "hidden": ()},
    {"n": 150, "hidden": (17, 6)},
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_loss_and_gradient_match_the_oracle(case, monkeypatch):
    problem = Problem(**case)
    loss, gradient = problem.gradient(monkeypatch)
    params = problem.params.astype(np.float64)
    np.testing.assert_allclose(loss, problem.loss(params), rtol=1e-12)
    rng = np.random.RandomState(0)
    used = np.flatnonzero(problem.used)
    for i in rng.choice(used, min(20, used.size), replace=False):
        step = np.zeros_like(params)
        step[i] = 1e-5
        slope = (problem.loss(params + step) - problem.loss(params - step)) / 2e-5
        np.testing.assert_allclose(gradient[i], slope, rtol=1e-6, atol=1e-8)
    assert not gradient[~problem.used].any()  # padding stays out of the way


def test_clipped_scales_have_no_slope(monkeypatch):
    problem = Problem(hidden=(), n_bins=0)
    _, intercepts = problem.network.layers(problem.params)
    intercepts[-1][-3:] = -40.0  # log-scales far below the lowest
    coefs, _ = problem.network.layers(problem.params)
    coefs[-1][:, -3:] = 0
    _, gradient = problem.gradient(monkeypatch)
    _, slopes = problem.network.layers(gradient)
    assert not slopes[-1][-3:].any()
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("members", [1, 2])
def test_one_step_is_adam_with_decay(members, monkeypatch):
    problem = Problem(members=members)
    _, gradient = problem.gradient(monkeypatch)
    state = State.start(aligned_copy(problem.params, np.float64))
    options = problem.options(alpha=0.1, is_endless=True)
    problem.train(options, state)
    params, zero = problem.params.astype(np.float64), np.zeros(problem.params.size)
    shrink = 0.01 * 0.1 * problem.network.decay_mask()
    expected, m, v = naive.adam_step(params, gradient, zero, zero, 1, 0.01, shrink)
    np.testing.assert_allclose(state.params, expected, atol=1e-12)
    np.testing.assert_allclose(state.m, m, atol=1e-14)
    np.testing.assert_allclose(state.v, v, atol=1e-14)
    assert state.t == 1


def test_twenty_steps_follow_the_oracle():
    """Order of the rows, noise, clipping, schedule, decay: all that a fit does."""
    problem = Problem(n=15)
    options = problem.options(
        batch_size=4, max_iter=5, input_noise=0.1, alpha=0.1, learning_rate_init=0.02
    )
    start = State.start(problem.params.astype(np.float64))
    losses, scores = oracle_course(problem.job(options, start, validated=True))
    for dtype, tolerance in ((np.float32, 1e-5), (np.float64, 1e-8)):
        state = State.start(aligned_copy(problem.params, dtype))
        trial = problem.train(options, state, validated=True)
        np.testing.assert_allclose(trial.losses, losses, rtol=tolerance)
        np.testing.assert_allclose(trial.scores, scores, rtol=tolerance)


def test_gradient_norm_is_clipped():
    problem = Problem()
    problem.Y *= 1e3
    state = State.start(aligned_copy(problem.params, np.float64))
    problem.train(problem.options(), state)
    np.testing.assert_allclose(np.linalg.norm(state.m), 0.1, rtol=1e-9)


@pytest.mark.parametrize("members", [1, 3])
def test_float32_training_and_validation_follow_the_oracle(members):
    problem = Problem(members=members)
    state = State.start(problem.params.copy())
    options = problem.options(max_iter=5)
    trial = problem.train(options, state, validated=True)
    start = problem.loss(problem.params.astype(float)) / members
    np.testing.assert_allclose(trial.losses[0], start, rtol=1e-5)
    assert trial.losses[-1] < trial.losses[0]
    logpdf = problem.logpdf(state.params.astype(float))
    mixture = np.log(np.mean(np.exp(logpdf), axis=0))
    score = np.average(mixture, weights=problem.weight)
    np.testing.assert_allclose(max(trial.scores), score, rtol=1e-5)


def test_raw_outputs_do_not_depend_on_companions():
    problem = Problem(members=2)
    network, encoding = problem.network, problem.encoding
    raw = raw_outputs(network, problem.params, encoding, problem.X)
    assert raw.dtype == np.float64
    inputs = encoding.encode(problem.X)
    for m, layers in enumerate(problem.layers(problem.params.astype(float))):
        for i, x in enumerate(inputs):
            expected = naive.head_outputs(x, layers, "tanh")
            np.testing.assert_allclose(raw[m, :, i], expected, rtol=1e-12, atol=1e-13)
    few = raw_outputs(network, problem.params, encoding, problem.X[5:7], n_jobs=2)
    np.testing.assert_array_equal(few, raw[:, :, 5:7])


@pytest.mark.parametrize("members", [1, 2])
def test_same_bits_for_every_team(members):
    problem = Problem(n=700, members=members)
    results = []
    for n_jobs in (1, 2, 3):
        state = State.start(problem.params.copy())
        options = problem.options(max_iter=3, batch_size=256, input_noise=0.1)
        trial = problem.train(options, state, validated=True, n_jobs=n_jobs)
        results.append((state.params, trial[1:]))
    for params, trial in results[1:]:
        np.testing.assert_array_equal(params, results[0][0])
        assert trial == results[0][1]


def test_noise_has_the_standard_deviation_asked_for():
    from numba import njit

    from skmdn._engine.cpu.dense import hash_noise

    values = np.zeros(200_000, np.float32)
    njit(lambda v, s: hash_noise(v, v.shape[0], 0.3, s))(values, np.uint32(7))
    assert abs(values.mean()) < 0.3 * 4 / np.sqrt(values.size)
    np.testing.assert_allclose(values.std(), 0.3, rtol=0.01)
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.01


def test_early_stopping_restores_the_best_epoch():
    problem = Problem(n=60)
    seen = []
    state = State.start(problem.params.copy())
    options = problem.options(max_iter=40, learning_rate_init=0.1, n_iter_no_change=5)
    trial = problem.train(
        options,
        state,
        on_epoch=lambda epoch: seen.append(epoch.params.copy()),
        validated=True,
    )
    best = int(np.argmax(trial.scores))
    assert trial.best_epoch == best + 1
    np.testing.assert_array_equal(state.params, seen[best])
    assert len(trial.losses) in (best + 1 + 5, 40)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("kind", sorted(COVARIANCE_TYPES))
@pytest.mark.parametrize("too_wide", [False, True])
def test_scales_widen_to_what_held_out_rows_ask_for(too_wide, kind, members):
    problem = Problem(n=200, D=2, kind=kind, members=members)
    for log_scales in problem.network.log_scale_biases(problem.params):
        log_scales += 2.0 if too_wide else 0.0
    # The network itself stands still.
    options = problem.options(max_iter=1, learning_rate_init=1e-30, widen=True)

    def widened(n_jobs=1):
        state = State.start(problem.params.copy())
        trial = problem.train(options, state, validated=True, n_jobs=n_jobs)
        return state.params, trial

    params, trial = widened()
    np.testing.assert_array_equal(widened(n_jobs=3)[0], params)
    change = problem.network.log_scale_biases(params - problem.params)
    factors = np.exp(np.concatenate(list(change)))
    assert np.ptp(factors) < 1e-5
    assert np.sum(params != problem.params) == len(factors)
    # More for new rows: as if 15 parameters had been fitted to the held-out ones.
    w = problem.weight
    for_new_rows = np.sqrt(1 + 15 * np.sum(w**2) / np.sum(w) ** 2)

    def score(log_factor):
        other = problem.params.copy()
        for log_scales in problem.network.log_scale_biases(other):
            log_scales += log_factor
        logpdf = np.logaddexp.reduce(problem.logpdf(other), axis=0) - np.log(members)
        return naive.weighted_mean(logpdf, problem.weight)

    assert trial.best_score == pytest.approx(score(np.log(factors[0])), abs=1e-4)
    if too_wide:
        assert factors[0] == pytest.approx(for_new_rows)
        return
    best = np.log(factors[0] / for_new_rows)
    assert score(best) > max(score(best - 0.2), score(best + 0.2), score(0.0) + 0.3)
    # A gross outlier says nothing about the others.
    problem.Y[7] = 1e4
    outlying, _ = widened()
    np.testing.assert_allclose(outlying, params, atol=0.1)


def test_a_true_answer_stops():
    problem = Problem()
    state = State.start(problem.params.copy())
    trial = problem.train(
        problem.options(max_iter=50), state, on_epoch=lambda epoch: epoch.epoch == 3
    )
    assert len(trial.losses) == 3


@pytest.mark.usefixtures("ctrl_c")
def test_interrupt_keeps_the_best_parameters():
    problem = Problem()
    state = State.start(problem.params.copy())

    def interrupt(epoch):
        if epoch.epoch == 4:
            signal.raise_signal(signal.SIGINT)

    with pytest.warns(ConvergenceWarning, match="interrupted"):
        trial = problem.train(
            problem.options(max_iter=50, keep_interrupted=True),
            state,
            on_epoch=interrupt,
            validated=True,
        )
    assert trial.interrupted
    assert len(trial.losses) == 4
    assert np.isfinite(state.params).all()


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("who", [0, 1])
def test_a_team_ends_when_one_of_it_is_interrupted(who, members):
    """The other one waits at a barrier for ever otherwise."""
    problem, before = Problem(n=200, members=members), threading.active_count()
    options, state = problem.options(max_iter=3), State.start(problem.params.copy())
    training, course = problem.run(options, state, validated=True, n_jobs=2)
    kernel = training._train_epoch

    def interrupted(thread, *arguments):
        if thread == who:
            raise KeyboardInterrupt
        return kernel(thread, *arguments)

    def run():
        with training.team:
            training.epoch(course.schedule())
            training._train_epoch = interrupted
            with pytest.raises(KeyboardInterrupt):
                training.epoch(course.schedule())
            raise KeyboardInterrupt

    def guarded():
        with pytest.raises(KeyboardInterrupt):
            run()
        ended.append(True)

    ended = []
    guard = threading.Thread(target=guarded, daemon=True)
    guard.start()
    guard.join(timeout=60)
    assert ended == [True]
    assert threading.active_count() == before


@pytest.mark.parametrize("n_jobs", [2, 4])
def test_whoever_asks_for_no_more_ends_all_trainings(n_jobs):
    problem, ended = Problem(n=200), threading.Event()
    epochs = []

    def on_epoch(epoch):
        epochs.append(epoch.epoch)
        ended.wait(0.001)

    before, jobs = threading.active_count(), []
    for max_iter, callback in ((1, None), (10_000, on_epoch)):
        state = State.start(problem.params.copy())
        options = problem.options(max_iter=max_iter)
        jobs.append(problem.job(options, state, on_epoch=callback, validated=True))
    trials = Engine(n_jobs).run(jobs)
    assert len(next(trials).losses) == 1
    trials.close()
    assert threading.active_count() == before
    assert len(epochs) < 10_000


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_long_epochs_run_apart_with_the_same_bits(n_jobs, monkeypatch):
    problem, threads, states = Problem(n=200), [], []
    for apart in (False, True):
        monkeypatch.setattr(run, "_LONG", 0.0 if apart else np.inf)
        states.append(State.start(problem.params.copy()))
        problem.train(
            problem.options(max_iter=2),
            states[-1],
            on_epoch=lambda epoch: threads.append(threading.active_count()),
            validated=True,
            n_jobs=n_jobs,
        )
    np.testing.assert_array_equal(states[0].params, states[1].params)
    assert threads[-1] == threads[0] + 1


def test_non_finite_loss_rolls_back():
    problem = Problem()
    state = State.start(problem.params.copy())
    before = state.params.copy()

    def spoil(epoch):
        if epoch.epoch == 1:
            state.params[:] = np.nan

    trial = problem.train(
        problem.options(max_iter=6), state, on_epoch=spoil, validated=True
    )
    assert len(trial.losses) == 6
    assert np.isfinite(state.params).all()
    assert not np.array_equal(before, state.params)
    assert np.isfinite(trial.scores[-1])


def test_a_rolled_back_epoch_lends_its_score_to_nobody(monkeypatch):
    problem, run_epoch = Problem(n=60), Run.epoch

    def spoilt(training, schedule):
        loss, finite = run_epoch(training, schedule)
        return loss, finite and schedule.key != streams.epoch_key(0, 7)

    monkeypatch.setattr(Run, "epoch", spoilt)
    state = State.start(problem.params.copy())
    trial = problem.train(problem.options(max_iter=8), state, validated=True)
    # Every epoch is better than the one before; the last is not kept.
    assert trial.best_epoch == 7
    score = -problem.loss(state.params.astype(float))
    assert trial.best_score == pytest.approx(score, abs=1e-5)


def test_the_start_is_a_candidate():
    problem = Problem(n=60)
    state = State.start(problem.params.copy())
    trial = problem.train(
        problem.options(max_iter=1, learning_rate_init=3.0), state, validated=True
    )
    assert trial.best_epoch == 0
    np.testing.assert_array_equal(state.params, problem.params)
