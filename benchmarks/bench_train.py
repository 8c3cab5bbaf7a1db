# SPDX-License-Identifier: BSD-3-Clause
"""Speed of training and of starting, beside other libraries.

    python benchmarks/bench_train.py [--quick] [--json FILE]
        [--python torch=PATH] [--python jax=PATH]

Same network (10 inputs, two tanh layers, 5 Gaussian components), same data, same core,
one thread, one run: rounds of skmdn and its peers alternate, ratios are medians of
the rounds. Then, in wall time on all cores: members, threads, first fits, import.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

# Before NumPy: no library starts threads of its own, here and in the peers.
os.environ.update(
    OMP_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    TORCHINDUCTOR_COMPILE_THREADS="1",
    XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
)

import numpy as np
from numba import njit
from trainers import N_COMPONENTS, N_INPUTS, TRAINERS, N, Skmdn

from skmdn._engine.cpu.tile import ADD, gemm
from skmdn._jit.memory import aligned

HERE = Path(__file__).resolve().parent
SIZES, BATCHES = (32, 64, 128, 256), (128, 256, 1024)
NETWORKS = [(hidden, batch) for hidden in SIZES for batch in BATCHES]
QUICK = [(32, 128), (64, 128), (128, 256), (256, 1024)]
PEERS = tuple(kind for kind in TRAINERS if kind != "skmdn")


class Peer:
    """A trainer in a process, perhaps in an interpreter, of its own."""

    def __init__(self, kind, python):
        self.kind, self.version = kind, None
        command = [python, str(HERE / "trainers.py"), kind]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(
            command, text=True, stderr=subprocess.DEVNULL, **pipes
        )

    def ask(self, request):
        """Send one request; a peer that cannot answer raises RuntimeError."""
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line or '{"error": "its process ended"}')
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def make(self, hidden, batch):
        """Build and compile."""
        self.version = self.ask({"make": [hidden, batch]})["version"]

    def run(self, n_epochs):
        """CPU seconds of every epoch."""
        return self.ask({"run": n_epochs})["seconds"]

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def median_ratio(these, others):
    """Ratio of what was measured side by side, the median over the rounds.

    The speed of a machine may drift by more than what is measured.
    """
    return float(np.median(np.divide(these, others)))


# --- one core: rows per second --------------------------------------------------------


def start_peers(pythons):
    """Peers that are installed; the others are left out with a line."""
    peers = []
    for kind in PEERS:
        peer = Peer(kind, pythons.get(kind.partition("-")[0], sys.executable))
        try:
            peer.make(*QUICK[0])
            peers.append(peer)
        except RuntimeError as error:
            print(f"{kind} left out: {error}")
            peer.close()
    return peers


def flops(hidden, n_estimators=1):
    """Floating-point operations of the matrix products of an epoch.

    Three products for every layer but the first, whose inputs need no gradient.
    """
    head = 3 * N_COMPONENTS
    products = 3 * (hidden * hidden + hidden * head) + 2 * N_INPUTS * hidden
    return 2 * N * products * n_estimators


@njit
def _multiply(C, A, B, bias, M, N, K, repeats):
    for _ in range(repeats):
        gemm(C, 0, N, A, 0, K, 1, B, 0, N, M, N, K, bias, 0, ADD)


def measure_peak(rounds=5):
    """Greatest GFLOP/s of a core: the register tile on matrices in its first cache."""
    M, n, K, repeats = 6, 64, 64, 100_000
    A, B = aligned(M * K, np.float32), aligned(K * n, np.float32)
    C, bias = aligned(M * n, np.float32), aligned(M, np.float32)
    best = np.inf
    for _ in range(rounds + 1):
        start = time.process_time()
        _multiply(C, A, B, bias, M, n, K, repeats)
        best = min(best, time.process_time() - start)
    return 2 * M * n * K * repeats / best / 1e9


def check_loss(trainer):
    """Compare the loss at the start of training with plain NumPy in float64."""
    coefs, intercepts = trainer.network.layers(trainer.params)
    X, y = trainer.data.X, trainer.data.Y[:, 0]
    h = X / np.sqrt(1 + (X / 3) ** 2)  # The engine's smooth clip of scaled inputs.
    *hidden, head = zip(coefs, intercepts, strict=True)
    for weights, bias in hidden:
        h = np.tanh(h @ weights.astype(float) + bias)
    logits, means, log_scales = np.split(h @ head[0].astype(float) + head[1], 3, axis=1)
    variance = np.exp(2 * log_scales) + trainer.options.min_scale**2
    log_weights = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    squares = (y[:, None] - means) ** 2 / variance
    terms = log_weights - 0.5 * (squares + np.log(2 * np.pi * variance))
    expected = -np.logaddexp.reduce(terms, axis=1).mean()
    frozen = trainer.options._replace(learning_rate_init=1e-30)
    loss = trainer.train(frozen).losses[0]
    assert abs(loss - expected) < 1e-4, (loss, expected)


def time_networks(networks, pythons, rounds):
    """CPU seconds of an epoch, for every network and library, all on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})  # Inherited by the peers.
    peers = start_peers(pythons)
    names = ["skmdn", *(peer.kind for peer in peers)]
    print(f"\nrows per second, in millions, on core {max(cores)}")
    print(f"{'network':>14}", *(f"{name:>15}" for name in names), "share of peak")
    results = []
    for hidden, batch in networks:
        ours = Skmdn(hidden, batch)
        check_loss(ours)
        for peer in peers:
            peer.make(hidden, batch)
        seconds, peaks = {name: [] for name in names}, []
        for _ in range(rounds):
            peaks.append(measure_peak(2))
            for name, trainer in zip(names, [ours, *peers], strict=True):
                seconds[name].append(min(trainer.run(3)))
        best = {name: min(seconds[name]) for name in names}
        gflop = flops(hidden) / 1e9
        row = {
            "hidden": hidden,
            "batch": batch,
            "rows_per_second": {name: N / best[name] for name in names},
            "times_faster": {
                name: median_ratio(seconds[name], seconds["skmdn"])
                for name in names[1:]
            },
            "peak_gflops": max(peaks),
            "share_of_peak": median_ratio(gflop / np.array(seconds["skmdn"]), peaks),
        }
        results.append(row)
        print_network(row)
    versions = [Skmdn.version(), *(peer.version for peer in peers)]
    for peer in peers:
        peer.close()
    os.sched_setaffinity(0, cores)
    return results, versions


def print_network(row):
    """One line: rows per second and how many times faster than each peer."""
    rates = row["rows_per_second"]
    cells = [f"{rates['skmdn'] / 1e6:15.3f}"] + [
        f"{rates[name] / 1e6:7.3f} ({times:4.1f}x)"
        for name, times in row["times_faster"].items()
    ]
    share = f"{row['share_of_peak']:.0%} of {row['peak_gflops']:.0f} GFLOP/s"
    label = f"2x{row['hidden']}, {row['batch']}"
    print(f"{label:>14}", *(f"{cell:>15}" for cell in cells), share, flush=True)


# --- members and threads --------------------------------------------------------------


def ratio(first, second, rounds):
    """Seconds of the first over those of the second, measured in turns."""
    pairs = [(min(first()), min(second())) for _ in range(rounds)]
    return median_ratio(*zip(*pairs, strict=True))


def time_members(networks, rounds):
    """CPU time of eight members over that of one."""
    results = []
    for hidden, batch in networks:
        eight = partial(Skmdn(hidden, batch, n_estimators=8).run, 2)
        cost = ratio(eight, partial(Skmdn(hidden, batch).run, 4), rounds)
        results.append({"hidden": hidden, "batch": batch, "cost": cost})
        print(f"2x{hidden}, {batch}: eight members cost {cost:.2f} times one")
    return results


def time_team(networks, rounds):
    """Wall time of one thread over that of two, for one fit."""
    results = []
    for hidden, batch in networks:
        one, two = (
            partial(Skmdn(hidden, batch, n_jobs=n_jobs).run, 6, time.perf_counter)
            for n_jobs in (1, 2)
        )
        gain = ratio(one, two, rounds)
        results.append({"hidden": hidden, "batch": batch, "gain": gain})
        print(f"2x{hidden}, {batch}: n_jobs=2 is {gain:.2f} times as fast as 1")
    return results


def time_two_fits(rounds, n_epochs=60):
    """Wall time of two fits in two threads over that of the two in sequence."""
    fits = [Skmdn(64, 128), Skmdn(64, 128)]

    def wall(n_threads):
        start = time.perf_counter()
        with ThreadPoolExecutor(n_threads) as executor:
            list(executor.map(lambda fit: fit.run(n_epochs), fits))
        return [time.perf_counter() - start]

    share = ratio(partial(wall, 2), partial(wall, 1), rounds)
    print(f"two fits in two threads take {share:.2f} of the time in sequence")
    return share


# --- starting -------------------------------------------------------------------------

FIRST_FIT = """
import time
import numpy as np
from skmdn import MDNRegressor
rng = np.random.RandomState(0)
X = rng.normal(size=(500, 10))
y = X[:, 0] + rng.normal(size=500)
start = time.perf_counter(), time.process_time()
MDNRegressor(random_state=0).fit(X, y)
print(time.perf_counter() - start[0], time.process_time() - start[1])
"""
IMPORT = """
import time
import sklearn.compose, sklearn.ensemble, sklearn.model_selection, sklearn.pipeline
start = time.perf_counter(), time.process_time()
import skmdn
print(time.perf_counter() - start[0], time.process_time() - start[1])
"""


def seconds_of(code, **environment):
    """Run a program that prints its wall and its CPU seconds."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],  # -P: the same skmdn as in this process.
        env={**os.environ, **environment},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [float(seconds) for seconds in done.stdout.split()]


def time_start(rounds):
    """First fits with an empty and a full cache, and the import."""
    times = {"first fit, empty cache": [], "first fit, full cache": []}
    times["import skmdn, beyond scikit-learn"] = [
        seconds_of(IMPORT) for _ in range(rounds + 1)
    ]
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            for name, repeats in zip(list(times)[:2], (1, 2), strict=True):
                times[name] += [
                    seconds_of(FIRST_FIT, NUMBA_CACHE_DIR=cache) for _ in range(repeats)
                ]
    results = {name: np.min(seconds, axis=0) for name, seconds in times.items()}
    for name, (wall, cpu) in results.items():
        print(f"{name}: {wall:.2f} s ({cpu:.2f} s of CPU time)")
    return {name: list(seconds) for name, seconds in results.items()}


# --- program --------------------------------------------------------------------------


def machine():
    """Processor, cores, system and Python."""
    name = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        models = [line.partition(": ")[2] for line in lines if "model name" in line]
        name = models[0] if models else name
    return (
        f"{name}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, NumPy {np.__version__}"
    )


def parse():
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description="Speed of training, against peers that are installed."
    )
    parser.add_argument(
        "--quick", action="store_true", help="four networks, two rounds"
    )
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="PEER=PATH",
        help="interpreter in which a peer (torch, jax, mlp) is installed",
    )
    arguments = parser.parse_args()
    pythons = dict(pair.partition("=")[::2] for pair in arguments.python)
    for peer, path in pythons.items():
        if peer not in PEERS or not Path(path).is_file():
            parser.error(f"--python {peer}={path}: no such peer, or no such file")
    return arguments, pythons


def main():
    """Measure everything and print it."""
    arguments, pythons = parse()
    networks, rounds = (QUICK, 2) if arguments.quick else (NETWORKS, 4)
    results = {"machine": machine()}
    print(results["machine"])
    results["networks"], versions = time_networks(networks, pythons, rounds)
    results["versions"] = versions
    print("versions:", "; ".join(dict.fromkeys(versions)), end="\n\n")
    results["members"] = time_members(networks, 2 * rounds)
    print()
    results["two_threads"] = time_team(networks, 2 * rounds)
    results["two_fits"] = time_two_fits(rounds)
    print()
    results["start"] = time_start(rounds=1 if arguments.quick else 3)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
