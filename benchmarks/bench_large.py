# SPDX-License-Identifier: BSD-3-Clause
"""Time and memory of fits to a large table, each in a process of its own.

    python benchmarks/bench_large.py [--rows 45000] [--models single,cv] [--n-jobs 2]

The table is `make_interactions` without its last input, which does nothing: 9 inputs,
a multimodal target whose density is known. Memory is what the process has taken at its
peak beyond what it had after importing, compiling and drawing the data.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from scoring import machine, print_table

from skmdn import MDNRegressor, MDNRegressorCV
from skmdn.datasets import make_interactions

MODELS = {"single": MDNRegressor, "cv": MDNRegressorCV}
_WARM_UP_ROWS, _N_TEST = 4000, 20_000
_UNIT = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss, in MB


def table(n_rows, random_state):
    """Inputs, target, and log-densities of the truth."""
    X, y, logpdf = make_interactions(
        n_rows, return_density=True, random_state=random_state
    )
    return X[:, :9], y, logpdf(X, y)


def peak():
    """Greatest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _UNIT


def measure(name, n_rows, n_jobs):
    """One row of the table."""
    model = MODELS[name](n_jobs=n_jobs, random_state=0)
    X, y, _ = table(n_rows, 0)
    X_test, y_test, best = table(_N_TEST, 1)
    warm_up = MODELS[name](max_iter=1, n_jobs=n_jobs)
    warm_up.fit(X[:_WARM_UP_ROWS], y[:_WARM_UP_ROWS])
    before, start = peak(), time.perf_counter()
    model.fit(X, y)
    seconds, memory = time.perf_counter() - start, peak() - before
    excess = best.mean() - model.score(X_test, y_test)
    size = (X.nbytes + y.nbytes) / 2**20
    return [
        f"{name}, {X.shape[0]} x {X.shape[1]}",
        *(f"{seconds:.1f}", f"{size:.1f}", f"{memory:.0f}", f"{excess:.3f}"),
    ]


def main():
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=45_000, help="training rows")
    parser.add_argument("--models", default="single,cv", help="names, with commas")
    parser.add_argument("--n-jobs", type=int, default=2, help="threads of skmdn")
    arguments = parser.parse_args()
    names = arguments.models.split(",")
    if unknown := set(names) - set(MODELS):
        parser.error(f"--models: {sorted(unknown)} are unknown")
    print(machine(), end="\n\n", flush=True)
    rows = []
    for name in names:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            task = process.submit(measure, name, arguments.rows, arguments.n_jobs)
            rows.append(task.result())
    print_table(["model", "fit s", "data MB", "memory MB", "excess log-loss"], rows)


if __name__ == "__main__":
    main()
