# SPDX-License-Identifier: BSD-3-Clause
"""Cross-fitting: splits, folds as tasks for threads, out-of-fold densities."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import check_cv

from skmdn._fitting import start_model, training_options, unscaled_curves
from skmdn._holdout import count_units, divide, hold_out_folds, hold_out_part
from skmdn._model import Model
from skmdn._scaling import merge_duplicates
from skmdn._training import State, train

# Below, every row is worth holding out in turn; above, one hold-out is precise enough.
_ROWS_FOR_FOLDS = 3000
_N_FOLDS = 5
_HELD_OUT = 0.1
_MOST_HELD_OUT = 20_000


class Fold(NamedTuple):
    """One fitted model and the rows that were held out from it."""

    model: Model
    held_out: tuple  # X, Y, sample_weight
    rows: np.ndarray  # their numbers
    n_iter: int
    losses: list
    scores: list


def splits(cv, rows, groups, rng):
    """Pairs of (X, Y, sample_weight, row numbers): training rows, held-out rows.

    Parameters
    ----------
    cv : "auto", int, splitter or iterable
        "auto": 5 random folds under 3000 rows, else one hold-out of a tenth; the rows
        must be merged ones.
    rows : tuple of (X, Y, sample_weight)
    groups : array-like or None
    rng : numpy.random.RandomState
    """
    X, Y, weight = rows
    if isinstance(cv, str):
        n = count_units(weight).sum()
        if n >= _ROWS_FOR_FOLDS:
            size = min(_MOST_HELD_OUT, round(_HELD_OUT * n))
            return [divide(*rows, hold_out_part(weight, size, rng))]
        folds = hold_out_folds(weight, min(_N_FOLDS, n), rng)
        return [divide(*rows, held_out) for held_out in folds]
    y = Y[:, 0] if Y.shape[1] == 1 else Y
    parts = []
    for pair in check_cv(cv, y, classifier=False).split(X, y, groups):
        inside, outside = (part[weight[part] > 0] for part in pair)
        training = merge_duplicates(X[inside], Y[inside], weight[inside])
        parts.append((training, (X[outside], Y[outside], weight[outside], outside)))
    return parts


def fit_fold(estimator, split, seed):
    """Fit `estimator`'s network to the training rows; stop by the held-out rows.

    Parameters
    ----------
    estimator : MDNRegressor
        Not changed.
    split : pair from `splits`
    seed : int
    """
    training, held_out = (part[:3] for part in split)
    rng = np.random.RandomState(seed)
    model = start_model(estimator, training, None, rng)
    options = training_options(estimator, model, n=len(training[0]))
    state = State.start(model.params)
    history = train(
        model.network,
        model.view,
        model.scaled(*training),
        model.scaled(*held_out),
        options,
        state,
        rng,
    )
    fitted = model._replace(params=state.params)
    curves = unscaled_curves(model, history.loss_curve, history.validation_scores)
    return Fold(fitted, held_out, split[1][3], history.n_iter, *curves)


def run_tasks(task, arguments, n_jobs, progress=None):
    """Call ``task(*a)`` for all `arguments` in `n_jobs` threads; keep their order."""

    def run(argument):
        result = task(*argument)
        if progress is not None:
            progress.update()
        return result

    with progress or nullcontext():
        if n_jobs == 1 or len(arguments) == 1:
            return [run(argument) for argument in arguments]
        with ThreadPoolExecutor(min(n_jobs, len(arguments))) as executor:
            return list(executor.map(run, arguments))
