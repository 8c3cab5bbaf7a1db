# SPDX-License-Identifier: BSD-3-Clause
"""Data as the kernels take it: rows with a dummy, bins of the inputs."""

import numpy as np

from skmdn._engine.cpu.dense import Bins
from skmdn._engine.cpu.epoch import Rows
from skmdn._engine.cpu.plan import BLOCK
from skmdn._engine.limits import LARGEST_TRAINED


def as_bins(encoding, dtype):
    """Copy the arrays of the input encoding that kernels need, as `dtype`.

    Copies, because kernels are compiled again for arrays that are not theirs to write
    (from a mapped file).
    """
    kinds = (
        encoding.bin_slope,
        encoding.bin_intercept,
        encoding.bin_low,
        encoding.bin_high,
    )
    return Bins(
        np.array(encoding.bin_feature, dtype=np.int64),
        *(np.array(values, dtype=dtype) for values in kinds),
    )


def as_rows(X, Y, sample_weight, dtype):
    """Copy data as `dtype`, with the dummy row that fills up blocks."""
    tables = [
        np.zeros((len(X) + 1, *values.shape[1:]), dtype=dtype)
        for values in (X, Y, sample_weight)
    ]
    for table, values in zip(tables, (X, Y, sample_weight), strict=True):
        table[:-1] = values
    order = np.full(-(-len(X) // BLOCK) * BLOCK, len(X), dtype=np.int64)
    order[: len(X)] = np.arange(len(X))
    return Rows(*tables, order)


def as_training_rows(data, dtype):
    """Rows to train on or to judge by: targets cut, weights of mean 1."""
    if data is None:
        return None
    Y = np.clip(data.Y, -LARGEST_TRAINED, LARGEST_TRAINED)
    weight = data.sample_weight / np.mean(data.sample_weight)
    return as_rows(data.X, Y, weight, dtype)
