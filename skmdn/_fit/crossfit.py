# SPDX-License-Identifier: BSD-3-Clause
"""Cross-fitting: splits, folds as tasks for threads, out-of-fold densities."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import check_cv
from sklearn.utils import check_array, check_consistent_length

from skmdn._engine.cpu.team import new_stop
from skmdn._engine.training import State, train
from skmdn._fit.blend import Blend, clearly_best, stacking_weights
from skmdn._fit.holdout import (
    count_units,
    divide,
    group_folds,
    hold_out_folds,
    hold_out_part,
)
from skmdn._fit.job import start_model, training_options, unscaled_curves
from skmdn._fit.model import Model
from skmdn._fit.scaling import merge_duplicates, row_numbers
from skmdn._fit.tail import with_tail

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


class MergedRows(NamedTuple):
    """Merged rows, and where the rows that they were made of stand among them."""

    X: np.ndarray
    Y: np.ndarray
    sample_weight: np.ndarray
    groups: np.ndarray | None  # of every row: int, from 0 on
    numbers: np.ndarray  # of the original rows; -1 for those without weight

    @classmethod
    def of(cls, X, Y, sample_weight, groups):
        """Merge equal rows of the same group.

        Raises
        ------
        ValueError
            If `groups` do not name at least two groups, one for each row.
        """
        columns, codes = X, None
        if groups is not None:
            groups = check_array(
                groups, input_name="groups", ensure_2d=False, dtype=None
            )
            check_consistent_length(X, groups)
            names, codes = np.unique(groups, return_inverse=True)
            if len(np.unique(codes[sample_weight > 0])) < 2:
                raise ValueError(
                    f"groups must name at least 2 groups of positive weight, got "
                    f"{names[:2]}."
                )
            columns = np.column_stack([X, codes])
        merged = merge_duplicates(columns, Y, sample_weight)
        numbers = row_numbers(columns, Y, *merged[:2])
        if groups is None:
            return cls(*merged, None, numbers)
        X, codes = merged[0][:, :-1].copy(), merged[0][:, -1]
        codes = np.unique(codes, return_inverse=True)[1]  # Some may have no weight.
        return cls(X, *merged[1:], codes, numbers)

    def copies(self, rows, sample_weight):
        """How many original rows some of these stand for.

        Parameters
        ----------
        rows : ndarray of int
        sample_weight : ndarray of the shape of `rows`
            Their weights, which may be a part of the whole.
        """
        numbers = self.numbers[self.numbers >= 0]
        counts = np.bincount(numbers, minlength=len(self.X))[rows]
        part = sample_weight / self.sample_weight[rows]
        return np.maximum(1, np.rint(counts * part)).astype(int)


def auto_splits(rows, rng):
    """Pairs like those of `splits`: 5 random folds, or one hold-out of many rows."""
    table, weight = rows[:3], rows.sample_weight
    n = count_units(weight).sum()
    is_many = n >= _ROWS_FOR_FOLDS
    size = min(_MOST_HELD_OUT, round(_HELD_OUT * n))
    if rows.groups is None and is_many:
        return [divide(*table, hold_out_part(weight, size, rng))]
    if rows.groups is None:
        folds = hold_out_folds(weight, min(_N_FOLDS, n), rng)
        return [divide(*table, held_out) for held_out in folds]
    n_folds = min(round(n / size) if is_many else _N_FOLDS, rows.groups.max() + 1)
    fold = group_folds(weight, rows.groups, n_folds, rng)
    kept = range(n_folds)
    if is_many:  # The fold that is nearest to a hold-out; groups may be large.
        share = np.bincount(fold, weights=weight) / weight.sum()
        kept = [np.argmin(np.abs(share - size / n))]
    return [divide(*table, np.where(fold == f, weight, 0.0)) for f in kept]


def splits(cv, rows, groups):
    """Pairs of (X, Y, sample_weight, row numbers): training rows, held-out rows.

    Parameters
    ----------
    cv : int, splitter or iterable
    rows : tuple of (X, Y, sample_weight)
    groups : array-like or None
        For the splitter.

    Raises
    ------
    ValueError
        If `cv` gives what are not rows, or no rows.
    """
    X, Y, weight = rows
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


def cross_fit(candidates, parts, seeds, n_jobs, on_fit):
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
    on_fit : callable
        ``on_fit(trial, candidate, split)`` after every fit, in the same order for every
        `n_jobs`: split by split, candidate by candidate. A true answer stops: no split
        is kept but those that have begun.

    Returns
    -------
    folds : list of list of Fold
        By candidate and split.
    """
    owners = [(c, 0) for c, views in enumerate(candidates) for _ in views]
    tasks = [(e, parts[0], seeds[0]) for views in candidates for e in views]
    trials, enough = _run_tasks(tasks, owners, n_jobs, on_fit)
    trials = iter(trials)
    folds = [[_fold([next(trials) for _ in views], parts[0])] for views in candidates]
    if enough:
        return folds
    owners = [(c, s) for s in range(1, len(parts)) for c in range(len(candidates))]
    tasks = [(folds[c][0].best.estimator, parts[s], seeds[s]) for c, s in owners]
    trials, _ = _run_tasks(tasks, owners, n_jobs, on_fit)
    for (c, s), trial in zip(owners, trials, strict=False):
        folds[c].append(_fold([trial], parts[s]))
    return folds


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


def _fit(estimator, split, seed, n_jobs, stop=None):
    """Fit a network to the training rows; stop by the held-out rows.

    Once `stop` is set, by another thread, this ends in a KeyboardInterrupt.
    """
    training, held_out = (part[:3] for part in split)
    rng = np.random.RandomState(seed)
    model = start_model(estimator, training, rng)
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
        logpdf = [with_tail(model.distribution(X)).logpdf(y) for model in models]
        weights = stacking_weights(logpdf, weight)
        best = clearly_best(logpdf, weight)
    return Fold(trials[best], Blend(models, weights.tolist()), (X, y, weight), rows)


def _run_tasks(tasks, owners, n_jobs, on_fit):
    """Fit, until `on_fit` has enough.

    Parameters
    ----------
    tasks : list of tuple
        Arguments of `_fit`.
    owners : list of (candidate, split)
        Of every task.
    n_jobs : int
    on_fit : callable
        See `cross_fit`.

    Returns
    -------
    trials : list of Trial
        In the order of the tasks; those of every split that has begun.
    enough : bool
    """
    trials, last = [], None
    with closing(_results(tasks, n_jobs)) as results:
        for (candidate, split), trial in zip(owners, results, strict=True):
            if last is not None and split > last:
                break
            trials.append(trial)
            if last is None and on_fit(trial, candidate, split):
                last = split  # Its other fits are still needed.
    return trials, last is not None


def _results(tasks, n_jobs):
    """Yield ``_fit(*task)`` of all tasks, in their order, from `n_jobs` threads."""
    inner = max(1, n_jobs // max(1, len(tasks)))
    if n_jobs == 1 or len(tasks) < 2:
        for task in tasks:
            yield _fit(*task, inner)
        return
    stop = new_stop()
    executor = ThreadPoolExecutor(min(n_jobs, len(tasks)))
    try:
        futures = [executor.submit(_fit, *task, inner, stop) for task in tasks]
        for future in futures:
            yield future.result()
    finally:  # Also after an error, a Ctrl-C, or an answer of a callback.
        stop[0] = 1
        executor.shutdown(cancel_futures=True)
