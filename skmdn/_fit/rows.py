# SPDX-License-Identifier: BSD-3-Clause
"""Rows of data, wherever they come from; equal rows merged into one.

A weight of two and a repeated row are the same data: bit for bit the same fit.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_array, check_consistent_length


@dataclass(frozen=True)
class Rows:
    """Rows in the units of the user.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
    Y : ndarray of shape (n_samples, n_outputs)
    weight : ndarray of shape (n_samples,)
    observed : ndarray of shape (n_samples, n_outputs), bool
        Which targets are known.
    numbers : ndarray of shape (n_samples,), int
        Where they stand in the table that they were taken from.
    """

    X: np.ndarray
    Y: np.ndarray
    weight: np.ndarray
    observed: np.ndarray
    numbers: np.ndarray

    @classmethod
    def of(cls, X, Y, weight):
        """Return the rows of a table."""
        return cls(X, Y, weight, np.isfinite(Y), np.arange(len(X)))

    def __len__(self):
        return len(self.X)

    @property
    def y(self):
        """Targets as distributions take them: (n_samples,) for one output."""
        return self.Y[:, 0] if self.Y.shape[1] == 1 else self.Y

    def take(self, numbers, weight=None):
        """Some of the rows, with other weights if any are given."""
        parts = (self.X, self.Y, self.weight, self.observed)
        X, Y, own, observed = (part[numbers] for part in parts)
        weight = own if weight is None else weight
        return Rows(X, Y, weight, observed, self.numbers[numbers])

    def with_relative_weights(self):
        """The same rows in another unit of weights."""
        return self.take(slice(None), _relative(self.weight))

    def merged(self):
        """Return the distinct rows, see `merge_duplicates`."""
        return Rows.of(*merge_duplicates(self.X, self.Y, self.weight))


class MergedTable(NamedTuple):
    """Merged rows, and where the rows that they were made of stand among them."""

    rows: Rows
    groups: np.ndarray | None  # of every merged row: int, from 0 on
    numbers: np.ndarray  # of the original rows; -1 for those without weight

    @classmethod
    def of(cls, rows, groups):
        """Merge equal rows of the same group.

        Raises
        ------
        ValueError
            If `groups` do not name at least two groups, one for each row.
        """
        columns = rows.X
        if groups is not None:
            groups = check_array(
                groups, input_name="groups", ensure_2d=False, dtype=None
            )
            check_consistent_length(columns, groups)
            names, codes = np.unique(groups, return_inverse=True)
            if len(np.unique(codes[rows.weight > 0])) < 2:
                raise ValueError(
                    f"groups must name at least 2 groups of positive weight, got "
                    f"{names[:2]}."
                )
            columns = np.column_stack([columns, codes])
        X, Y, weight = merge_duplicates(columns, rows.Y, rows.weight)
        numbers = row_numbers(columns, rows.Y, X, Y)
        if groups is None:
            return cls(Rows.of(X, Y, weight), None, numbers)
        # Some groups may have no weight.
        codes = np.unique(X[:, -1], return_inverse=True)[1]
        return cls(Rows.of(X[:, :-1].copy(), Y, weight), codes, numbers)

    def copies(self, part):
        """How many original rows every one of a part of the merged rows stands for."""
        numbers = self.numbers[self.numbers >= 0]
        counts = np.bincount(numbers, minlength=len(self.rows))[part.numbers]
        share = part.weight / self.rows.weight[part.numbers]
        return np.maximum(1, np.rint(counts * share)).astype(int)


def _relative(sample_weight):
    """Weights below 1, which cannot overflow; a power of two changes no bits."""
    return np.ldexp(sample_weight, -np.frexp(sample_weight.max())[1])


def merge_duplicates(X, Y, sample_weight):
    """Merge equal rows, drop those without weight, order the rest by their content.

    The order in which rows came, and whether a row came twice or with twice the weight,
    have no influence on what is returned, bit for bit. The order follows a hash of the
    inputs, so it looks random; moving or scaling the targets does not change it.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    Y : ndarray of shape (n_samples, n_outputs)
    sample_weight : ndarray of shape (n_samples,), not negative, not all zero

    Returns
    -------
    X, Y, sample_weight : ndarray
        The distinct rows; the mean of their weights is 1.
    """
    # Adding zero makes -0.0 equal to 0.0 in its bits too.
    X, Y = X + 0.0, Y + 0.0
    weight = _relative(sample_weight)
    hashes = _hash_rows(X)
    order = np.lexsort((weight, *Y.T[::-1], hashes))
    # No sum of float64 numbers can see a row of less weight.
    order = order[weight[order] > np.finfo(float).eps * weight.max()]
    X, Y, weight, hashes = X[order], Y[order], weight[order], hashes[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = hashes[1:] != hashes[:-1]
    same = np.flatnonzero(~new)
    new[same] = np.any(X[same] != X[same - 1], axis=1)
    new[same] |= np.any(Y[same] != Y[same - 1], axis=1)
    first = np.flatnonzero(new)
    weight = np.add.reduceat(weight, first)
    return X[first], Y[first], weight * (len(weight) / weight.sum())


def row_numbers(X, Y, distinct_X, distinct_Y):
    """Where rows stand among the distinct rows; -1 for those that are not there.

    Returns
    -------
    numbers : ndarray of shape (n_samples,), int
    """
    hashes, distinct = (
        _hash_rows(np.column_stack(table) + 0.0)
        for table in ((X, Y), (distinct_X, distinct_Y))
    )
    order = np.argsort(distinct)
    place = np.searchsorted(distinct[order], hashes)
    numbers = order[np.minimum(place, len(order) - 1)]
    return np.where(distinct[numbers] == hashes, numbers, -1)


def _hash_rows(X):
    """Hash the bits of every row to 64 bits (the finaliser of SplitMix64)."""
    hashes = np.zeros(len(X), dtype=np.uint64)
    for column in X.T:
        hashes += column.view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(30)
        hashes *= np.uint64(0xBF58476D1CE4E5B9)
        hashes ^= hashes >> np.uint64(27)
        hashes *= np.uint64(0x94D049BB133111EB)
        hashes ^= hashes >> np.uint64(31)
    return hashes
