# SPDX-License-Identifier: BSD-3-Clause
"""The adapter on numba-cuda, with a driver that has no GPU (driver.c)."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None or not shutil.which("gcc"),
    reason="needs numba-cuda and a C compiler",
)
HERE = Path(__file__).parent
LAUNCH = re.compile(r"launch (\d+) x (\d+), (\d+) bytes, (\w+) stream, (\d) attributes")

FIT = """
import numpy as np
from skmdn import MDNRegressor
X = np.random.RandomState(0).normal(size=({n}, 3))
def fit(device="cuda"):
    mdn = MDNRegressor(2, hidden_layer_sizes={hidden}, max_iter=1, device=device)
    mdn.set_params(batch_size=min(len(X), 4096))
    try:
        mdn.fit(X, X[:, 0])
    except (ValueError, RuntimeError) as error:
        print(type(error).__name__, error, flush=True)
fit()
"""
FORK = """
import os
child = os.fork()
if child == 0:
    fit()
    fit("auto")
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""
MEMORY = """
import numpy as np
from skmdn._engine.cuda.device import OutOfMemory, open_gpu
gpu = open_gpu()
assert gpu is open_gpu()
print(gpu.name, gpu.compute_capability, gpu.shared_bytes, gpu.n_blocks)
before = gpu.free_bytes()
a, b = gpu.put(np.arange(10.0)), gpu.empty(4, np.float32)
gpu.fill(b, np.ones(4, np.float32))
print(gpu.copy(a).sum(), gpu.copy(b).sum(), before - gpu.free_bytes())
del a, b
assert gpu.free_bytes() == before
try:
    gpu.empty(10**9, np.float64)
except OutOfMemory as error:
    print(error)
"""
HITS = """
from skmdn._engine.cuda import adapter
(kernel,) = adapter.get_gpu()._kernels.values()
print(sum(kernel._jit.stats.cache_hits.values()))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run a script with the driver; return what it printed, and what the driver did."""
    folder = tmp_path_factory.mktemp("driver")
    library = folder / "libcuda.so.1"
    command = [
        "gcc",
        "-shared",
        "-fPIC",
        "-w",
        "-o",
        library,
        HERE / "driver.c",
        "-ldl",
    ]
    subprocess.run(command, check=True)
    (folder / "libcuda.so").symlink_to(library)

    def run(script, **env):
        env = os.environ | env | {"LD_LIBRARY_PATH": str(folder)}
        command = [sys.executable, "-W", "error", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    return run


def test_memory(run):
    out, _ = run(MEMORY)
    first, second, third = out.splitlines()
    assert first == "Fake GPU (9, 0) 232448 264"
    assert second == "45.0 4.0 96"
    assert "OUT_OF_MEMORY" in third


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"FAKE_NONE": "1"}, "a driver but no GPU"),
        ({"FAKE_MAJOR": "7"}, "8.0 or higher, but Fake GPU has 7.0"),
        ({"FAKE_BYTES": "1000"}, "1,000 are free"),
    ],
)
def test_errors(env, sentence, run):
    assert sentence in run(FIT.format(n=50, hidden=8), **env)[0]


def test_a_forked_process_is_told(run):
    out, _ = run(FIT.format(n=50, hidden=8) + FORK, FAKE_BYTES="1000")
    _, forked, status = out.splitlines()
    assert "forked" in forked
    assert status == "0"


def test_a_launch_gets_the_shared_memory_that_it_asks_for(run, tmp_path):
    script = FIT.format(n=300, hidden=(64, 64)) + HITS
    env = {"NUMBA_CACHE_DIR": str(tmp_path)}
    for n_hits in (0, 1):  # The second process finds the code on the disk.
        out, log = run(script, **env)
        # The kernel did not run: the host finds out.
        assert "do not agree" in out
        assert out.splitlines()[-1] == str(n_hits)
        grid, team, n_bytes, stream, _ = LAUNCH.search(log).groups()
        assert (grid, team, stream) == ("1", "256", "own")
        assert int(n_bytes) > 48 * 1024


def test_a_large_batch_is_a_cooperative_launch(run):
    out, log = run(FIT.format(n=9000, hidden=(64, 64)))
    assert "do not agree" in out
    grid, *_, n_attributes = LAUNCH.search(log).groups()
    assert (grid, n_attributes) == ("132", "1")  # A block a multiprocessor.
