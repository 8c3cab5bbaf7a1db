# SPDX-License-Identifier: BSD-3-Clause
"""What the benchmarks of densities share: data, scores of a distribution, tables."""

import os
import platform
import warnings
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import scipy
import sklearn

import skmdn
from skmdn.metrics import coverage_score

SETS = ("yacht", "energy", "concrete", "wine-quality-red", "power-plant")
# Targets with few distinct values: a density may grow without bound at them.
DISCRETE = {"wine-quality-red"}
# Every fit to them says so.
warnings.filterwarnings("ignore", message="The target is discrete")


class Table(NamedTuple):
    """Inputs, one target and the test rows of every split, (n_splits, n) bool."""

    X: np.ndarray
    y: np.ndarray
    test_mask: np.ndarray

    def split(self, number):
        """Training inputs and targets, test inputs and targets."""
        test = self.test_mask[number]
        return self.X[~test], self.y[~test], self.X[test], self.y[test]


def load(folder, name):
    """Read a data set of one target."""
    with np.load(Path(folder) / f"{name}.npz", allow_pickle=False) as data:
        X, y, test_mask = data["X"], data["y"], data["test_mask"]
    if y.shape[1] != 1:
        raise ValueError(f"{name} has {y.shape[1]} targets; only one is supported.")
    return Table(X, y[:, 0], test_mask)


def score(dist, y):
    """NLL, CRPS, RMSE and 90 % coverage of a distribution, in the units of `y`."""
    return {
        "nll": -dist.logpdf(y).mean(),
        "crps": dist.crps(y).mean(),
        "rmse": np.sqrt(np.mean((dist.mean() - y) ** 2)),
        "coverage": coverage_score(y, dist, coverage=0.9),
    }


def distance_to_uniform(pit):
    """Kolmogorov-Smirnov distance of the PIT values to the uniform distribution."""
    return scipy.stats.kstest(pit, "uniform").statistic


def mean_and_error(values):
    """Mean and its standard error; the error of one value is nan."""
    values = np.asarray(values, dtype=float)
    if len(values) == 1:
        return values[0], np.nan
    return values.mean(), values.std(ddof=1) / np.sqrt(len(values))


def plus_minus(values, digits=3):
    """Text of the mean and its standard error."""
    mean, error = mean_and_error(values)
    if np.isnan(mean):
        return "-"
    return f"{mean:.{digits}f}" + ("" if np.isnan(error) else f"±{error:.{digits}f}")


def print_table(header, rows):
    """Print cells in columns as wide as need be; the first is flush left."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for first, *others in cells:
        line = [first.ljust(widths[0])]
        line += [
            cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)
        ]
        print("  ".join(line))
    print(flush=True)


def machine():
    """Processor, cores, system and versions."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        models = [line.partition(": ")[2] for line in lines if "model name" in line]
        name = models[0] if models else name
    modules = {"skmdn": skmdn, "numba": numba, "NumPy": np, "scikit-learn": sklearn}
    versions = [f"{name} {module.__version__}" for name, module in modules.items()]
    return (
        f"{name}, {os.cpu_count()} cores, {platform.system()}, Python "
        f"{platform.python_version()}\n{', '.join(versions)}"
    )
