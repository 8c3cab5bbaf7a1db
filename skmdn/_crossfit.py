# SPDX-License-Identifier: BSD-3-Clause
"""Cross-fitting: splits, folds as tasks for threads, out-of-fold densities."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import check_cv

from skmdn._blend import Blend, clearly_best, stacking_weights
from skmdn._fitting import start_model, training_options, unscaled_curves
from skmdn._holdout import count_units, divide, hold_out_folds, hold_out_part
from skmdn._kernels.team import new_stop
from skmdn._model import Model
from skmdn._scaling import merge_duplicates
from skmdn._training import State, train

# Below, every row is worth holding out in turn; above, one hold-out is precise enough.
_ROWS_FOR_FOLDS = 3000
_N_FOLDS = 5
_HELD_OUT = 0.1
_MOST_HELD_OUT = 20_000


class Trial(NamedTuple):
    """One fitted network and the course of its training."""

    estimator: BaseEstimator  # its parameters; not fitted
    model: Model
    losses: list
    scores: list


class Fold(NamedTuple):
    """Networks that were fitted to the same rows, and the rows held out from them."""

    best: Trial
    blend: Blend
    held_out: tuple  # X, y, sample_weight; y (n_samples,) for one output
    rows: np.ndarray  # their numbers


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

    Raises
    ------
    ValueError
        If `cv` gives what are not rows, or no rows.
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
        inside, outside = (_row_numbers(part, weight) for part in pair)
        training = merge_duplicates(X[inside], Y[inside], weight[inside])
        parts.append((training, (X[outside], Y[outside], weight[outside], outside)))
    return parts


def _row_numbers(part, sample_weight):
    """Numbers of the rows of positive weight that a splitter means."""
    n = len(sample_weight)
    part = np.asarray(part)
    try:
        rows = np.arange(n)[part if part.size else part.astype(int)]
    except IndexError as error:
        raise ValueError(
            f"cv must give numbers below n_samples = {n} or masks of as many rows, got "
            f"{part}."
        ) from error
    rows = rows[sample_weight[rows] > 0]
    if not rows.size:
        raise ValueError(
            "cv must give rows of positive weight to train on and to hold out in every "
            "split, got a part without one."
        )
    return rows


def cross_fit(candidates, parts, seeds, n_jobs, progress):
    """Fit every candidate to every split.

    A candidate is a list of estimators: all of them are fitted to the first split, and
    weighed by its held-out rows. The last is fitted to the other splits, unless another
    is clearly better.

    Parameters
    ----------
    candidates : list of list of MDNRegressor
        Not changed.
    parts : list of pairs from `splits`
    seeds : list of int, one for each split
    n_jobs : int
        Threads; the result is the same bits for every number.
    progress : callable
        Called after every fit.

    Returns
    -------
    folds : list of list of Fold
        By candidate and split.
    """
    tasks = [(e, parts[0], seeds[0]) for views in candidates for e in views]
    trials = iter(_run_tasks(tasks, n_jobs, progress))
    first = [_fold([next(trials) for _ in views], parts[0]) for views in candidates]
    others = list(zip(parts[1:], seeds[1:], strict=True))
    tasks = [(fold.best.estimator, *other) for fold in first for other in others]
    trials = iter(_run_tasks(tasks, n_jobs, progress))
    return [
        [fold, *(_fold([next(trials)], part) for part, _ in others)] for fold in first
    ]


def unshared(folds, sample_weight):
    """How different the training rows of the folds are: what makes their mixture wide.

    Parameters
    ----------
    folds : list of Fold
    sample_weight : ndarray of shape (n_samples,)
        Weights of all rows.

    Returns
    -------
    share : float
        Of all rows, those that one fold has seen and another has not: the mean over all
        pairs, also of a fold with itself (none). (1 - 1 / k) / k for k folds.
    """
    held = np.zeros((len(folds), len(sample_weight)))
    for row, fold in zip(held, folds, strict=True):
        row[fold.rows] = fold.held_out[2] / sample_weight[fold.rows]
    pairs = (sample_weight * (1 - held)) @ held.T
    np.fill_diagonal(pairs, 0.0)  # Of merged rows a fold may have seen a part.
    return float(np.mean(pairs) / sample_weight.sum())


def _fit(estimator, split, seed, n_jobs, stop):
    """Fit a network to the training rows; stop by the held-out rows."""
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
        options._replace(n_jobs=n_jobs),
        state,
        rng,
        stop=stop,
    )
    fitted = model._replace(params=state.params)
    curves = unscaled_curves(model, history.loss_curve, history.validation_scores)
    return Trial(estimator, fitted, *curves)


def _fold(trials, split):
    """Weigh networks by the rows that were held out from all of them."""
    X, Y, weight, rows = split[1]
    y = Y[:, 0] if Y.shape[1] == 1 else Y
    models, weights, best = [trial.model for trial in trials], np.ones(1), 0
    if len(models) > 1:
        logpdf = [model.distribution(X).logpdf(y) for model in models]
        weights = stacking_weights(logpdf, weight)
        best = clearly_best(logpdf, weight)
    return Fold(trials[best], Blend(models, weights.tolist()), (X, y, weight), rows)


def _run_tasks(tasks, n_jobs, progress):
    """Call ``_fit(*task)`` for all tasks in `n_jobs` threads; keep their order."""
    inner, stop = max(1, n_jobs // max(1, len(tasks))), new_stop()

    def run(task):
        trial = _fit(*task, inner, stop)
        progress()
        return trial

    if n_jobs == 1 or len(tasks) < 2:
        return [run(task) for task in tasks]
    with ThreadPoolExecutor(min(n_jobs, len(tasks))) as executor:
        try:
            return list(executor.map(run, tasks))
        except BaseException:
            stop[0] = 1  # Ctrl-C, or an error in one of them, ends them all.
            executor.shutdown(wait=False, cancel_futures=True)
            raise
