# SPDX-License-Identifier: BSD-3-Clause
"""Which rows calibrate: a row of weight 2 is two equal rows, also where rows are drawn.

Rows are numbered by their content, so neither their order nor whether a row came twice
or with twice the weight changes what is held out. Inputs may be of any kind that a
pipeline takes: arrays, data frames, sparse matrices, lists of texts.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import sparse

from skmdn._fit.holdout import count_units, hold_out_part


class Shares(NamedTuple):
    """What is held out of the rows.

    Attributes
    ----------
    number : ndarray of shape (n_samples,), int
        Which distinct row each row is.
    first : ndarray of shape (n_distinct,), int
        Where each distinct row stands first.
    held_out : ndarray of shape (n_distinct,)
        Which part of its weight is held out.
    weight : ndarray of shape (n_distinct,)
        The weight that is held out.
    unit : float
        Weight of one row; where weights are no counts, the greatest.
    n_rows : int
        How many rows are held out, counted as the weights count them.
    """

    number: np.ndarray
    first: np.ndarray
    held_out: np.ndarray
    weight: np.ndarray
    unit: float
    n_rows: int


def hold_out(X, y, weight, fraction, rng):
    """Draw the rows that calibrate; a `fraction` of 1 takes all.

    Raises
    ------
    ValueError
        If there is a single row, of which none is left to fit to.
    """
    number, first = number_rows(X, y)
    total = np.bincount(number, weights=weight)
    used = np.flatnonzero(total > 0)
    counts = count_units(total[used])
    n_rows, held_out = counts.sum(), np.zeros(len(total))
    if fraction == 1:
        held_out[used] = 1
    elif n_rows == 1:
        raise ValueError("1 sample (n_samples=1) cannot be split to calibrate.")
    else:
        n_held_out = math.ceil(fraction * n_rows)
        held_out[used] = hold_out_part(total[used], n_held_out, rng) / total[used]
    unit = (total[used] / counts).max()
    n_rows = round(counts @ held_out[used])
    return Shares(number, first, held_out, total * held_out, unit, n_rows)


def rows_to_fit(shares):
    """Rows to fit to without weights: as many of equal ones as are not held out."""
    order = np.argsort(shares.number, kind="stable")
    counts = np.bincount(shares.number)
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.flatnonzero(rank >= np.rint(shares.held_out * counts)[shares.number])


def weights_to_fit(shares, weight):
    """Rows to fit to, and what is left of their weights."""
    left = weight - weight * shares.held_out[shares.number]
    # What should be nothing may differ from it by rounding.
    rows = np.flatnonzero(left > 1e-12 * weight)
    return rows, left[rows]


def number_rows(X, y):
    """Number rows by their content, equal ones alike, in the order of targets first.

    Returns
    -------
    number : ndarray of shape (n_samples,), int
    first : ndarray of shape (n_distinct,), int
        Where each distinct row stands first.
    """
    found, first, number = np.unique(y, return_index=True, return_inverse=True)
    for column in _columns(X):
        if len(found) == len(y):
            break
        code = np.unique(column, return_inverse=True)[1]
        number = number * (code.max() + 1) + code
        found, first, number = np.unique(number, return_index=True, return_inverse=True)
    return number, first


def _columns(X):
    if sparse.issparse(X):
        X = X.tocsr(copy=True)
        X.sum_duplicates()
        ends = zip(X.indptr[:-1], X.indptr[1:], strict=True)
        rows = [(X.indices[a:b].tobytes(), X.data[a:b].tobytes()) for a, b in ends]
        yield np.array([repr(row) for row in rows])
        return
    if hasattr(X, "columns"):
        columns = (np.asarray(X[name]) for name in X.columns)
    else:
        X = np.asarray(X)
        columns = X.reshape(len(X), -1).T
    for column in columns:
        yield column.astype(str) if column.dtype.kind == "O" else column
