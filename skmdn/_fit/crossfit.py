# SPDX-License-Identifier: BSD-3-Clause
"""Cross-fitting: every candidate fitted to every split, weighed by held-out rows."""

from contextlib import closing
from typing import NamedTuple

import numpy as np

from skmdn._engine.job import State
from skmdn._fit.job import Fitted, Prepared, make_job, start_model, training_options
from skmdn._fit.rows import Rows
from skmdn._fit.stack import Stack, clearly_best, stacking_weights
from skmdn._fit.tail import with_tail


class Fold(NamedTuple):
    """Networks that were fitted to the same rows, and the rows held out from them."""

    best: Fitted
    stack: Stack
    held_out: Rows


def cross_fit(candidates, splits, seeds, engine, on_fit):
    """Fit every candidate to every split.

    A candidate is a list of estimators: all of them are fitted to the first split, and
    weighed by its held-out rows. The last is fitted to the other splits, unless another
    is clearly better.

    Parameters
    ----------
    candidates : list of list of MDNRegressor
        Not changed.
    splits : list of Split
    seeds : list of int, one for each split
    engine : see `skmdn._engine.get_engine`
    on_fit : callable
        ``on_fit(fitted, candidate, split)`` after every fit, in the same order
        whatever the engine: split by split, candidate by candidate. A true answer
        stops: no split is kept but those that have begun.

    Returns
    -------
    folds : list of list of Fold
        By candidate and split.
    """
    tables = [Prepared(split.training) for split in splits]

    def fit(tasks):
        """Fit (candidate, split, estimator), until `on_fit` has enough."""
        starts = [
            _start(estimator, tables[split], splits[split].held_out, seeds[split])
            for _, split, estimator in tasks
        ]
        fitted, last = [], None
        with closing(engine.run([job for _, job in starts])) as trials:
            for task, (model, _), trial in zip(tasks, starts, trials, strict=True):
                candidate, split, estimator = task
                if last is not None and split > last:
                    break
                curves = (trial.losses, trial.scores)
                params = trial.state.params
                fitted.append(Fitted.of(estimator, model, params, *curves))
                if last is None and on_fit(fitted[-1], candidate, split):
                    last = split  # Its other fits are still needed.
        return fitted, last is not None

    tasks = [(c, 0, e) for c, variants in enumerate(candidates) for e in variants]
    fitted, enough = fit(tasks)
    fitted = iter(fitted)
    folds = [
        [_fold([next(fitted) for _ in variants], splits[0].held_out)]
        for variants in candidates
    ]
    if enough:
        return folds
    tasks = [
        (c, s, row[0].best.estimator)
        for s in range(1, len(splits))
        for c, row in enumerate(folds)
    ]
    fitted, _ = fit(tasks)
    for (c, s, _), network in zip(tasks, fitted, strict=False):
        folds[c].append(_fold([network], splits[s].held_out))
    return folds


def _start(estimator, prepared, held_out, seed):
    """Where a network starts, and the job of training it."""
    rng = np.random.RandomState(seed)
    model = start_model(estimator, prepared, rng)
    options = training_options(estimator, model, n=len(prepared.rows))
    state = State.start(model.params)
    return model, make_job(model, prepared.data, held_out, options, state, rng)


def _fold(fitted, held_out):
    """Weigh networks by the rows that were held out from all of them."""
    models, weights, best = [network.model for network in fitted], np.ones(1), 0
    if len(models) > 1:
        logpdf = [
            with_tail(model.distribution(held_out.X)).logpdf(held_out.y)
            for model in models
        ]
        weights = stacking_weights(logpdf, held_out.weight)
        best = clearly_best(logpdf, held_out.weight)
    return Fold(fitted[best], Stack(models, weights.tolist()), held_out)


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
        numbers = fold.held_out.numbers
        row[numbers] = fold.held_out.weight / sample_weight[numbers]
    pairs = (sample_weight * (1 - held)) @ held.T
    np.fill_diagonal(pairs, 0.0)  # Of merged rows a fold may have seen a part.
    return float(np.mean(pairs) / sample_weight.sum())
