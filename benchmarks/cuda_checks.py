# SPDX-License-Identifier: BSD-3-Clause
"""What fits on a GPU must be, before they are timed; see bench_cuda.py.

As a program it is what compute-sanitizer watches, or what is killed:

    python benchmarks/cuda_checks.py watched|endless
"""

import shutil
import subprocess
import sys

import numpy as np

from skmdn import MDNRegressor

FIT = {"n_components": 5, "hidden_layer_sizes": (64, 64), "random_state": 0}
TOOLS = ("memcheck", "racecheck", "synccheck", "initcheck")


def make_table(n_rows, seed=0):
    """Two branches."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n_rows, 10))
    branch = rng.choice([-1.0, 1.0], n_rows)
    return X, np.sin(2 * X[:, 0]) + branch + 0.1 * rng.normal(size=n_rows)


def fit(device, n_rows, **parameters):
    """Fit one network."""
    mdn = MDNRegressor(**FIT, device=device)
    return mdn.set_params(**parameters).fit(*make_table(n_rows))


def report(name, passed, detail):
    print(f"{'ok  ' if passed else 'FAIL'} {name}: {detail}", flush=True)
    return bool(passed)


def check_bits(device, n_rows):
    """Two runs of every kind of network have the same bits."""
    same = True
    for changes in ({}, {"n_estimators": 4}, {"hidden_layer_sizes": (128, 128)}):
        a, b = (fit(device, n_rows, max_iter=5, **changes) for _ in range(2))
        X = make_table(100)[0]
        same &= a.loss_curve_ == b.loss_curve_
        same &= np.array_equal(a.coefs_[0], b.coefs_[0])
        same &= np.array_equal(a.predict(X), b.predict(X))
    return report("two runs", same, "the same bits" if same else "other bits")


def check_loss(device, n_rows):
    """After 20 steps the loss is that of the CPU."""
    shape = {"batch_size": n_rows, "max_iter": 20, "early_stopping": False}
    worst = 0.0
    for changes in ({}, {"n_estimators": 4}, {"hidden_layer_sizes": (128, 128)}):
        ours, theirs = (
            np.array(fit(name, n_rows, **shape, **changes).loss_curve_)
            for name in (device, "cpu")
        )
        worst = max(worst, np.abs(ours - theirs).max())
    return report("loss of 20 steps", worst < 1e-4, f"{worst:.1e} from the CPU's")


def check_scores(device, n_rows):
    """Whole fits are as good as those of the CPU."""
    X, y = make_table(20_000, seed=1)
    ours, theirs = (fit(name, n_rows).logpdf(X, y) for name in (device, "cpu"))
    gap, error = ours.mean() - theirs.mean(), theirs.std() / np.sqrt(len(y))
    detail = f"{ours.mean():.4f}, CPU {theirs.mean():.4f}, sampling error {error:.4f}"
    return report("score of a fit", abs(gap) < 2 * error, detail)


def check_killed(device, n_rows):
    """A run that is killed in the middle of a launch leaves the GPU usable."""
    before = fit(device, n_rows, max_iter=3)
    child = subprocess.Popen(
        [sys.executable, __file__, "endless"], stdout=subprocess.PIPE, text=True
    )
    while "begun" not in child.stdout.readline():
        pass
    child.kill()
    child.wait()
    after = fit(device, n_rows, max_iter=3)
    same = before.loss_curve_ == after.loss_curve_
    return report(
        "a run is killed", same, "the next has the same bits" if same else "?"
    )


def check_sanitizer(limit):
    """compute-sanitizer finds nothing, where it is installed."""
    sanitizer, clean = shutil.which("compute-sanitizer"), True
    if sanitizer is None:
        print("     compute-sanitizer is not installed")
        return clean
    for tool in TOOLS:
        command = [sanitizer, "--tool", tool, "--error-exitcode", "9"]
        try:
            done = subprocess.run(
                [*command, sys.executable, __file__, "watched"],
                capture_output=True, text=True, timeout=limit,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            print(f"     {tool}: took longer than {limit} s")
            continue
        summary = [line for line in done.stdout.splitlines() if "SUMMARY" in line]
        passed = done.returncode == 0
        clean &= report(f"compute-sanitizer {tool}", passed, " ".join(summary[-1:]))
    return clean


def main(role):
    """Be watched: small fits of every kind. Or be killed: an endless one."""
    if role == "endless":
        tell = {2: "begun"}
        fit(
            "cuda", 20_000, max_iter=10**6, n_iter_no_change=None,
            callback=lambda epoch, *_: print(tell.get(epoch, ""), flush=True),
        )  # fmt: skip
    for changes in ({}, {"n_estimators": 2}, {"hidden_layer_sizes": (128, 128)}):
        mdn = fit("cuda", 200, max_iter=2, batch_size=100, **changes)
        mdn.logpdf(*make_table(200))


if __name__ == "__main__":
    main(sys.argv[1])
