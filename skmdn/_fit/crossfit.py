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

# Networks that are fitted to every split where they are better than shared members by
# this many nats. Less may be chance on small tables, and all the splits depend on it.
N_SINGLES = 2
_HANDICAP_OF_SINGLES = 0.1
# Networks of less weight cost more time in predictions than they gain nats.
_LEAST_WEIGHT = 0.02


class Fold(NamedTuple):
    """Networks that were fitted to the same rows, and the rows held out from them."""

    best: Fitted
    stack: Stack
    held_out: Rows


def cross_fit(candidates, splits, seeds, engine, on_fit):
    """Fit every candidate to every split.

    A candidate is a list of estimators: all of them are fitted to the first split, and
    weighed by its held-out rows. The last is fitted to the other splits, unless another
    is clearly better. If that is a single network and the last has shared members,
    `N_SINGLES` of it are fitted to every split.

    Parameters
    ----------
    candidates : list of list of MDNRegressor
        Not changed.
    splits : list of Split
    seeds : array-like of int, shape (N_SINGLES, n_splits)
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
    tables = [Prepared(split.training, split.held_out) for split in splits]

    def fit(tasks):
        """Fit (candidate, split, estimator, copy), until `on_fit` has enough."""
        starts = [
            _start(estimator, tables[split], seeds[copy][split])
            for _, split, estimator, copy in tasks
        ]
        fitted, last = [], None
        with closing(engine.run([job for _, job in starts])) as trials:
            for task, (model, _), trial in zip(tasks, starts, trials, strict=True):
                candidate, split, estimator, _ = task
                if last is not None and split > last:
                    break
                curves = (trial.losses, trial.scores)
                params = trial.state.params
                fitted.append(Fitted.of(estimator, model, params, *curves))
                if last is None and on_fit(fitted[-1], candidate, split):
                    last = split  # Its other fits are still needed.
        return fitted, last is not None

    tasks = [(c, 0, e, 0) for c, variants in enumerate(candidates) for e in variants]
    fitted, enough = fit(tasks)
    fitted = iter(fitted)
    networks = [[[next(fitted) for _ in variants]] for variants in candidates]
    folds = [[_fold(row[0], splits[0].held_out)] for row in networks]
    if enough:
        return folds
    chosen = [row[0].best.estimator for row in folds]
    copies = [
        N_SINGLES if _is_single(estimator, usual) else 1
        for estimator, (*_, usual) in zip(chosen, candidates, strict=True)
    ]
    tasks = [
        (c, s, chosen[c], copy)
        for s in range(len(splits))
        for c in range(len(candidates))
        for copy in range(0 if s else 1, copies[c])  # The first split has one.
    ]
    fitted, _ = fit(tasks)
    for (c, s, *_), network in zip(tasks, fitted, strict=False):
        if s == len(networks[c]):
            networks[c].append([])
        networks[c][s].insert(0, network)  # The usual one remains the last.
    return [
        [_fold(n, split.held_out) for n, split in zip(row, splits, strict=False)]
        for row in networks
    ]


def _start(estimator, prepared, seed):
    """Where a network starts, and the job of training it."""
    rng = np.random.RandomState(seed)
    model = start_model(estimator, prepared, rng)
    options = training_options(estimator, model, n=len(prepared.rows))
    state = State.start(model.params)
    data = prepared.data, prepared.validation
    return model, make_job(model, *data, options, state, rng)


def most_fits(candidates, n_splits):
    """How many networks `cross_fit` fits at most."""
    total = 0
    for variants in candidates:
        is_open = any(_is_single(e, variants[-1]) for e in variants)
        n_copies = N_SINGLES if is_open else 1
        total += len(variants) - 1 + n_copies * n_splits
    return total


def _is_single(estimator, usual):
    """Whether it is one network, where the usual ones have shared members."""
    return estimator.n_estimators == 1 < usual.n_estimators


def _fold(fitted, held_out):
    """Weigh networks by the rows that were held out from all of them."""
    if len(fitted) == 1:
        return Fold(fitted[0], Stack([fitted[0].model], [1.0]), held_out)
    logpdf = np.array(
        [
            with_tail(network.model.distribution(held_out.X)).logpdf(held_out.y)
            for network in fitted
        ]
    )
    weights = stacking_weights(logpdf, held_out.weight)
    kept = weights >= _LEAST_WEIGHT
    weights = weights[kept] / weights[kept].sum()
    models = [network.model for network, keep in zip(fitted, kept, strict=True) if keep]
    usual = fitted[-1].estimator
    singles = [_is_single(network.estimator, usual) for network in fitted]
    handicap = _HANDICAP_OF_SINGLES * np.array(singles)
    best = clearly_best(logpdf - handicap[:, None], held_out.weight)
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
