# SPDX-License-Identifier: BSD-3-Clause
"""Tables of the kernels of training: data, bins, schedules."""

import itertools
from typing import NamedTuple

import numpy as np

from skmdn._engine.limits import LARGEST_TRAINED
from skmdn._engine.training import bias_correction


class Tables(NamedTuple):
    """What the kernels of training take: flat arrays of a device."""

    networks: np.ndarray  # int32, see `skmdn._engine.cuda.layout`
    numbers: np.ndarray  # int64, of the trainings that go on
    settings: np.ndarray  # float32
    schedule: np.ndarray  # float32, parts of the rate and bias corrections, in pairs
    batches: np.ndarray  # int64, where in the order the batches of an epoch begin
    state: np.ndarray  # float32, parameters, moments, the best, and what kernels add
    curves: np.ndarray  # float32, (start and epochs, CURVE_SIZE) of each training
    x: np.ndarray  # float32, scaled inputs of all data
    y: np.ndarray  # float32, scaled targets, cut
    weights: np.ndarray  # float32, of mean 1
    bins: np.ndarray  # float32, slope, intercept, low, high of each bin
    bin_range: np.ndarray  # int32, first bin of each feature, and the end


class Schedules:
    """Parts of the rates, and bias corrections; trainings of one plan share them."""

    def __init__(self):
        self._parts, self._places, self._size = [], {}, 0

    def add(self, course, n_epochs):
        """Return where in the table the next epochs of a training begin."""
        options, state = course.options, course.state
        done = len(course.losses), state.t, state.n_steps
        key = (course.n_steps, options.max_iter, options.is_endless, done)
        if key not in self._places:
            part = course.parts(n_epochs).ravel()
            t = state.t + 1 + np.arange(part.size)
            pairs = np.column_stack([part, bias_correction(t)]).astype(np.float32)
            self._parts.append(pairs.ravel())
            self._places[key] = self._size
            self._size += pairs.size
        return self._places[key]

    def table(self):
        """Return the parts and corrections, in pairs."""
        return np.concatenate(self._parts)


class DataTables:
    """Data and bins of jobs as flat tables; what jobs share is there once."""

    def __init__(self, jobs):
        sets = {id(d): d for job in jobs for d in (job.training, job.validation)}
        sets.pop(id(None), None)
        columns = list(zip(*map(_as_flat, sets.values()), strict=True))
        starts = [starts_of(map(len, column)) for column in columns]
        self._rows_at = dict(zip(sets, zip(*starts, strict=True), strict=True))
        encodings = {id(job.encoding): job.encoding for job in jobs}
        bins, ranges, n_bins = [], [], 0
        for encoding in encodings.values():
            kinds = "slope", "intercept", "low", "high"
            values = [getattr(encoding, f"bin_{kind}") for kind in kinds]
            bins.append(np.column_stack(values).ravel())
            edges = np.arange(len(encoding.center) + 1)
            ranges.append(n_bins + np.searchsorted(encoding.bin_feature, edges))
            n_bins += len(encoding.bin_feature)
        starts = starts_of(map(len, ranges))
        self._bins_at = dict(zip(encodings, starts, strict=True))
        bins.append(np.zeros(4))  # No table is empty.
        self.tables = [
            *map(np.concatenate, columns),
            np.concatenate(bins).astype(np.float32),
            np.concatenate(ranges).astype(np.int32),
        ]

    def rows(self, data):
        """Where X, Y and the weights of data begin, and how many rows there are."""
        if data is None:
            return 0, 0, 0, 0
        return *self._rows_at[id(data)], len(data.X)

    def bins(self, encoding):
        """Where the ranges of the bins of each feature begin."""
        return self._bins_at[id(encoding)]


def _as_flat(data):
    """Inputs, targets (cut) and weights (of mean 1) as flat arrays of float32."""
    return (
        data.X.astype(np.float32).ravel(),
        np.clip(data.Y, -LARGEST_TRAINED, LARGEST_TRAINED).astype(np.float32).ravel(),
        (data.sample_weight / np.mean(data.sample_weight)).astype(np.float32),
    )


def starts_of(sizes):
    """Where each of the parts begins, once they are one after the other."""
    return [0, *itertools.accumulate(sizes)][:-1]
