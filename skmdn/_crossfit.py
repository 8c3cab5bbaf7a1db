# SPDX-License-Identifier: BSD-3-Clause
"""Cross-fitting: splits, folds as tasks for threads, out-of-fold densities."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import KFold, ShuffleSplit, check_cv

from skmdn._fitting import start_model, training_options
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


def splits(cv, X, Y, groups, rng):
    """Pairs of (training rows, held-out rows).

    Parameters
    ----------
    cv : "auto", int, splitter or iterable
        "auto": 5 shuffled folds under 3000 rows, else one hold-out of a tenth.
    """
    n = len(X)
    if isinstance(cv, str):
        seed = rng.randint(2**31 - 1)
        if n >= _ROWS_FOR_FOLDS:
            size = min(_MOST_HELD_OUT, round(_HELD_OUT * n))
            cv = ShuffleSplit(1, test_size=size, random_state=seed)
        else:
            cv = KFold(min(_N_FOLDS, n), shuffle=True, random_state=seed)
        groups = None
    y = Y[:, 0] if Y.shape[1] == 1 else Y
    return list(check_cv(cv, y, classifier=False).split(X, y, groups))


def fit_fold(estimator, table, split, seed):
    """Fit `estimator`'s network to a fold's training rows; stop by its held-out rows.

    Parameters
    ----------
    estimator : MDNRegressor
        Not changed.
    table : tuple of (X, Y, sample_weight)
    split : tuple of (training rows, held-out rows)
    seed : int
    """
    X, Y, weight = table
    inside, outside = split
    inside, outside = (rows[weight[rows] > 0] for rows in (inside, outside))
    rng = np.random.RandomState(seed)
    training = merge_duplicates(X[inside], Y[inside], weight[inside])
    model = start_model(estimator, training, None, rng)
    options = training_options(estimator, model, n=len(training[0]))
    held_out = (X[outside], Y[outside], weight[outside])
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
    return Fold(fitted, held_out, outside, history.n_iter)


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
