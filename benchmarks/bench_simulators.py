# SPDX-License-Identifier: BSD-3-Clause
"""Conditional densities on problems whose true density is known.

    python benchmarks/bench_simulators.py [--quick] [--sizes 300,3000,30000]
        [--problems bimodal,atoms] [--seeds 3] [--json FILE] [--n-jobs 2]

Excess: mean log-likelihood of the truth minus that of the model, on 20 000 fresh rows,
in nats; zero is the best that is possible. The line is a linear regression with
Gaussian noise of one scale. The target of `atoms` is discrete, where densities mean
little: log-probabilities of the cell ``(k - 0.5, k + 0.5]`` around the value k are
compared.

Then the two-sample test: a gradient boosting tries to tell (x, sampled y) from fresh
(x, true y), 2000 rows of each; its cross-validated AUC is 0.5 if nobody can.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np
from scoring import machine, plus_minus, print_table
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from tqdm import tqdm

from skmdn import MDNRegressor, MDNRegressorCV, MixtureDistribution, datasets

PROBLEMS = {
    "heteroscedastic": datasets.make_heteroscedastic,
    "bimodal": datasets.make_bimodal,
    "skewed": datasets.make_skewed,
    "heavy-tailed": datasets.make_heavy_tailed,
    "atoms": datasets.make_atoms,
    "interactions": datasets.make_interactions,
}
INVERSE_PROBLEMS = {
    "inverse sine": datasets.make_inverse_sine,
    "flipped wave": datasets.make_flipped_wave,
    "Bishop": datasets.make_bishop_inverse,
}
N_TEST, N_SAMPLES = 20_000, 2000
# More than this above the line's excess would mean that the line had been the better
# choice.
TOLERANCE = 0.05


class Line:
    """Linear regression with Gaussian noise of one scale."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y):
        """Least squares; the scale by maximum likelihood."""
        self.regression = LinearRegression().fit(X, y)
        self.scale = np.std(y - self.regression.predict(X))
        return self

    def predict_dist(self, X):
        """One Gaussian for every row."""
        means = self.regression.predict(X)[:, None]
        scales = np.full_like(means, self.scale)
        return MixtureDistribution(np.ones_like(means), means, scales)


def models(n_jobs):
    """Constructors by name."""
    return {
        "cv": partial(MDNRegressorCV, n_jobs=n_jobs),
        "single": partial(MDNRegressor, n_jobs=n_jobs),
        "line": Line,
    }


def log_likelihood(dist, y, discrete):
    """Log-densities, or log-probabilities of the unit cells around discrete values."""
    if not discrete:
        return dist.logpdf(y)
    with np.errstate(divide="ignore"):  # A cell may have probability zero.
        return np.log(dist.prob(y - 0.5, y + 0.5))


def excesses(name, n_samples, seed, n_jobs):
    """Excess log-loss and CRPS of every model."""
    make = partial(PROBLEMS[name], return_density=True)
    X, y, _ = make(n_samples, random_state=seed)
    X_test, y_test, truth = make(N_TEST, random_state=10_000 + seed)
    best = truth(X_test, y_test).mean()
    results = {}
    for model, new in models(n_jobs).items():
        dist = new(random_state=seed).fit(X, y).predict_dist(X_test)
        reached = log_likelihood(dist, y_test, discrete=name == "atoms").mean()
        results[model] = {"excess": best - reached, "crps": dist.crps(y_test).mean()}
    return results


def measure_excesses(names, sizes, n_seeds, n_jobs):
    """Records of every problem, number of rows, and seed; the largest with one."""
    records = []
    tasks = [
        (name, n_samples, seed)
        for name in names
        for n_samples in sizes
        for seed in range(n_seeds if n_samples < 10_000 else 1)
    ]
    with tqdm(tasks, leave=False) as progress:
        for name, n_samples, seed in progress:
            progress.set_postfix(problem=name, rows=n_samples)
            scores = excesses(name, n_samples, seed, n_jobs)
            records.append({"name": name, "rows": n_samples, **scores})
    return records


def print_excesses(records, names, sizes):
    """Excess and CRPS by problem and number of rows; a mark where the line wins."""
    kinds = ("cv", "single", "line")
    header = ["excess log-loss", "rows", *kinds]
    header += [f"CRPS {kind}" for kind in kinds] + ["cv minus line"]
    rows = []
    for name in names:
        for n_samples in sizes:
            chosen = [r for r in records if (r["name"], r["rows"]) == (name, n_samples)]
            cells = [
                plus_minus([record[kind][score] for record in chosen])
                for score in ("excess", "crps")
                for kind in kinds
            ]
            loss = np.mean([r["cv"]["excess"] - r["line"]["excess"] for r in chosen])
            mark = " !" if loss > TOLERANCE else ""
            rows.append([name, n_samples, *cells, f"{loss:+.3f}{mark}"])
    print_table(header, rows)


def auc_of(first, second, seed):
    """Cross-validated AUC of a classifier that tells two samples apart."""
    rows = np.concatenate([np.column_stack(first), np.column_stack(second)])
    labels = np.repeat([0, 1], [len(first[1]), len(second[1])])
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    classifier = HistGradientBoostingClassifier(random_state=seed)
    return cross_val_score(classifier, rows, labels, cv=folds, scoring="roc_auc").mean()


def aucs(make, seed, n_jobs):
    """AUC of the models' samples, and of the truth's own, against fresh data."""
    draw = partial(make, N_SAMPLES)
    training, fresh, own = (draw(random_state=seed + i) for i in (0, 1000, 2000))
    results = {"truth": auc_of(own, fresh, seed)}
    for name, new in models(n_jobs).items():
        dist = new(random_state=seed).fit(*training).predict_dist(own[0])
        sampled = dist.sample(random_state=seed)
        results[name] = auc_of((own[0], sampled.reshape(-1)), fresh, seed)
    return results


def measure_aucs(n_seeds, n_jobs):
    """AUCs of every inverse problem, by seed; print their means."""
    results, rows = {}, []
    for name, make in tqdm(INVERSE_PROBLEMS.items(), leave=False):
        results[name] = [aucs(make, seed, n_jobs) for seed in range(n_seeds)]
        kinds = list(results[name][0])
        rows.append([name, *(plus_minus([r[k] for r in results[name]]) for k in kinds)])
    print_table(["two-sample AUC", *kinds], rows)
    return results


def parse():
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="300 rows, one seed")
    parser.add_argument("--sizes", default="300,3000,30000", help="training rows")
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--seeds", type=int, default=3, help="under 10 000 rows")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--n-jobs", type=int, default=2, help="threads of skmdn")
    arguments = parser.parse_args()
    arguments.problems = arguments.problems.split(",")
    if unknown := set(arguments.problems) - set(PROBLEMS):
        parser.error(f"--problems: {sorted(unknown)} are unknown")
    arguments.sizes = [int(size) for size in arguments.sizes.split(",")]
    if arguments.quick:
        arguments.sizes, arguments.seeds = [300], 1
    return arguments


def main():
    """Measure everything and print it."""
    arguments = parse()
    names, sizes, n_seeds = arguments.problems, arguments.sizes, arguments.seeds
    print(machine(), end="\n\n", flush=True)
    results = {"machine": machine()}
    results["excess"] = measure_excesses(names, sizes, n_seeds, arguments.n_jobs)
    print_excesses(results["excess"], names, sizes)
    results["auc"] = measure_aucs(n_seeds, arguments.n_jobs)
    if arguments.json:
        arguments.json.write_text(json.dumps(results), encoding="utf-8")


if __name__ == "__main__":
    main()
