# SPDX-License-Identifier: BSD-3-Clause
"""Fits and predictions on a GPU: what they must be, and how fast they are.

    python benchmarks/bench_cuda.py [--json FILE] [--python torch=PATH]
        [--python jax=PATH] [--rehearse]

Under ten minutes. First the checks of cuda_checks.py. Then, end to end and beside one
core of this machine and the peers of cuda_peers.py in the same run: many networks of
10 000 rows at once, one network of ten million rows, predictions of as many. Last what
bounds it: registers, shared memory, and what `ncu` counts where it is installed.

Without a GPU it says so and ends. --rehearse runs it with small numbers, on the CPU
where there is no GPU: a test of this script.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cuda_checks
import numba
import numpy as np

import skmdn
from skmdn import MDNRegressor, MDNRegressorCV
from skmdn._engine import get_engine
from skmdn._engine.cuda.device import Unavailable, open_gpu
from skmdn._fit.crossfit import _start
from skmdn._fit.holdout import divide, hold_out_folds
from skmdn._fit.job import Prepared
from skmdn._fit.rows import Rows

HERE = Path(__file__).resolve().parent
LIMIT = 570  # seconds, of everything
FULL = {
    "n_networks": 300, "n_rows": 10_000, "n_epochs": 200, "batch": 128,
    "large": 10_000_000, "large_batch": 8192, "check": 2_000,
}  # fmt: skip
SMALL = {
    "n_networks": 10, "n_rows": 300, "n_epochs": 4, "batch": 64,
    "large": 5_000, "large_batch": 1024, "check": 200,
}  # fmt: skip
HIDDEN = (64, 64)
# Of a draft on an H100, in million rows a second: what the model says, see the README.
ESTIMATE = {"2x64": (540, 640), "2x64, 8 bins": (374, 455)}


def wall(call, *args, **kwargs):
    """Seconds of a call, and its result."""
    start = time.perf_counter()
    result = call(*args, **kwargs)
    return time.perf_counter() - start, result


def line(name, seconds, baseline=None, note=""):
    ratio = "" if baseline is None else f"{baseline / seconds:8.1f}x"
    print(f"{name:42}{seconds:12.3f} s{ratio:>10}  {note}", flush=True)


# --- many networks --------------------------------------------------------------------


def many_jobs(size, n_networks, n_bins):
    """Jobs of cross-fits, from rows on: five folds, several seeds."""
    X, y = cuda_checks.make_table(size["n_rows"] * 5 // 4)
    rows = Rows.of(X, y[:, None], np.ones(len(y))).merged()
    folds = hold_out_folds(rows.weight, 5, np.random.RandomState(0))
    tables = [Prepared(*divide(rows, held_out)) for held_out in folds]
    estimator = MDNRegressor(
        5, hidden_layer_sizes=HIDDEN, n_bins=n_bins, batch_size=size["batch"],
        max_iter=size["n_epochs"], n_iter_no_change=None,
    )  # fmt: skip
    return [_start(estimator, tables[i % 5], i)[1] for i in range(n_networks)]


def fit_many(device, size, n_networks, n_bins):
    """Seconds of preparing and of training."""
    prepare, jobs = wall(many_jobs, size, n_networks, n_bins)
    train, _ = wall(lambda: list(get_engine(device, 1).run(jobs)))
    return prepare, train


def time_many(device, size, peers):
    """Many networks against one core and against the peers."""
    n = size["n_networks"]
    rows = n * size["n_rows"] * size["n_epochs"]
    print(f"\n{n} networks of 2x64, {size['n_rows']} rows, {size['n_epochs']} epochs")
    found = {}
    for n_bins, name in ((0, "2x64"), (8, "2x64, 8 bins")):
        few = size | {"n_epochs": 2}
        fit_many("cpu", few, 1, n_bins)  # compiles
        prepare, train = fit_many("cpu", few, 1, n_bins)
        cpu = n * (prepare + train * size["n_epochs"] / 2)
        fit_many(device, few, 2, n_bins)  # compiles
        prepare, train = fit_many(device, size, n, n_bins)
        seconds = prepare + train
        low, high = ESTIMATE[name]
        line(f"{name}, end to end", seconds, cpu, "against a core")
        line(
            "    of that, preparing", prepare, None, f"{prepare / n * 1e3:.1f} ms a fit"
        )
        note = f"{rows / train / 1e6:.0f} Mrows/s; model, H100: {low}-{high}"
        line("    training", train, None, note)
        line("    one core, from two epochs of one", cpu)
        found[name] = {"prepare": prepare, "train": train, "core": cpu}
    ours = found["2x64"]["prepare"] + found["2x64"]["train"]
    shape = {"n_networks": n, "n_rows": size["n_rows"], "hidden": HIDDEN}
    for kind in ("torch", "torch-graph", "jax-vmap"):
        answer = peers(kind, shape | {"batch": size["batch"]}, 150)
        if answer is not None:
            theirs = answer["seconds"] * size["n_epochs"]
            line(f"    {answer['version']}, {kind}", theirs)
            print(f"{'':42}we are faster by {theirs / ours:.1f}x")
            found[kind] = answer
    params = {"max_iter": size["n_epochs"], "cv": 5, "random_state": 0}
    table = cuda_checks.make_table(size["n_rows"])
    search = MDNRegressorCV([1, 2, 3, 5, 8], device=device, **params)
    seconds, mdn = wall(search.fit, *table)
    line(
        "MDNRegressorCV([1, 2, 3, 5, 8], cv=5).fit",
        seconds,
        None,
        str(mdn.best_params_),
    )
    found["search"] = seconds
    return found


# --- one large table ------------------------------------------------------------------


def time_large(device, size, peers):
    """An epoch of a large table, then predictions of as many rows."""
    n, few = size["large"], max(size["large"] // 20, 2 * size["large_batch"])
    print(f"\n{n} rows, batches of {size['large_batch']}")
    X, y = cuda_checks.make_table(n)

    def fit(name, rows):
        clock = [time.perf_counter()]
        mdn = MDNRegressor(
            5, hidden_layer_sizes=HIDDEN, n_bins=0, batch_size=size["large_batch"],
            max_iter=3, early_stopping=False, random_state=0, device=name,
            callback=lambda *_: clock.append(time.perf_counter()),
        )  # fmt: skip
        mdn.fit(X[:rows], y[:rows])
        return clock[-1] - clock[-2], mdn

    seconds, mdn = fit(device, n)
    core = fit("cpu", few)[0] * n / few
    line("an epoch", seconds, core, "against a core")
    found = {"epoch": seconds, "core": core}
    shape = {"n_networks": 1, "n_rows": few, "hidden": HIDDEN}
    for kind in ("torch", "torch-graph", "jax-vmap"):
        answer = peers(kind, shape | {"batch": size["large_batch"]}, 60)
        if answer is not None:
            theirs = answer["seconds"] * n / few
            line(f"    {answer['version']}, {kind}", theirs)
            print(f"{'':42}we are faster by {theirs / seconds:.1f}x")
            found[kind] = theirs
    calls = {
        "logpdf": lambda mdn, X, y: mdn.logpdf(X, y),
        "mean": lambda mdn, X, y: mdn.predict(X),
        "a draw": lambda mdn, X, y: mdn.sample(X, random_state=0),
    }
    for name, call in calls.items():
        mdn.set_params(device=device)
        wall(call, mdn, X[:few], y[:few])  # compiles
        ours = min(wall(call, mdn, X, y)[0] for _ in range(2))
        mdn.set_params(device="cpu")
        wall(call, mdn, X[:100], y[:100])
        core = wall(call, mdn, X[:few], y[:few])[0] * n / few
        line(f"X to {name}", ours, core, f"{ours / n * 1e9:.1f} ns a row")
        found[name] = {"gpu": ours, "core": core}
    return found


# --- what bounds it -------------------------------------------------------------------


def print_counters():
    """Measured counters of the fit kernel, where `ncu` is installed and allowed."""
    ncu = shutil.which("ncu")
    if ncu is None:
        print("\nncu is not installed: no counters")
        return
    metrics = (
        *(
            "sm__throughput.avg.pct_of_peak_sustained_elapsed",
            "launch__registers_per_thread",
        ),
        *("smsp__inst_executed_pipe_fma.avg.pct_of_peak_sustained_active",),
        *(
            "l1tex__data_bank_conflicts_pipe_lsu.sum",
            "lts__t_bytes.sum",
            "dram__bytes.sum",
        ),
        *("launch__occupancy_limit_shared_mem", "launch__shared_mem_per_block_dynamic"),
    )
    script = "import cuda_checks; cuda_checks.fit('cuda', 5000, max_iter=2)"
    done = subprocess.run(
        [ncu, "--metrics", ",".join(metrics), sys.executable, "-c", script],
        cwd=HERE, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    print(f"\n{done.stdout[-4000:] or done.stderr[-1000:]}")


def machine(gpu):
    """What this runs on."""
    versions = f"skmdn {skmdn.__version__}, numba {numba.__version__}"
    about = f"{platform.processor() or platform.machine()}, NumPy {np.__version__}"
    if gpu is not None:
        about = f"{gpu.name}, {gpu.n_blocks // 2} multiprocessors; {about}"
        smi = shutil.which("nvidia-smi")
        if smi:
            query = "--query-gpu=driver_version,clocks.max.sm,power.limit"
            command = [smi, query, "--format=csv,noheader"]
            about += (
                "; " + subprocess.run(command, capture_output=True, text=True).stdout
            )
    return f"{about.strip()}; {versions}"


def make_peers(pythons, deadline):
    """Return ``peers(kind, shape, limit)``: the answer of a peer, or None."""

    def ask(kind, shape, limit):
        python = pythons.get(kind.partition("-")[0], sys.executable)
        limit = min(limit, deadline - time.perf_counter())
        command = [python, str(HERE / "cuda_peers.py"), kind, json.dumps(shape)]
        # What JAX does not use is left to others.
        env = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        try:
            if limit <= 0:
                raise subprocess.TimeoutExpired(command, 0)
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=limit, env=env
            )
            answer = json.loads(done.stdout.splitlines()[-1])
        except (subprocess.TimeoutExpired, OSError, ValueError, IndexError) as error:
            answer = {"error": type(error).__name__}
        if "error" in answer:
            print(f"    {kind} left out: {answer['error']}", flush=True)
            return None
        return answer

    return ask


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH")
    parser.add_argument("--rehearse", action="store_true")
    arguments = parser.parse_args()
    deadline = time.perf_counter() + LIMIT
    device, gpu = "cuda", None
    try:
        gpu = open_gpu()
    except Unavailable as error:
        print(f"no GPU: {error}")
        if not arguments.rehearse:
            return
        device = "cpu"
    size = SMALL if arguments.rehearse else FULL
    results = {"machine": machine(gpu), "checks": []}
    print(results["machine"], end="\n\n")
    for check in ("bits", "loss", "scores", "killed"):
        if check != "killed" or gpu is not None:
            passed = getattr(cuda_checks, f"check_{check}")(device, size["check"])
            results["checks"].append(passed)
    peers = make_peers(dict(p.split("=") for p in arguments.python), deadline)
    results["many"] = time_many(device, size, peers)
    results["large"] = time_large(device, size, peers)
    if gpu is not None:
        print_counters()
        left = deadline - time.perf_counter()
        results["checks"].append(cuda_checks.check_sanitizer(max(10, left / 4)))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    sys.exit(0 if all(results["checks"]) else 1)


if __name__ == "__main__":
    main()
