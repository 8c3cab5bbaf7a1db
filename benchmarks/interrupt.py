# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C at random times: every fit must come back, and soon.

    python benchmarks/interrupt.py [--times 100] [--seed 0]

Every kind of fit runs in a process of its own, which a timer interrupts after a random
part of the fit's duration, again and again. Printed: how often the fit ended by
itself, kept its best epoch, raised KeyboardInterrupt; the longest wait from the signal
to the return; hangs (more than 30 seconds, after which a process is killed).
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from signal import SIGINT, default_int_handler, signal
from threading import Event, Thread

import numpy as np

_HANG, _LATE = 30.0, 2.0
KINDS = {
    "n_jobs=1": {"n_jobs": 1},
    "n_jobs=2": {"n_jobs": 2, "batch_size": 256},
    "n_jobs=3": {"n_jobs": 3, "batch_size": 256},
    "n_estimators=4": {"n_estimators": 4},
    "n_estimators=4, n_jobs=2": {"n_estimators": 4, "n_jobs": 2},
    "long epochs": {"hidden_layer_sizes": (256, 256), "n_estimators": 8, "max_iter": 3},
    "MDNRegressorCV": {"cv": 3, "n_estimators": 2},
    "MDNRegressorCV, n_jobs=2": {"cv": 3, "n_estimators": 2, "n_jobs": 2},
    "GridSearchCV": {},
}


def make_fit(kind):
    """Return a function that fits, to a table that takes about a second."""
    from sklearn.model_selection import GridSearchCV

    from skmdn import MDNRegressor, MDNRegressorCV

    rng = np.random.RandomState(0)
    n = 60_000 if kind == "long epochs" else 1500
    X = rng.normal(size=(n, 4))
    y = np.sin(2 * X[:, 0]) + rng.gamma(2.0, size=n)
    options = {"max_iter": 30, "random_state": 0, "n_iter_no_change": None}
    options |= KINDS[kind]
    if kind.startswith("MDNRegressorCV"):
        estimator = MDNRegressorCV(2, **options)
    elif kind == "GridSearchCV":
        grid = {"n_components": [1, 2]}
        estimator = GridSearchCV(MDNRegressor(**options), grid, cv=2)
    else:
        estimator = MDNRegressor(2, **options)
    return lambda: estimator.fit(X, y)


def interrupt_later(wait, over, sent):
    """Send the signal after `wait` seconds, unless it is over; note when."""
    if not over.wait(wait):
        sent.append(time.perf_counter())
        os.kill(os.getpid(), SIGINT)


def worker(kind, times, seed):
    """Interrupt one kind of fit, and print a line of JSON after every time."""
    fit, rng = make_fit(kind), np.random.RandomState(seed)
    fit()  # compiles
    start = time.perf_counter()
    fit()
    duration = time.perf_counter() - start
    signal(SIGINT, default_int_handler)
    for _ in range(times):
        sent, over = [], Event()
        wait = rng.uniform(0, 1.05 * duration)
        timer = Thread(target=interrupt_later, args=(wait, over, sent))
        outcome = "ended"
        try:
            timer.start()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                fit()
            if any("interrupted" in str(warning.message) for warning in caught):
                outcome = "kept"
        except KeyboardInterrupt:
            outcome = "raised"
        end = time.perf_counter()
        try:
            over.set()
            timer.join()
        except KeyboardInterrupt:
            outcome = "ended"
        wait = max(0.0, end - sent[0]) if sent and outcome != "ended" else 0.0
        print(json.dumps([outcome, wait]), flush=True)


def interrupted(kind, times, seed):
    """Outcomes and waits of many fits; a process that hangs is killed."""
    rows = []
    while len(rows) < times:
        command = [sys.executable, __file__, "--kind", kind, "--seed", str(seed)]
        command += ["--times", str(times - len(rows))]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        watch = Watchdog(process)
        for line in process.stdout:
            rows.append(json.loads(line))
            watch.seen()
        watch.end()
        if process.wait():
            if not watch.killed:
                raise RuntimeError(f"{kind}: the worker failed")
            rows.append(["hung", _HANG])
            seed += 1
    return rows


class Watchdog(Thread):
    """Kills a process that says nothing for too long; compiling has longer."""

    def __init__(self, process):
        super().__init__(daemon=True)
        self.process, self.killed, self.done = process, False, Event()
        self.until = time.monotonic() + 10 * _HANG
        self.start()

    def seen(self):
        """Start to wait again."""
        self.until = time.monotonic() + _HANG

    def end(self):
        """Wait no more."""
        self.done.set()

    def run(self):
        """Wait, and kill."""
        while not self.done.wait(0.5):
            if time.monotonic() > self.until:
                self.killed = True
                self.process.kill()
                return


def main():
    """Interrupt every kind of fit."""
    parser = argparse.ArgumentParser(description="Ctrl-C at random times.")
    parser.add_argument("--times", type=int, default=60, help="of every kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.kind:
        return worker(arguments.kind, arguments.times, arguments.seed)
    outcomes = ("ended", "kept", "raised", "hung")
    print(f"{'fit':>26}", *(f"{name:>7}" for name in outcomes), "longest wait, s")
    failed = False
    for kind in KINDS:
        rows = interrupted(kind, arguments.times, arguments.seed)
        counts = [sum(row[0] == name for row in rows) for name in outcomes]
        longest = max(wait for _, wait in rows)
        failed |= longest > _LATE
        print(
            f"{kind:>26}", *(f"{n:7d}" for n in counts), f"{longest:8.2f}", flush=True
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
