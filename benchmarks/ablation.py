# SPDX-License-Identifier: BSD-3-Clause
"""What every ingredient of MDNRegressorCV is worth: each switched off or changed alone.

    python benchmarks/ablation.py DATA_DIR [--quick] [--sets yacht,energy] [--splits N]
        [--variants "no bins,one member"] [--json FILE] [--n-jobs 2]

DATA_DIR is that of bench_density.py. Only the training rows of a split are used: a
fifth of them is held out for the comparison, so that the test rows remain unseen by
whoever chooses defaults. Every variant sees the same rows and the same seeds as the
defaults; a positive change means that the variant is worse.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scoring import (
    DISCRETE,
    SETS,
    load,
    machine,
    mean_and_error,
    print_table,
    score,
)
from sklearn.model_selection import ShuffleSplit, train_test_split
from tqdm import tqdm

from skmdn import MDNRegressorCV
from skmdn._fit import auto as _auto


def variants(n, seed):
    """Parameters of every variant for `n` training rows."""
    units = _auto.hidden_layer_sizes(n)[0]
    rate = _auto.learning_rate_init((units, units))
    batch = _auto.batch_size(n)
    epochs = _auto.max_iter(n, batch)
    one_hold_out = ShuffleSplit(1, test_size=0.1, random_state=seed)
    return {
        "one member": {"n_estimators": 1},
        "4 members": {"n_estimators": 4},
        "16 members": {"n_estimators": 16},
        "one hold-out": {"cv": one_hold_out},
        "one hold-out of one member": {"cv": one_hold_out, "n_estimators": 1},
        "10 folds": {"cv": 10},
        "no calibration": {"calibrate": False},
        "1 component": {"n_components": 1},
        "3 components": {"n_components": 3},
        "16 components": {"n_components": 16},
        "no bins": {"n_bins": 0},
        "4 bins": {"n_bins": 4},
        "8 bins": {"n_bins": 8},
        "16 bins": {"n_bins": 16},
        "32 bins": {"n_bins": 32},
        "no input noise": {"input_noise": 0.0},
        "input noise 0.03": {"input_noise": 0.03},
        "input noise 0.06": {"input_noise": 0.06},
        "no weight decay": {"alpha": 0.0},
        "3 times the weight decay": {"alpha": 0.3},
        "no hidden layer": {"hidden_layer_sizes": ()},
        "one hidden layer": {"hidden_layer_sizes": (units,)},
        "three hidden layers": {"hidden_layer_sizes": (units,) * 3},
        "half the units": {"hidden_layer_sizes": (units // 2,) * 2},
        "twice the units": {
            "hidden_layer_sizes": (2 * units,) * 2,
            "learning_rate_init": rate,
        },
        "tanh": {"activation": "tanh"},
        "relu": {"activation": "relu"},
        "half the epochs": {"max_iter": epochs // 2},
        "twice the epochs": {"max_iter": 2 * epochs},
        "half the learning rate": {"learning_rate_init": rate / 2},
        "twice the learning rate": {"learning_rate_init": 2 * rate},
        "half the batch": {"batch_size": batch // 2, "max_iter": epochs},
        "twice the batch": {"batch_size": 2 * batch, "max_iter": epochs},
        "all epochs": {"n_iter_no_change": None},
        "lowest scale 0.001": {"min_scale": 1e-3},
        "lowest scale 0.01": {"min_scale": 1e-2},
    }


def compare(table, number, names, n_jobs, progress):
    """NLL and CRPS of the defaults and of every variant on held-out training rows."""
    X, y, *_ = table.split(number)
    X, X_held, y, y_held = train_test_split(X, y, test_size=0.2, random_state=number)
    changes = {"defaults": {}, **variants(len(X), number)}
    results = {}
    for name in ["defaults", *names]:
        progress.set_postfix(variant=name, split=number)
        model = MDNRegressorCV(**changes[name], n_jobs=n_jobs, random_state=number)
        scores = score(model.fit(X, y).predict_dist(X_held), y_held)
        results[name] = {metric: float(scores[metric]) for metric in ("nll", "crps")}
        progress.update()
    return results


def print_changes(results, metric, unit):
    """Change of a score by variant and set: mean over the splits, standard error."""
    if metric == "nll":  # Unbounded where targets are discrete.
        results = {name: part for name, part in results.items() if name not in DISCRETE}
    if not results:
        return
    names = [name for name in next(iter(results.values()))[0] if name != "defaults"]
    rows = []
    for name in names:
        cells, means = [], []
        for splits in results.values():
            usual = np.array([split["defaults"][metric] for split in splits])
            changed = np.array([split[name][metric] for split in splits])
            scale = usual.mean() / 100 if metric == "crps" else 1.0
            mean, error = mean_and_error((changed - usual) / scale)
            cells.append(f"{mean:+.3f}" + ("" if np.isnan(error) else f"±{error:.3f}"))
            means.append(mean)
        rows.append([name, *cells, f"{np.mean(means):+.3f}"])
    print_table([f"change of {metric.upper()}, {unit}", *results, "mean"], rows)


def parse():
    """Parse the command line."""
    every = variants(1000, 0)
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data_dir", type=Path, help="folder with the .npz files")
    parser.add_argument("--quick", action="store_true", help="two splits")
    parser.add_argument("--sets", default=",".join(SETS), help="names, with commas")
    parser.add_argument("--splits", type=int, default=5, help="number of splits")
    parser.add_argument("--variants", default=",".join(every), help=", ".join(every))
    parser.add_argument("--json", type=Path, help="file for the scores by split")
    parser.add_argument("--n-jobs", type=int, default=2, help="threads")
    arguments = parser.parse_args()
    arguments.sets = arguments.sets.split(",")
    arguments.variants = arguments.variants.split(",")
    if unknown := set(arguments.variants) - set(every):
        parser.error(f"--variants: {sorted(unknown)} are unknown")
    for name in arguments.sets:
        if not (arguments.data_dir / f"{name}.npz").is_file():
            parser.error(f"--sets: no {name}.npz in {arguments.data_dir}")
    return arguments


def main():
    """Measure everything and print it."""
    arguments = parse()
    n_splits = 2 if arguments.quick else arguments.splits
    print(machine(), end="\n\n", flush=True)
    results = {}
    for name in arguments.sets:
        table = load(arguments.data_dir, name)
        numbers = range(min(n_splits, len(table.test_mask)))
        total = len(numbers) * (1 + len(arguments.variants))
        with tqdm(total=total, desc=name, leave=False) as progress:
            results[name] = [
                compare(table, i, arguments.variants, arguments.n_jobs, progress)
                for i in numbers
            ]
        if arguments.json:
            arguments.json.write_text(json.dumps(results), encoding="utf-8")
    print_changes(results, "nll", "nats")
    print_changes(results, "crps", "%")


if __name__ == "__main__":
    main()
