# SPDX-License-Identifier: BSD-3-Clause
"""device="cuda" where it is not possible: every reason has its sentence."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import skmdn._engine.cuda
from skmdn import MDNRegressor, MDNRegressorCV
from skmdn._engine import get_engine
from skmdn._engine.cpu import engine as cpu
from skmdn._engine.cuda import device

GPU = SimpleNamespace(name="Some GPU", compute_capability=(9, 0))
# What the adapter finds, and what a user reads then.
CASES = {
    "no compiler": ({"has_compiler": False}, r"compiler.*skmdn\[cu13\].*skmdn\[cu12\]"),
    "forked": ({"is_forked": True}, "forked.*loky"),
    "no driver": ({"driver_error": "it is away"}, r"no NVIDIA driver.*\(it is away\)"),
    "no GPU": ({"n_gpus": 0}, "no GPU.*CUDA_VISIBLE_DEVICES"),
    "too old": (
        {"get_gpu": SimpleNamespace(name="Old GPU", compute_capability=(7, 5))},
        r"compute capability 8\.0 or higher, but Old GPU has 7\.5",
    ),
}


def set_adapter(monkeypatch, **found):
    """Let the adapter find these things, and all else as it should be."""
    found = {
        "has_compiler": True, "is_forked": False, "driver_error": None,
        "n_gpus": 1, "get_gpu": GPU,
    } | found  # fmt: skip
    adapter = SimpleNamespace(**{k: lambda v=v: v for k, v in found.items()})
    monkeypatch.setattr(skmdn._engine.cuda, "adapter", adapter, raising=False)
    monkeypatch.setitem(sys.modules, "skmdn._engine.cuda.adapter", adapter)


@pytest.fixture
def no_extra(monkeypatch):
    monkeypatch.delattr(skmdn._engine.cuda, "adapter", raising=False)
    monkeypatch.setitem(sys.modules, "skmdn._engine.cuda.adapter", None)


def fit(estimator, device):
    X = np.linspace(-1, 1, 20)[:, None]
    params = {"n_components": 1, "max_iter": 1, "hidden_layer_sizes": 4}
    return estimator(device=device, **params).fit(X, X[:, 0])


@pytest.mark.parametrize("case", CASES)
def test_what_stands_in_the_way_is_said(case, monkeypatch):
    found, sentence = CASES[case]
    set_adapter(monkeypatch, **found)
    with pytest.raises(ValueError, match=f"^device='cuda' .*{sentence}"):
        fit(MDNRegressor, "cuda")
    assert isinstance(get_engine("auto", 1), cpu.Engine)


@pytest.mark.parametrize("estimator", [MDNRegressor, MDNRegressorCV])
def test_the_extra_is_missing(estimator, no_extra):
    sentence = r"^device='cuda' needs an extra.*skmdn\[cu13\].*skmdn\[cu12\]"
    with pytest.raises(ValueError, match=sentence):
        fit(estimator, "cuda")
    fit(estimator, "auto")  # In silence: warnings are errors.


def test_a_gpu_is_opened(monkeypatch):
    set_adapter(monkeypatch)
    assert device.open_gpu() is GPU


def test_too_large_names_what_is_needed_and_free():
    error = device.too_large(12_345_678, 1_000)
    assert "12,345,678 bytes" in str(error)
    assert "1,000 are free" in str(error)


# Numba's own `numba.cuda` does not count as the extra. Whichever is installed,
# importing the package loads neither, and starts no driver.
IMPORT = """
import sys
import skmdn
loaded = [m for m in sys.modules if m.startswith(("numba.cuda", "numba_cuda", "cuda"))]
assert not loaded, loaded
sys.modules["numba_cuda"] = None
try:
    import skmdn._engine.cuda.adapter
except ImportError as error:
    assert "numba-cuda is not installed" in str(error), error
"""


def test_import_loads_no_cuda():
    subprocess.run([sys.executable, "-c", IMPORT], check=True)
