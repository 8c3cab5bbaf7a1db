# SPDX-License-Identifier: BSD-3-Clause
"""Which rows every fold trains on, and which it holds out."""

import numpy as np
from sklearn.model_selection import check_cv

from skmdn._fit.holdout import (
    Split,
    count_units,
    divide,
    group_folds,
    hold_out_folds,
    hold_out_part,
)

# Below, every row is worth holding out in turn; above, one hold-out is precise enough.
_ROWS_FOR_FOLDS = 3000
_N_FOLDS = 5
_HELD_OUT = 0.1
_MOST_HELD_OUT = 20_000


def auto_splits(table, rng):
    """5 random folds, or one hold-out of many rows.

    Parameters
    ----------
    table : MergedTable
    rng : numpy.random.RandomState

    Returns
    -------
    splits : list of Split
    """
    rows, groups, weight = table.rows, table.groups, table.rows.weight
    n = count_units(weight).sum()
    is_many = n >= _ROWS_FOR_FOLDS
    size = min(_MOST_HELD_OUT, round(_HELD_OUT * n))
    if groups is None and is_many:
        return [divide(rows, hold_out_part(weight, size, rng))]
    if groups is None:
        folds = hold_out_folds(weight, min(_N_FOLDS, n), rng)
        return [divide(rows, held_out) for held_out in folds]
    n_folds = min(round(n / size) if is_many else _N_FOLDS, groups.max() + 1)
    fold = group_folds(weight, groups, n_folds, rng)
    kept = range(n_folds)
    if is_many:  # The fold that is nearest to a hold-out; groups may be large.
        share = np.bincount(fold, weights=weight) / weight.sum()
        kept = [np.argmin(np.abs(share - size / n))]
    return [divide(rows, np.where(fold == f, weight, 0.0)) for f in kept]


def given_splits(cv, rows, groups):
    """Splits that the user asked for; equal training rows are merged.

    Parameters
    ----------
    cv : int, splitter or iterable
    rows : Rows
    groups : array-like or None
        For the splitter.

    Returns
    -------
    splits : list of Split

    Raises
    ------
    ValueError
        If `cv` gives what are not rows, or no rows.
    """
    pairs = check_cv(cv, rows.y, classifier=False).split(rows.X, rows.y, groups)
    found = []
    for pair in pairs:
        inside, outside = (_row_numbers(part, rows.weight) for part in pair)
        found.append(Split(rows.take(inside).merged(), rows.take(outside)))
    return found


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
