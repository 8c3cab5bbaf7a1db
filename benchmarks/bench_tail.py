# SPDX-License-Identifier: BSD-3-Clause
"""What the tail around predictions bounds, and what it leaves alone.

    python benchmarks/bench_tail.py DATA_DIR [--splits 2] [--sets yacht,energy]

DATA_DIR holds ``SET.npz`` with arrays X, y (n, k) and test_mask (n_splits, n). Every
line: a table and an estimator with its defaults. "worst" is the lowest difference of a
test row's log-density and the one under the marginal, a kernel estimate of the training
targets with 5 % of a t distribution of 2 degrees of freedom; "mean" the mean
log-likelihood; both without and with the tail. The others are ratios, with the tail to
without, whose distance to 1 is greatest: of the standard deviation, of the expected
shortfall at 1 % below the mean, and of the width of the 99.9 % interval (one output).
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import gaussian_kde, multivariate_t
from scoring import machine, print_table

from skmdn import MDNRegressor, MDNRegressorCV
from skmdn.datasets import make_heavy_tailed

# Rows that a kernel estimate is made of.
_MOST_ROWS = 3000


def marginal_logpdf(y, y_test):
    """Log-density of test targets under the marginal of the training targets."""
    Y, Y_test = y.reshape(len(y), -1), y_test.reshape(len(y_test), -1)
    low, center, high = np.quantile(Y, [0.25, 0.5, 0.75], axis=0)
    scale = np.where(high > low, (high - low) / 1.349, Y.std(axis=0))
    Z, Z_test = (Y - center) / scale, (Y_test - center) / scale
    kernels = gaussian_kde(Z[:_MOST_ROWS].T).logpdf(Z_test.T)
    tail = multivariate_t.logpdf(Z_test, df=2, shape=np.eye(Z.shape[1]))
    logpdf = np.logaddexp(np.log(0.95) + kernels, np.log(0.05) + tail)
    return logpdf - np.log(scale).sum()


def farthest(ratio):
    """The one of some ratios that is farthest from 1."""
    return ratio.flat[np.argmax(np.abs(np.log(ratio)))]


def compare(estimator, X, y, X_test, y_test):
    """Cells of a line."""
    mdn = estimator.fit(X, y)
    bare, dist = mdn._mixture().distribution(X_test), mdn.predict_dist(X_test)
    marginal = marginal_logpdf(y, y_test)
    logpdfs = [d.logpdf(y_test) for d in (bare, dist)]
    ratios = [farthest(dist.std() / bare.std())]
    if dist.n_outputs == 1:
        few = slice(0, 100)  # Quantiles are what takes time.
        shortfalls = [
            d.mean() - d.expected_shortfall(0.01) for d in (dist[few], bare[few])
        ]
        widths = [np.subtract(*d.interval(0.999)) for d in (dist[few], bare[few])]
        ratios += [farthest(a / b) for a, b in (shortfalls, widths)]
    cells = [f"{(logpdf - marginal).min():.1f}" for logpdf in logpdfs]
    cells += [f"{logpdf.mean():.4f}" for logpdf in logpdfs]
    return cells + [f"{ratio:.4f}" for ratio in ratios] + ["-"] * (3 - len(ratios))


def tables(folder, names, n_splits):
    """Yield name, X, y, X_test, y_test."""
    for n in (300, 1000, 3000):
        train = make_heavy_tailed(n, random_state=0)
        yield (f"heavy tails, {n}", *train, *make_heavy_tailed(5000, random_state=1))
    for path in sorted(Path(folder).glob("*.npz")):
        if names and path.stem not in names:
            continue
        with np.load(path, allow_pickle=False) as data:
            X, y, masks = data["X"], data["y"], data["test_mask"]
        y = y[:, 0] if y.shape[1] == 1 else y
        for split, test in enumerate(masks[:n_splits]):
            name = f"{path.stem}, {split}"
            yield name, X[~test], y[~test], X[test], y[test]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_dir")
    parser.add_argument("--splits", type=int, default=2)
    parser.add_argument("--sets", default="")
    arguments = parser.parse_args()
    names = [name for name in arguments.sets.split(",") if name]
    print(machine(), end="\n\n")
    rows = []
    for name, *table in tables(arguments.data_dir, names, arguments.splits):
        for estimator in (MDNRegressor(), MDNRegressorCV()):
            estimator.set_params(random_state=0)
            kind = type(estimator).__name__[3:]
            rows.append([f"{name}, {kind}", *compare(estimator, *table)])
            print(" ".join(rows[-1]), flush=True)
    print()
    header = ["worst bare", "worst", "mean bare", "mean", "std", "shortfall", "99.9 %"]
    print_table(["table", *header], rows)


if __name__ == "__main__":
    main()
