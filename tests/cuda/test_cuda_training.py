# SPDX-License-Identifier: BSD-3-Clause
"""The kernels of a fit, compiled for the CPU, against the engine of the CPU."""

from importlib.util import find_spec

import numpy as np
import pytest
from cases import make_table, new_job
from numba import njit
from targets import HAS_BARRIER, Emulated, Target

from skmdn._engine import streams
from skmdn._engine.cpu.engine import Engine
from skmdn._engine.cuda import layout as at
from skmdn._engine.cuda.group import Group
from skmdn._engine.cuda.kernels import make
from skmdn._engine.cuda.layout import Variant, variant_of
from skmdn._engine.cuda.tables import Tables
from skmdn._engine.job import Data
from skmdn._engine.training import Course
from skmdn._families import GAUSSIAN

# A variant takes five seconds to compile: where there is no numba-cuda, one network
# and one with members have to do.
MORE = pytest.mark.skipif(
    find_spec("numba_cuda") is None, reason="left to where there is numba-cuda"
)
TILINGS = {
    "64": (64, True, True),
    "32": (32, True, False),
    "32 in L2": (32, False, False),
    "16": (16, False, False),
}
KINDS = {
    "silu": ("64", {"activation": "silu", "family": "gaussian"}),
    "gelu": ("16", {"activation": "gelu", "family": "logistic", "n_estimators": 3}),
    "tanh": ("32", {"activation": "tanh", "family": "laplace"}),
    "relu": ("32 in L2", {"activation": "relu", "family": "logistic"}),
    "identity": ("64", {"activation": "identity", "family": "gaussian"}),
    "members": ("64", {"activation": "silu", "family": "laplace", "n_estimators": 2}),
    "members 32": ("32", {"activation": "relu", "n_estimators": 4}),
}
QUICK = ("silu", "gelu")
EACH = [pytest.param(k, marks=() if k in QUICK else (MORE,), id=k) for k in KINDS]
# Of every kind; the shapes are data.
WEIGHTED = {"table": make_table(n=333, n_features=7, weighted=True)}
PAIRS = {"table": make_table(n_outputs=2)}
SHAPES = (
    {"batch_size": 47},
    {**WEIGHTED, "hidden_layer_sizes": 70, "batch_size": 110, "n_components": 9},
    {**PAIRS, "hidden_layer_sizes": (), "n_held": 0, "max_iter": 13, "n_components": 1},
    {**PAIRS, "covariance_type": "spherical", "hidden_layer_sizes": (5, 9, 33)},
    {"n_bins": 0, "input_noise": 0.0, "alpha": 200.0, "n_iter_no_change": 2},
)


def group_of(kind, jobs, team=1):
    """Return a group of the jobs, and their courses."""
    tiling, _ = KINDS[kind]
    network = jobs[0].network
    has_members = network.n_estimators > 1
    parts = (*TILINGS[tiling], has_members, network.activation, network.family)
    courses = [Course(job) for job in jobs]
    return Group(jobs, courses, Variant(*parts), Emulated(team)), courses


def train(kind, shapes, team=1, n_epochs=100, spoil=None):
    """Train jobs in one group, so many epochs a launch; return what came of each."""
    jobs = [new_job(**{**KINDS[kind][1], **shape}) for shape in shapes]
    if spoil is not None:
        jobs = [spoil(job) for job in jobs]
    group, courses = group_of(kind, jobs, team)
    while not all(course.is_over for course in courses):
        group.run(n_epochs)
        for i, epochs in enumerate(group.collect()):
            course, state = courses[i], jobs[i].state
            if jobs[i].validation is not None and not course.losses:
                course.best_score = group.start(i)
            for loss, finite, score in epochs:
                course.close_epoch(loss, finite, score)
                state.t += course.n_steps
            assert len(epochs) == n_epochs or course.is_over
    return [(course, group.read(i)) for i, course in enumerate(courses)]


def bits(outcome):
    course, arrays = outcome
    curves = (np.array(curve, dtype=float) for curve in (course.losses, course.scores))
    numbers = [array.tobytes() for array in (*curves, *arrays)]
    return numbers, course.best_epoch, course.rate


@pytest.mark.parametrize("kind", EACH)
def test_follows_the_engine_of_the_cpu(kind):
    jobs = [new_job(**{**KINDS[kind][1], **shape}) for shape in SHAPES]
    trials = Engine(1).run(jobs)
    for (course, arrays), trial in zip(train(kind, SHAPES), trials, strict=True):
        assert len(trial.losses) * course.n_steps >= 20
        n = len(trial.losses)
        if KINDS[kind][1]["activation"] == "relu":
            # Sooner or later rounding puts a row on the other side of a kink.
            n = -(-20 // course.n_steps)
        np.testing.assert_allclose(course.losses[:n], trial.losses[:n], rtol=1e-5)
        np.testing.assert_allclose(course.scores[:n], trial.scores[:n], rtol=1e-5)
        assert course.best_epoch == trial.best_epoch
        atol = 2e-4 if n == len(trial.losses) else 1e-2
        np.testing.assert_allclose(arrays[3], trial.state.params, atol=atol)


@pytest.mark.skipif(not HAS_BARRIER, reason="needs pthread_barrier_wait")
@pytest.mark.parametrize("kind", EACH)
@pytest.mark.parametrize("team", [5, 32])
def test_any_number_of_threads_gives_the_same_bits(team, kind):
    shapes = [{**shape, "max_iter": 2} for shape in SHAPES[3:]]
    for one, other in zip(
        train(kind, shapes), train(kind, shapes, team=team), strict=True
    ):
        assert bits(one) == bits(other)


@pytest.mark.parametrize("kind", EACH)
def test_chunks_and_companions_change_no_bit(kind):
    together = train(kind, SHAPES)
    for outcome, chunked in zip(together, train(kind, SHAPES, n_epochs=3), strict=True):
        assert bits(outcome) == bits(chunked)
    (alone,) = train(kind, SHAPES[1:2])
    assert bits(alone) == bits(together[1])


def with_lost_target(job):
    Y = job.training.Y.copy()
    Y[3] = np.nan
    data = Data(job.training.X, Y, job.training.sample_weight)
    return job._replace(training=data)


@pytest.mark.parametrize("kind", EACH)
@pytest.mark.parametrize("n_held", [0, 40])
def test_steps_that_are_not_finite_are_not_taken(n_held, kind):
    shape = {"n_held": n_held, "n_iter_no_change": 3, "max_iter": 6}
    ((course, (params, m, v, best)),) = train(kind, [shape], spoil=with_lost_target)
    job = with_lost_target(new_job(**{**KINDS[kind][1], **shape}))
    start = job.state.params.copy()
    (trial,) = Engine(1).run([job])
    assert len(course.losses) == len(trial.losses) == (3 if n_held else 6)
    assert course.best_epoch == trial.best_epoch
    np.testing.assert_allclose(course.scores, trial.scores, rtol=1e-5)
    rate = job.options.learning_rate_init
    assert course.rate == rate / 2 ** len(course.losses)
    for array in (params, best, trial.state.params):
        np.testing.assert_array_equal(array, start)
    assert not m.any()
    assert not v.any()


def test_halved_rates_within_a_launch():
    """Some epochs overflow, the others do not: as if the host had halved the rate."""
    shape = {"learning_rate_init": 1e13, "max_iter": 40, "activation": "silu"}
    (whole,) = train("silu", [shape])
    (chunked,) = train("silu", [shape], n_epochs=1)
    assert bits(whole) == bits(chunked)
    n_lost = np.log2(shape["learning_rate_init"] / whole[0].rate)
    assert 2 <= n_lost <= 38
    assert np.isfinite(whole[1]).all()


def compiled_part(name):
    """A part of the kernels, for one network of silu."""
    variant = Variant(*TILINGS["64"], False, "silu", GAUSSIAN)
    return njit(make(variant, Target)[name])


def test_a_table_of_more_numbers_than_32_bits_count(tmp_path):
    """Ten million rows of 100 features, behind others; the file is a hole."""
    n, n_features, start = 10**7, 100, 2**31
    size = start + n * n_features
    x = np.memmap(tmp_path / "x", dtype=np.float32, mode="w+", shape=size)
    x[-3 * n_features :] = np.arange(3 * n_features)
    nothing = np.zeros(4, dtype=np.float32)
    numbers = np.zeros(at.N_NUMBERS, dtype=np.int64)
    numbers[[at.X_HELD, at.N_HELD, at.N_ROWS]] = start, n, n
    net = np.zeros(at.LAYERS + at.LAYER_SIZE, dtype=np.int32)
    net[at.N_FEATURES] = n_features
    net[at.ROW_WEIGHTS] = net[at.TARGETS] = n_features * 68
    tables = Tables(
        net, numbers, nothing, nothing, numbers, nothing, nothing, np.asarray(x),
        nothing, np.zeros(n, dtype=np.float32), nothing,
        np.zeros(n_features + 1, dtype=np.int32),
    )  # fmt: skip
    shared = np.zeros((n_features + 1) * 68, dtype=np.float32)
    compiled_part("load_tile")(0, 1, shared, tables, numbers, net, n - 3, 0, 0)
    tile = shared[: n_features * 68].reshape(n_features, 68)
    wanted = np.arange(3 * n_features).reshape(3, n_features).T
    np.testing.assert_allclose(tile[:, :3], wanted / np.sqrt(1 + wanted**2 / 9), 1e-6)
    assert not tile[:, 3:].any()


def test_order_of_ten_million_rows():
    n, key = 10**7, streams.epoch_key(3, 5)
    numbers = np.zeros(at.N_NUMBERS, dtype=np.int64)
    numbers[at.N_ROWS] = n
    numbers[[at.N_LINES, at.N_COLUMNS]] = streams.rectangle(n)
    shuffled, positions = compiled_part("shuffled"), np.arange(0, n, 99_991)
    rows = [shuffled(i, numbers, np.uint32(key)) for i in positions]
    np.testing.assert_array_equal(rows, streams.permutation(n, key)[positions])


@pytest.mark.parametrize(
    ("sizes", "tiling"),
    [
        ((32, 32), "64"),
        ((64, 64), "64"),
        ((128, 128), "32"),
        ((128, 128, 128), "32 in L2"),
        ((256, 256), "32 in L2"),
    ],
)
def test_where_weights_and_gradients_are(sizes, tiling):
    job = new_job(hidden_layer_sizes=sizes, max_iter=1)
    assert variant_of(job, Emulated())[:3] == TILINGS[tiling]


def test_networks_that_are_too_large():
    job = new_job(hidden_layer_sizes=(3000, 3000), max_iter=1)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(3000, 3000\) needs"):
        variant_of(job, Emulated())
