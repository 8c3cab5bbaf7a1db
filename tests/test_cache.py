# SPDX-License-Identifier: BSD-3-Clause
"""Compiling and its cache: nothing on the disk, and no new Numba, stops a kernel."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core import event

from skmdn._engine.cpu import optimiser, tile
from skmdn._engine.cpu.epoch import Parameters, Steps
from skmdn._jit import cache
from skmdn._jit import policy as jit

pytestmark = pytest.mark.skipif(not jit.JIT, reason="nothing is compiled")
ROOT = Path(__file__).resolve().parent.parent
MODULE = """
from skmdn._jit.policy import compiled, helper

@helper
def double(x):
    return x + x

@compiled
def kernel(x):
    return double(x) + 1
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Of a module with a small kernel and its cache."""
    (tmp_path / "small.py").write_text(MODULE)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_warned", False)
    monkeypatch.setitem(sys.modules, "small", None)  # Taken away after the test.
    return tmp_path


def fresh_kernel(folder):
    """The kernel as a new process has it."""
    spec = importlib.util.spec_from_file_location("small", folder / "small.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["small"] = module  # Where code from the cache looks for its module.
    spec.loader.exec_module(module)
    return module.kernel


def hits(kernel):
    assert kernel(20.5) == 42
    return sum(kernel.stats.cache_hits.values())


def test_code_comes_from_the_cache(folder):
    assert hits(fresh_kernel(folder)) == 0
    assert hits(fresh_kernel(folder)) == 1


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("part", [0, 0.5, 0.99])
def test_cut_files_are_compiled_again(folder, ending, part):
    hits(fresh_kernel(folder))
    (file,) = folder.rglob(f"*.{ending}")
    file.write_bytes(file.read_bytes()[: int(part * file.stat().st_size)])
    with pytest.warns(UserWarning, match="cache of compiled code"):
        assert hits(fresh_kernel(folder)) == 0
    assert hits(fresh_kernel(folder)) == 1


def test_a_full_disk_does_not_stop_a_kernel(folder):
    resource = pytest.importorskip("resource")
    kernel = fresh_kernel(folder)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = kernel(20.5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert result == 42
    assert "NUMBA_CACHE_DIR" in str(caught[0].message)
    assert "OSError" in str(caught[0].message)


def test_a_folder_that_is_lost_after_the_import_does_not_stop_a_kernel(folder):
    kernel = fresh_kernel(folder)
    shutil.rmtree(folder / "cache")
    (folder / "cache").write_text("")  # As root one may write to any folder.
    with pytest.warns(UserWarning, match="NUMBA_CACHE_DIR"):
        assert hits(kernel) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # It is said once.
        assert kernel(np.float32(1)) == 3


def test_without_any_folder_the_first_compilation_says_so(folder):
    names = {"__name__": "nowhere"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(MODULE, "<no file>", "exec"), names)
    with pytest.warns(UserWarning, match=r"takes some seconds.*NUMBA_CACHE_DIR"):
        assert names["kernel"](20.5) == 42


def test_another_signature_under_the_same_name_is_not_taken(folder, monkeypatch):
    # What two processes can leave that begin at the same time.
    hits(fresh_kernel(folder))
    kernel = fresh_kernel(folder)
    inner = kernel._cache._cache
    load, sig = inner.load_overload, numba.float64
    monkeypatch.setattr(inner, "load_overload", lambda _, target: load((sig,), target))
    assert kernel(20) == 41
    assert type(kernel(20)) is int


# --- several processes ----------------------------------------------------------------

CRASH = """
import os, signal
from numba.core import caching
def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)
caching.IndexDataCacheFile._save_data = die  # The index is written, the code is not.
"""
FORK = """
import os, sys, threading, time
from numba.core import event
import small

class Slow(event.Listener):
    def on_start(self, event):
        started.set()
        time.sleep(0.5)
    def on_end(self, event):
        pass

started = threading.Event()
event.register("numba:compile", Slow())
thread = threading.Thread(target=small.kernel, args=(1.0,))
thread.start()
started.wait()
child = os.fork()
if child == 0:
    os._exit(0 if small.kernel(1) == 3 else 1)
thread.join()
for _ in range(200):
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid:
        sys.exit(os.waitstatus_to_exitcode(status))
    time.sleep(0.1)
os.kill(child, 9)
sys.exit("the child hangs")
"""


# Only the kernels: importing all of the package takes longer than these tests.
PACKAGE = f"""
import sys, types
sys.modules["skmdn"] = types.ModuleType("skmdn")
sys.modules["skmdn"].__path__ = [{str(ROOT / "skmdn")!r}]
"""


def start(folder, code):
    env = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME")}
    env |= {"PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PACKAGE + code]
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)


def test_processes_at_once_after_one_was_killed(folder):
    use = "import small; assert small.kernel(20.5) == 42"
    killed = start(folder, CRASH + use)
    errors = killed.communicate(timeout=100)[1]
    # Alone: it would load, and not compile, what another has finished before it.
    assert killed.returncode == -signal.SIGKILL, errors
    runs = [start(folder, use), start(folder, use)]
    errors = [run.communicate(timeout=100)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], errors
    assert hits(fresh_kernel(folder)) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_another_thread_compiles(folder):
    run = start(folder, FORK)
    errors = run.communicate(timeout=100)[1]
    assert run.returncode == 0, errors


# --- the compiler ---------------------------------------------------------------------


@pytest.mark.skipif(
    os.environ.get("SKMDN_PLAIN_COMPILER", "0") != "0", reason="switched off"
)
def test_our_ways_through_this_numba_work():
    from skmdn._jit import compiler

    assert not jit.PLAIN_COMPILER
    assert compiler._works()


@pytest.mark.skipif(jit.PLAIN_COMPILER, reason="there is nothing to fail")
@pytest.mark.parametrize("owner", ["_PartLibrary", "_KernelLibrary", "_PartLowering"])
def test_where_they_fail_plain_numba_compiles(folder, monkeypatch, owner):
    from skmdn._jit import compiler

    method = "run_pass" if owner == "_PartLowering" else "_optimize_final_module"
    monkeypatch.setattr(getattr(compiler, owner), method, lambda *args: 1 / 0)
    monkeypatch.setattr(compiler, "_verdict", None)
    assert hits(fresh_kernel(folder)) == 0
    assert compiler._verdict is False


def test_where_a_name_is_missing_plain_numba_compiles(folder):
    code = """
from numba.core import codegen
del codegen.JITCodeLibrary
import small
from skmdn._jit import policy as jit
assert jit.PLAIN_COMPILER
assert small.kernel(20.5) == 42
"""
    run = start(folder, code)
    errors = run.communicate(timeout=100)[1]
    assert run.returncode == 0, errors


@pytest.mark.skipif(jit.PLAIN_COMPILER, reason="Numba's own way")
def test_kernels_own_their_helpers():
    @jit.compiled
    def kernel(C, A, B, bias):
        tile.gemm(C, 0, 16, A, 0, 1, 1, B, 0, 16, 1, 16, 1, bias, 0, tile.SET)

    kernel(*np.ones((4, 64), dtype=np.float32))
    (overload,) = kernel.overloads.values()
    llvm = overload.library.get_llvm_str()
    assert "define private" in llvm
    # Other kernels of the process would take such code for their own.
    assert "define linkonce_odr" not in llvm


def compiled_by(call):
    """Names and modules of the functions that a call compiles."""
    with event.install_recorder("numba:compile") as recorder:
        call()
    ends = [found for _, found in recorder.buffer if found.is_start]
    functions = [found.data["dispatcher"].py_func for found in ends]
    return [(f.__name__, f.__module__) for f in functions]


def twice(x):
    """Of ordinary Python."""


@pytest.mark.skipif(jit.PLAIN_COMPILER, reason="Numba's own way")
def test_a_helper_is_compiled_once_for_callers_that_are_inlined_and_others():
    @jit.helper
    def inner(x):
        return x + 1.5

    @jit.helper
    def outer(x):
        return inner(x) + twice(x)

    @jit.overload(twice)
    def _overload_twice(x):
        return lambda x: inner(x) + inner(x)

    @jit.helper
    def kernel_body(x):
        return outer(x)

    kernel = jit.compiled(lambda x: kernel_body(x), cached=False)
    names = [name for name, _ in compiled_by(lambda: kernel(1.0))]
    assert names.count("inner") == 1
    assert kernel(1.0) == 7.5


def test_steps_of_training_need_nothing_that_numba_compiles():
    def end_of_step(grads, squares, model, step):
        optimiser.sum_groups(grads, 2, 1, 32, squares, 0, 1)
        factor = optimiser.clip_factor(squares, 0, 1.0)
        if optimiser.all_finite(squares):
            optimiser.descend(model, grads, factor, step, 0, 0, 1)

    step = Steps(np.zeros(0, np.int64), *np.ones((4, 1)), np.zeros(1, np.uint32))
    model = Parameters(*np.ones((6, 32)))
    kernel = jit.compiled(end_of_step, cached=False)
    call = [np.ones(64), np.zeros((1, 1)), model, step]
    found = compiled_by(lambda: kernel(*call))
    assert ("end_of_step", __name__) in found
    assert [name for name, module in found if module.startswith("numba")] == []


# --- what the cache is named after ----------------------------------------------------


def test_every_source_of_kernels_changes_the_stamp(tmp_path):
    for name in jit.KERNEL_FOLDERS:
        shutil.copytree(ROOT / "skmdn" / name, tmp_path / name)
    stamps = {jit.source_stamp(), jit.source_stamp(tmp_path)}
    assert len(stamps) == 1
    assert jit.STAMP.startswith(stamps.pop())
    nested = tmp_path / "_jit" / "nested"
    nested.mkdir()
    (nested / "new.py").write_text("x = 1\n")
    stamps = {jit.source_stamp(), jit.source_stamp(tmp_path)}
    for file in tmp_path.rglob("*.py"):
        file.write_text(file.read_text() + "\n")
        stamps.add(jit.source_stamp(tmp_path))
    assert len(stamps) == 2 + len(list(tmp_path.rglob("*.py")))


def test_every_kernel_has_the_stamp_in_its_name(folder):
    fresh_kernel(folder)(1.0)
    assert all(jit.STAMP in file.name for file in folder.rglob("*.nb?"))


def test_kernels_are_made_of_stamped_sources():
    for file in (ROOT / "skmdn").rglob("*.py"):
        if "_jit.policy import" in file.read_text(encoding="utf-8"):
            folders = [ROOT / "skmdn" / name for name in jit.KERNEL_FOLDERS]
            assert any(file.is_relative_to(folder) for folder in folders)
