# SPDX-License-Identifier: BSD-3-Clause
"""Random held-out parts of merged rows.

Equal rows were merged and carry the sum of their weights. Were they held out whole, a
table with natural repetitions would be judged more strictly than new rows from the same
source will be, which repeat the old ones as often. So a row that stands for several is
shared out as several: to hold out what was drawn, not what is distinct.
"""

import heapq
from typing import NamedTuple

import numpy as np

from skmdn._fit.rows import Rows

_MOST_UNITS = 10_000_000


def count_units(sample_weight):
    """How many equal rows every merged row stands for.

    Weights that are all multiples of the smallest are counts; others say nothing about
    repetitions, and every row is one.

    Returns
    -------
    counts : ndarray of shape (n_samples,), int
    """
    with np.errstate(over="ignore", invalid="ignore"):  # weights of all magnitudes
        multiples = sample_weight / sample_weight.min()
        counts = np.rint(multiples)
        is_counts = np.allclose(multiples, counts, rtol=1e-9, atol=0)
    if not is_counts or counts.sum() > _MOST_UNITS:
        return np.ones(len(sample_weight), dtype=int)
    return counts.astype(int)


def hold_out_folds(sample_weight, n_folds, rng):
    """Yield the held-out weights of every fold; each unit is held out once.

    Parameters
    ----------
    sample_weight : ndarray of shape (n_samples,)
    n_folds : int
    rng : numpy.random.RandomState
    """
    counts = count_units(sample_weight)
    owner = np.repeat(np.arange(len(counts)), counts)
    fold = rng.permutation(len(owner)) % n_folds
    for f in range(n_folds):
        yield _share(sample_weight, counts, owner[fold == f])


def hold_out_part(sample_weight, n_held_out, rng):
    """Held-out weights when `n_held_out` units are drawn without replacement."""
    counts = count_units(sample_weight)
    owner = np.repeat(np.arange(len(counts)), counts)
    n_held_out = min(n_held_out, len(owner) - 1)
    return _share(
        sample_weight, counts, owner[rng.permutation(len(owner))[:n_held_out]]
    )


def group_folds(sample_weight, groups, n_folds, rng):
    """Number of the fold of every row: folds of whole groups, as even as may be.

    As `sklearn.model_selection.GroupKFold` does: one after the other, from the largest
    on, groups go to the lightest fold. Those of the same size are shuffled.

    Parameters
    ----------
    sample_weight : ndarray of shape (n_samples,)
    groups : ndarray of shape (n_samples,), int
        From 0 on.
    n_folds : int
        No more than there are groups.
    rng : numpy.random.RandomState

    Returns
    -------
    fold : ndarray of shape (n_samples,), int
    """
    sizes = np.bincount(groups, weights=sample_weight)
    shuffled = rng.permutation(len(sizes))
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    fold = np.empty(len(sizes), dtype=int)
    totals = [(0.0, f) for f in range(n_folds)]
    for group in order:
        total, fold[group] = totals[0]
        heapq.heapreplace(totals, (total + sizes[group], fold[group]))
    return fold[groups]


def _share(sample_weight, counts, owners):
    held = np.bincount(owners, minlength=len(counts))
    return sample_weight * held / counts


class Split(NamedTuple):
    """Rows to train on, and rows that are held out."""

    training: Rows
    held_out: Rows


def divide(rows, held_out):
    """Split rows: what remains of their weights, and the weights that are held out.

    Parameters
    ----------
    rows : Rows
    held_out : ndarray of shape (n_samples,)
        Of every row's weight, from 0 to all of it.

    Returns
    -------
    split : Split
    """
    parts = []
    for weight in (rows.weight - held_out, held_out):
        # What should be nothing may differ from it by rounding.
        numbers = np.flatnonzero(weight > 1e-12 * rows.weight)
        parts.append(rows.take(numbers, weight[numbers]))
    return Split(*parts)
