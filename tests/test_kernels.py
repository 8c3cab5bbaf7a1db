# SPDX-License-Identifier: BSD-3-Clause
"""Vector math and matrix tiles, compiled, against long double and NumPy."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from skmdn._engine.cpu import tile
from skmdn._jit import memory, vector

ULPS = {"exp": 1.1, "log": 1.1, "rsqrt": 3.0}


def compiled_loop(func):
    @njit(error_model="numpy")
    def loop(x, out):
        for i in range(x.shape[0]):
            out[i] = func(x[i])

    return loop


@pytest.fixture(scope="module")
def points():
    rng = np.random.RandomState(0)
    wide = rng.uniform(-80, 80, 20_000)
    return np.concatenate([wide, rng.normal(size=20_000), [0.0, 1.0, -1.0, 1e-8]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["exp", "log", "rsqrt"])
def test_relative_accuracy_in_ulp(name, dtype, points):
    x = points.astype(dtype)
    if name != "exp":
        x = np.abs(x[np.abs(x) > 1e-30])
    out = np.empty_like(x)
    compiled_loop(getattr(vector, name))(x, out)
    exact = {
        "exp": np.exp,
        "log": np.log,
        "rsqrt": lambda v: 1 / np.sqrt(v),
    }[name](x.astype(np.longdouble))
    error = np.abs(out - exact) / np.spacing(np.abs(exact).astype(dtype))
    if name == "log":  # near 1 the result is tiny: absolute accuracy counts
        error = np.minimum(error, np.abs(out - exact) / np.finfo(dtype).eps)
    assert error.max() < ULPS[name]


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 5e-7), (np.float64, 4e-16)])
@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_absolute_accuracy(name, dtype, bound, points):
    x = points.astype(dtype)
    out = np.empty_like(x)
    compiled_loop(getattr(vector, name))(x, out)
    exact = x.astype(np.longdouble)
    exact = np.tanh(exact) if name == "tanh" else 1 / (1 + np.exp(-exact))
    assert np.abs(out - exact).max() < bound


def test_exp_saturates_and_keeps_nan():
    x = np.array([-1e30, 1e30, np.nan], dtype=np.float32)
    out = np.empty_like(x)
    compiled_loop(vector.exp)(x, out)
    assert 0 < out[0] < 1e-37
    assert 1e38 < out[1] < np.inf
    assert np.isnan(out[2])


@njit
def call_gemm(C, A, ars, aks, B, ldb, M, N, K, bias, mode):
    tile.gemm(C, 3, N + 16, A, 1, ars, aks, B, 2, ldb, M, N, K, bias, 1, mode)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", [tile.SET, tile.ADD, tile.MULTIPLY])
@pytest.mark.parametrize(
    ("M", "N", "K"), [(1, 64, 3), (7, 64, 33), (15, 16, 1), (64, 80, 64), (13, 112, 0)]
)
def test_gemm_equals_numpy(M, N, K, mode, dtype):
    rng = np.random.RandomState(M + N + K)
    ldb = N + 32
    A = rng.normal(size=1 + M * (K + 2)).astype(dtype)
    B = rng.normal(size=2 + (K + 1) * ldb).astype(dtype)
    C = rng.normal(size=3 + M * (N + 16)).astype(dtype)
    bias = rng.normal(size=M + 1).astype(dtype)
    old = C.copy()
    call_gemm(C, A, K + 2, 1, B, ldb, M, N, K, bias, mode)
    left = A[1:].reshape(M, K + 2)[:, :K].astype(float)
    right = B[2 : 2 + K * ldb].reshape(K, ldb)[:, :N].astype(float)
    before = old[3:].reshape(M, N + 16)
    after = C[3:].reshape(M, N + 16)
    product = left @ right
    expected = {
        tile.SET: product + bias[1:, None],
        tile.ADD: product + before[:, :N],
        tile.MULTIPLY: (product + bias[1:, None]) * before[:, :N],
    }[mode]
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(after[:, :N], expected, atol=tolerance)
    # Nothing outside the M x N cells is touched.
    np.testing.assert_array_equal(after[:, N:], before[:, N:])
    np.testing.assert_array_equal(C[:3], old[:3])


@njit
def call_transpose(source, n, m, target):
    tile.transpose(source, 0, m, n, m, target, 0, n + 16)


@njit
def call_row_sums(source, n, m, target, add):
    tile.row_sums(source, 0, m, n, m, target, 0, add)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transpose_and_row_sums(dtype):
    source = np.random.RandomState(0).normal(size=(48, 64)).astype(dtype)
    target = np.zeros(64 * 64, dtype)
    call_transpose(source.ravel(), 48, 64, target)
    np.testing.assert_array_equal(target.reshape(64, 64)[:, :48], source.T)
    sums = np.ones(48, dtype)
    call_row_sums(source.ravel(), 48, 64, sums, True)
    np.testing.assert_allclose(sums, 1 + source.sum(axis=1), rtol=1e-5)
    call_row_sums(source.ravel(), 48, 64, sums, False)
    np.testing.assert_allclose(sums, source.sum(axis=1), rtol=1e-4, atol=1e-5)


def test_aligned_memory_starts_a_cache_line():
    for n in (1, 7, 1000):
        values = memory.aligned(n, np.float32)
        assert values.ctypes.data % 64 == 0
        assert values.shape == (n,)
        assert not values.any()


PLAIN = """
import numpy as np
from skmdn._families import FAMILIES
from skmdn._families.head import Head
from skmdn._engine.network import Network
from skmdn._fit.inputs import InputEncoding
from skmdn._engine.cpu.engine import Engine
from skmdn._engine.job import Data, Job, Options, State

rng = np.random.RandomState(0)
X, Y, w = rng.normal(size=(9, 2)), rng.normal(size=(9, 1)), np.ones(9)
encoding = InputEncoding.fit(X, w, 2)
Xs = encoding.scale_inputs(X)
head = Head.of(2, 1, "diag")
layout = (2, encoding.n_features_out, (3,), head, FAMILIES["gaussian"], 2, "silu")
network = Network(*layout)
state = State.start(network.initialise(head.initial_bias(Y, w, rng), rng))
options = Options(0.01, 9, 2, 0.1, 0.0, np.array([1e-3]), widen=True)
data = Data(Xs, Y, w)
job = Job(network, encoding, data, data, options, state, 0)
(trial,) = Engine(1).run([job])
print(*trial.losses, *trial.scores, *np.abs(state.params))
"""


@pytest.fixture(scope="module")
def course():
    """Losses, scores and parameters of a tiny training in this process's kernels."""
    return run_plain({})


def run_plain(settings):
    root = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        [sys.executable, "-c", PLAIN],
        env=os.environ | {"PYTHONPATH": path} | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    return np.array(result.stdout.split(), dtype=float)


@pytest.mark.parametrize(
    "settings", [{"NUMBA_DISABLE_JIT": "1"}, {"SKMDN_PLAIN_KERNELS": "1"}]
)
def test_plain_python_and_fall_back_train_alike(settings, course):
    """Ordinary Python and the plain products follow the tiles' course."""
    np.testing.assert_allclose(run_plain(settings), course, rtol=2e-4, atol=2e-5)
