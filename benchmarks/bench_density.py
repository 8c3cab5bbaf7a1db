# SPDX-License-Identifier: BSD-3-Clause
"""Conditional densities on real data, beside published scores and other libraries.

    python benchmarks/bench_density.py DATA_DIR [--quick] [--sets yacht,energy]
        [--models cv,single,hgb,ngboost] [--splits N] [--json FILE] [--n-jobs 2]

DATA_DIR holds ``SET.npz`` with arrays X, y (n, 1) and test_mask (n_splits, n). Every
model has its defaults, nothing is chosen by data set, and `random_state` is the number
of the split. A file ``reference_scores_per_split.csv`` in DATA_DIR, with the columns
method, dataset, split, nll, crps and rmse, is compared split by split.
"""

import argparse
import json
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from scoring import (
    DISCRETE,
    SETS,
    distance_to_uniform,
    load,
    machine,
    mean_and_error,
    plus_minus,
    print_table,
    score,
)
from sklearn.ensemble import HistGradientBoostingRegressor
from tqdm import tqdm

from skmdn import MDNRegressor, MDNRegressorCV, MixtureDistribution
from skmdn.datasets import make_heteroscedastic

METRICS = ("nll", "crps", "rmse")
# The best published means over these splits. NLL and CRPS: Kelen et al.,
# "Distribution-free data uncertainty for neural network regression", ICLR 2025, means
# of the scores by split at github.com/proto-n/torch-naut, branch iclr2025. RMSE: the
# same, but concrete and wine-quality-red are MC dropout's at
# github.com/yaringal/DropoutUncertaintyExps, and yacht is from Duan et al., "NGBoost",
# ICML 2020. The NLL of wine-quality-red has no lower bound, as the target has six
# values: left out.
BEST = {
    "concrete": {"nll": 2.73, "crps": 2.323, "rmse": 4.83},
    "energy": {"nll": 0.31, "crps": 0.198, "rmse": 0.41},
    "power-plant": {"nll": 2.56, "crps": 1.857, "rmse": 3.62},
    "wine-quality-red": {"crps": 0.312, "rmse": 0.62},
    "yacht": {"nll": -0.32, "crps": 0.251, "rmse": 0.50},
}
# The best mixture density network without Bayesian layers or ensemble in torch-naut.
BEST_MDN = {
    "concrete": {"nll": 3.13, "rmse": 5.99},
    "energy": {"nll": 0.77, "rmse": 1.17},
    "power-plant": {"nll": 2.65, "rmse": 3.93},
    "wine-quality-red": {"rmse": 0.64},
    "yacht": {"nll": 0.26, "rmse": 1.39},
}
REFERENCE = "reference_scores_per_split.csv"
SINGLE_MDNS = ("mdn_1comp", "mdn", "mdn_gelu")
LEVELS = np.arange(1, 20) / 20


# --- models: (X, y, seed) -> a function of test rows ----------------------------------


def fit_mdn(estimator, X, y, seed):
    model = estimator.set_params(random_state=seed).fit(X, y)

    def predict(X, y):
        start = time.perf_counter()
        dist = model.predict_dist(X)
        dist.logpdf(y)
        seconds = time.perf_counter() - start
        return score(dist, y), dist.pit(y), seconds

    return predict


def fit_ngboost(X, y, seed):
    """Normal distributions boosted by natural gradients (Duan et al. 2020)."""
    from ngboost import NGBRegressor  # Optional.

    model = NGBRegressor(random_state=seed, verbose=False).fit(X, y)

    def predict(X, y):
        start = time.perf_counter()
        normal = model.pred_dist(X)
        seconds = time.perf_counter() - start
        means, scales = normal.loc[:, None], normal.scale[:, None]
        dist = MixtureDistribution(np.ones_like(means), means, scales)
        return score(dist, y), dist.pit(y), seconds

    return predict


def fit_hgb(X, y, seed):
    """Gradient boosting of 19 quantiles, sorted, and of the mean; no density.

    Twice the pinball loss, integrated over the levels by the trapezoidal rule, is the
    CRPS: the loss vanishes at levels 0 and 1.
    """
    boosting = partial(HistGradientBoostingRegressor, random_state=seed)
    models = [boosting(loss="quantile", quantile=level).fit(X, y) for level in LEVELS]
    mean = boosting().fit(X, y)

    def predict(X, y):
        start = time.perf_counter()
        quantiles = np.sort([model.predict(X) for model in models], axis=0)
        seconds = time.perf_counter() - start
        excess = y - quantiles
        pinball = np.maximum(LEVELS[:, None] * excess, (LEVELS[:, None] - 1) * excess)
        inside = (quantiles[0] <= y) & (y <= quantiles[-1])
        scores = {
            "nll": np.nan,
            "crps": 2 * pinball.sum(axis=0).mean() / (len(LEVELS) + 1),
            "rmse": np.sqrt(np.mean((mean.predict(X) - y) ** 2)),
            "coverage": inside.mean(),
        }
        return scores, None, seconds

    return predict


def available_models(names, n_jobs):
    """Fitting functions by name; what is not installed is left out with a line."""
    models = {
        "cv": partial(fit_mdn, MDNRegressorCV(n_jobs=n_jobs)),
        "single": partial(fit_mdn, MDNRegressor(n_jobs=n_jobs)),
        "hgb": fit_hgb,
        "ngboost": fit_ngboost,
    }
    if "ngboost" in names and find_spec("ngboost") is None:
        print("ngboost left out: not installed")
        names = [name for name in names if name != "ngboost"]
    return {name: models[name] for name in names}


# --- measuring ------------------------------------------------------------------------


def measure(fit, table, number):
    """Scores of one model on one split, as a flat record."""
    X, y, X_test, y_test = table.split(number)
    start = time.perf_counter()
    predict = fit(X, y, number)
    fit_seconds = time.perf_counter() - start
    scores, pit, predict_seconds = predict(X_test, y_test)
    return {
        "split": number,
        **{name: float(value) for name, value in scores.items()},
        "ks": np.nan if pit is None else float(distance_to_uniform(pit)),
        "pit": None if pit is None else pit.tolist(),
        "fit_seconds": fit_seconds,
        "predict_seconds": predict_seconds,
    }


def measure_set(models, table, n_splits, progress):
    """Records of every model on every split."""
    records = {name: [] for name in models}
    for number in range(n_splits):
        for name, fit in models.items():
            progress.set_postfix(model=name, split=number)
            records[name].append(measure(fit, table, number))
            progress.update()
    return records


def warm_up(models):
    """Compile the kernels before anything is timed."""
    X, y = make_heteroscedastic(200, random_state=0)
    for fit in models.values():
        fit(X, y, 0)(X, y)


# --- tables ---------------------------------------------------------------------------


def print_scores(name, records):
    """Means over the splits with their standard errors, and published means."""
    header = [name, "NLL", "CRPS", "RMSE", "90 %", "KS", "KS all", "fit s", "predict s"]
    rows = [[model, *summary(splits)] for model, splits in records.items()]
    for label, published in (("best published", BEST), ("best single MDN", BEST_MDN)):
        means = published.get(name, {})
        if means:
            known = [means.get(metric, "-") for metric in METRICS]
            rows.append([label, *known, *["-"] * 5])
    print_table(header, rows)


def summary(splits):
    """Cells of one model."""
    columns = pd.DataFrame(splits)
    cells = [plus_minus(columns[metric]) for metric in METRICS]
    cells.append(f"{100 * columns['coverage'].mean():.1f}")
    if columns["pit"].isna().all():
        cells += ["-", "-"]
    else:
        pooled = distance_to_uniform(np.concatenate(columns["pit"]))
        cells += [f"{columns['ks'].mean():.3f}", f"{pooled:.3f}"]
    cells.append(f"{columns['fit_seconds'].mean():.2f}")
    cells.append(f"{columns['predict_seconds'].mean():.3f}")
    return cells


def paired_rows(name, records, reference):
    """Differences by split to the method with the best mean of the same splits."""
    rows = []
    for model in ("cv", "single"):
        splits = pd.DataFrame(records.get(model, []))
        if splits.empty:
            continue
        peers = reference[reference["dataset"] == name]
        if model == "single":
            peers = peers[peers["method"].isin(SINGLE_MDNS)]
        for metric in METRICS:
            if metric == "nll" and name in DISCRETE:
                continue
            theirs = peers.pivot(index="split", columns="method", values=metric)
            theirs = theirs.reindex(splits["split"]).dropna(axis=1)
            if theirs.empty:
                continue
            best = theirs.mean().idxmin()
            difference = splits[metric].to_numpy() - theirs[best].to_numpy()
            better = f"{np.sum(difference < 0)}/{len(difference)}"
            mean, error = mean_and_error(difference)
            label = f"{metric.upper()} against {best}"
            rows.append(
                [f"{name} {model}", label, f"{mean:+.3f}", f"{error:.3f}", better]
            )
    return rows


# --- program --------------------------------------------------------------------------


def parse():
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data_dir", type=Path, help="folder with the .npz files")
    parser.add_argument("--quick", action="store_true", help="three splits")
    parser.add_argument("--sets", default=",".join(SETS), help="names, with commas")
    parser.add_argument("--models", default="cv,single,hgb,ngboost")
    parser.add_argument("--splits", type=int, default=20, help="number of splits")
    parser.add_argument("--json", type=Path, help="file for the scores by split")
    parser.add_argument("--n-jobs", type=int, default=2, help="threads of skmdn")
    arguments = parser.parse_args()
    arguments.sets = arguments.sets.split(",")
    arguments.models = arguments.models.split(",")
    if unknown := set(arguments.models) - {"cv", "single", "hgb", "ngboost"}:
        parser.error(f"--models: {sorted(unknown)} are unknown")
    for name in arguments.sets:
        if not (arguments.data_dir / f"{name}.npz").is_file():
            parser.error(f"--sets: no {name}.npz in {arguments.data_dir}")
    return arguments


def main():
    """Measure everything and print it."""
    arguments = parse()
    n_splits = 3 if arguments.quick else arguments.splits
    print(machine(), end="\n\n", flush=True)
    models = available_models(arguments.models, arguments.n_jobs)
    warm_up(models)
    results = {"machine": machine(), "sets": {}}
    for name in arguments.sets:
        table = load(arguments.data_dir, name)
        n = min(n_splits, len(table.test_mask))
        with tqdm(total=n * len(models), desc=name, leave=False) as progress:
            results["sets"][name] = measure_set(models, table, n, progress)
        print_scores(name, results["sets"][name])
        if arguments.json:
            arguments.json.write_text(json.dumps(results), encoding="utf-8")
    path = arguments.data_dir / REFERENCE
    if path.is_file():
        reference = pd.read_csv(path)
        pairs = results["sets"].items()
        rows = [row for pair in pairs for row in paired_rows(*pair, reference)]
        if rows:
            print_table(
                ["paired by split", "", "difference", "±", "splits better"], rows
            )


if __name__ == "__main__":
    main()
