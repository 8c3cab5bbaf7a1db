# SPDX-License-Identifier: BSD-3-Clause
"""Predictions by the kernels of GPUs, against the CPU's in float64."""

import numpy as np
import pytest
from targets import HAS_BARRIER, Emulated

from skmdn import MDNRegressor, MDNRegressorCV
from skmdn._engine.cuda import answers
from skmdn._engine.cuda.device import Unavailable
from skmdn._engine.cuda.kernels import make
from skmdn._fit import tail

N = 9  # Rows to predict for: with tiles of 16, the last one is never full.


class Plain:
    """Target of `bind`: the primitives as they are written."""

    device = staticmethod(lambda function: function)
    primitives = {}  # noqa: RUF012 (a constant)


class Interpreted(Emulated):
    """A device that runs kernels as Python, in one thread a block."""

    def launch(self, variant, name, n_blocks, shared_bytes, tables, n):
        kernel = make(variant, Plain)[name]
        for block in range(n_blocks):
            shared = np.full(shared_bytes // 4, np.nan, dtype=np.float32)
            with np.errstate(over="ignore"):  # Hashes overflow.
                kernel(0, 1, None, block, n_blocks, shared, tables, n)


def make_case(n=120, n_outputs=1, cls=MDNRegressor, **parameters):
    """Return a fitted estimator, and rows, some of them unlike the others."""
    rng = np.random.RandomState(0)
    scaled = rng.normal(size=(n, 4))
    scaled[:, 3] = 0
    X = scaled * [1e3, 1, 1e-5, 1] + [1.6e9, 0, 3, 7]
    noise = rng.normal(size=(n, n_outputs)) * (1 + scaled[:, 1:2] ** 2)
    # The longer tail points down: targets are scaled by a negative number.
    Y = 1000 - 50 * np.exp(np.sin(2 * scaled[:, :n_outputs]) + 0.3 * noise)
    y = Y if n_outputs > 1 else Y[:, 0]
    defaults = {"n_components": 3, "hidden_layer_sizes": (7,), "n_bins": 3}
    if cls is MDNRegressor:
        defaults |= {"max_iter": 10, "random_state": 0}
    parameters = defaults | parameters
    # Parameters mean the same for all of these: what was trained is one kernel.
    kind = {name: parameters.pop(name, None) for name in ("family", "activation")}
    estimator = cls(**parameters).fit(X, y)
    for name, value in kind.items():
        if value is not None:
            estimator._state["model"]["architecture"][name] = value
    X, y = X[:N].copy(), y[:N].copy()
    X[1] += 1e5
    X[2] *= -1e200
    X[3] *= 1e-200
    y[4] += 1e4
    return estimator, X, y


@pytest.fixture
def gpu(monkeypatch):
    """Give estimators a GPU, for any number of rows."""
    device = Interpreted()
    device.asked = []
    launch = device.launch

    def logged(variant, name, *arguments):
        device.asked.append(name)
        launch(variant, name, *arguments)

    device.launch = logged
    monkeypatch.setattr(answers, "open_gpu", lambda: device)
    monkeypatch.setattr(answers, "_FEWEST_ROWS", 1)
    monkeypatch.setattr(answers, "_ROWS", (16,))
    return device


def assert_same(estimator, X, y, device):
    """All that kernels answer is what the CPU answers."""
    dist = estimator.predict_dist(X)
    std, expected = dist.std(), dist.logpdf(y)
    draws = estimator.set_params(device="cpu").sample(X, 3, random_state=1)
    estimator.set_params(device="cuda")
    found = estimator.logpdf(X, y)
    assert np.all(abs(found - expected) <= 1e-4 + 1e-5 * abs(expected))
    mean, found = estimator.predict(X, return_std=True)
    np.testing.assert_allclose(found, std, rtol=2e-6)
    assert np.all(abs(mean - dist.mean()) <= 2e-6 * std)
    found = estimator.sample(X, 3, random_state=1)
    assert np.all(abs(found - draws) <= 1e-5 * std[..., None])
    names = ["logpdf", "moments", "draws"]
    if dist.n_outputs == 1:
        q = [1e-3, 0.3, 0.98]
        found = estimator.predict(X, output_type="quantiles", quantiles=q)
        assert np.all(abs(found - dist.ppf(q)) <= 2e-5 * std[:, None])
        names.append("quantiles")
    assert device.asked == [f"predict_{name}" for name in names]


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"family": "laplace", "n_estimators": 2, "activation": "tanh"},
        {
            "family": "logistic",
            "n_outputs": 2,
            "covariance_type": "spherical",
            "activation": "gelu",
            "hidden_layer_sizes": (5, 6, 9),
        },
        {"n_outputs": 2, "n_estimators": 2, "hidden_layer_sizes": (), "n_bins": 0},
    ],
    ids=["gaussian", "laplace", "logistic", "linear"],
)
def test_kernels_answer_as_the_cpu(gpu, parameters):
    assert_same(*make_case(**parameters), gpu)


def test_kernels_answer_for_all_networks_of_a_cross_fit(gpu, monkeypatch):
    # Every fold has scalings of its own, of the inputs and of the targets.
    params = {"cv": 2, "n_estimators": 2, "hidden_layer_sizes": (5,), "n_bins": 2}
    estimator, X, y = make_case(80, cls=MDNRegressorCV, max_iter=4, **params)
    state = estimator._state
    estimator._state = state | {
        "linear_weight": 0.2, "temperature": 1.3, "sharpness": 1.7,
    }  # fmt: skip
    assert_same(estimator, X, y, gpu)


def test_rows_go_through_in_blocks(gpu, monkeypatch):
    estimator, X, y = make_case()
    estimator.set_params(device="cuda")
    whole = estimator.logpdf(X, y), estimator.sample(X, 2, random_state=0)
    monkeypatch.setattr(answers, "_BLOCK_ROWS", 4)  # 9 rows: the last block overlaps
    parts = estimator.logpdf(X, y), estimator.sample(X, 2, random_state=0)
    for first, second in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(first, second)
    assert gpu.asked == [
        "predict_logpdf", "predict_draws", *["predict_logpdf"] * 3,
        *["predict_draws"] * 3,
    ]  # fmt: skip


@pytest.mark.skipif(not HAS_BARRIER, reason="needs pthread_barrier_wait")
def test_cdf_and_compiled_kernels_for_any_number_of_threads():
    # 40 rows: three tiles of 16, two blocks.
    estimator, _, _ = make_case()
    X = make_case(n=120)[1].repeat(5, axis=0)[:40]
    y = np.linspace(500, 1010, 40)
    packed = answers._Packed(estimator._mixture().parts(), (tail.WEIGHTS, tail.SCALES))
    found = [answers.Answers(packed, 16, Emulated(team)).cdf(X, y) for team in (1, 5)]
    np.testing.assert_array_equal(*found)
    np.testing.assert_allclose(found[0], estimator.predict_dist(X).cdf(y), atol=1e-6)


def test_what_kernels_do_not_know_and_few_rows_are_for_the_cpu(gpu, monkeypatch):
    estimator, X, _ = make_case()
    expected = estimator.predict(X), estimator.predict(X, output_type="mode")
    estimator.set_params(device="cuda")
    np.testing.assert_array_equal(estimator.predict(X, output_type="mode"), expected[1])
    monkeypatch.setattr(answers, "_FEWEST_ROWS", len(X) + 1)
    np.testing.assert_array_equal(estimator.predict(X), expected[0])
    assert gpu.asked == []
    monkeypatch.setattr(answers, "_FEWEST_ROWS", len(X))
    monkeypatch.setattr(answers, "STANDARDS", {})
    np.testing.assert_array_equal(estimator.predict(X), expected[0])
    assert gpu.asked == []


def test_a_model_of_a_gpu_predicts_without_one(monkeypatch):
    estimator, X, y = make_case()
    expected = estimator.logpdf(X, y)

    def none():
        raise Unavailable("no GPU")

    monkeypatch.setattr(answers, "open_gpu", none)
    monkeypatch.setattr(answers, "_FEWEST_ROWS", 1)
    for device in ("cuda", "auto"):
        estimator.set_params(device=device)
        np.testing.assert_array_equal(estimator.logpdf(X, y), expected)
