# SPDX-License-Identifier: BSD-3-Clause
"""Trainings of one variant on a device: their tables, launches, and what came out."""

import itertools
from typing import NamedTuple

import numpy as np

from skmdn._engine import streams
from skmdn._engine.cuda import layout as at
from skmdn._engine.cuda.large import LargeTables
from skmdn._engine.cuda.layout import lay_out
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


class Group:
    """Trainings of one variant, on a device.

    Parameters
    ----------
    jobs : list of Job
    courses : list of Course
        Of the jobs; what they say is what the next launch does.
    variant : Variant
        Of all jobs.
    device : object
        See `skmdn._engine.cuda.device`.
    """

    def __init__(self, jobs, courses, variant, device):
        self._jobs, self._courses, self._variant = jobs, courses, variant
        self._device = device
        self._numbers = [lay_out(job.network.layout, variant) for job in jobs]
        self._shared_bytes = max(numbers.shared_bytes for numbers in self._numbers)
        self._starts = [None] * len(jobs)
        self._stopped = [False] * len(jobs)
        self._launched = []
        data = _Data(jobs)
        parts = [numbers.network for numbers in self._numbers]
        self._network_at = _starts(map(len, parts))
        sizes = [self._state_size(i) for i in range(len(jobs))]
        self._state_at = _starts(sizes)
        self._row_at = [data.offsets(job) for job in jobs]
        self._bins_at = [data.bins_at[id(job.encoding)] for job in jobs]
        state = np.zeros(sum(sizes), dtype=np.float32)
        for i, (job, course) in enumerate(zip(jobs, courses, strict=True)):
            start = job.state
            own = state[self._state_at[i] :][: 4 * start.params.size]
            own[:] = np.concatenate([start.params, start.m, start.v, course.best])
        put = device.put
        batches = [course.batches for course in courses]
        self._batches_at = _starts(map(len, batches))
        self._networks, self._state = put(np.concatenate(parts)), put(state)
        self._batches = put(np.concatenate(batches))
        self._data = [put(table) for table in data.tables]
        if variant.is_large:
            size = _largest(jobs)
            sizes = at.N_PARTS * np.array([size, 4 * variant.stride, 2])
            self._large = [device.empty(n, np.float32) for n in sizes.tolist()]
        self._curves = self._snapshot = None

    def _state_size(self, i):
        held = self._jobs[i].validation
        n_held = 0 if held is None else len(held.X)
        size = self._numbers[i].state_size
        return size + (-(-n_held // 4) * 4 if self._variant.has_members else 0)

    def run(self, n_epochs):
        """Launch at most so many epochs of all trainings that are not over."""
        device, rows, settings, schedule = self._device, [], [], _Schedules()
        self._launched = [
            i
            for i, course in enumerate(self._courses)
            if not (self._stopped[i] or course.is_over)
        ]
        if not self._launched:
            return
        # The longest first: the last blocks to end are short ones.
        self._launched.sort(key=self._cost, reverse=True)
        self._snapshot = None
        size = (n_epochs + 1) * at.CURVE_SIZE
        for place, i in enumerate(self._launched):
            job, course = self._jobs[i], self._courses[i]
            row = np.zeros(at.N_NUMBERS, dtype=np.int64)
            row[[at.NETWORK, at.STATE, at.BINS]] = (
                self._network_at[i],
                self._state_at[i],
                self._bins_at[i],
            )
            row[[at.X, at.Y, at.WEIGHTS, at.N_ROWS]] = self._row_at[i][0]
            row[[at.X_HELD, at.Y_HELD, at.WEIGHTS_HELD, at.N_HELD]] = self._row_at[i][1]
            row[[at.N_LINES, at.N_COLUMNS]] = streams.rectangle(len(job.training.X))
            epoch = len(course.losses)
            left = job.options.max_iter - epoch
            row[[at.EPOCH, at.N_EPOCHS, at.BEST_EPOCH]] = epoch, left, course.best_epoch
            row[[at.N_STEPS, at.SEED]] = course.n_steps, job.seed
            is_validated = job.validation is not None
            row[at.PATIENCE] = (job.options.n_iter_no_change or 0) * is_validated
            row[at.IS_NEW] = is_validated and course.best_score is None
            row[at.SETTINGS] = len(settings)
            best = -np.inf if course.best_score is None else course.best_score
            options = job.options
            settings += [course.rate, options.alpha, options.input_noise, best]
            settings += (np.asarray(options.min_scale, np.float32) ** 2).tolist()
            row[at.SCHEDULE] = schedule.add(course, n_epochs)
            row[at.BATCHES] = self._batches_at[i]
            row[at.CURVE] = place * size
            rows.append(row)
        self._curves = device.put(
            np.full(len(self._launched) * size, -1.0, dtype=np.float32)
        )
        tables = Tables(
            self._networks,
            device.put(np.concatenate(rows)),
            device.put(np.array(settings, dtype=np.float32)),
            device.put(schedule.table()),
            self._batches,
            self._state,
            self._curves,
            *self._data,
        )
        variant, shared_bytes = self._variant, self._shared_bytes
        if not variant.is_large:
            device.launch(variant, "fit", len(rows), shared_bytes, tables, n_epochs)
            return
        # One after the other, each by a block of every multiprocessor, which has two.
        for row in rows:
            own = tables._replace(numbers=device.put(row))
            meeting = device.put(np.zeros(1, dtype=np.int64))
            own = LargeTables(*own, *self._large, meeting)
            n_blocks = min(max(1, device.n_blocks // 2), at.N_PARTS)
            device.launch(variant, "fit_large", n_blocks, shared_bytes, own, n_epochs)

    def _cost(self, i):
        job = self._jobs[i]
        return len(job.training.X) * job.network.layout.member_size

    def collect(self):
        """Wait; return the (loss, is finite, score) of each epoch, by training."""
        curves = [[] for _ in self._jobs]
        if not self._launched:
            return curves
        found = self._device.copy(self._curves)
        found = found.reshape(len(self._launched), -1, at.CURVE_SIZE)
        for i, curve in zip(self._launched, found, strict=True):
            if curve[0, at.N_SKIPPED] == 0:
                self._starts[i] = float(curve[0, at.SCORE])
            is_validated = self._jobs[i].validation is not None
            for loss, score, n_skipped in curve[1:].tolist():
                if n_skipped >= 0:
                    score = score if is_validated else None
                    curves[i].append((loss, n_skipped == 0, score))
        return curves

    def start(self, i):
        """Score of the parameters that training i was to improve on; after a launch."""
        return self._starts[i]

    def stop(self, i):
        """Leave training i out of the next launches."""
        self._stopped[i] = True

    def read(self, i):
        """Return params, m, v and the best parameters of training i, as they are."""
        n = self._jobs[i].network.layout.n_params
        if self._snapshot is None:
            self._snapshot = self._device.copy(self._state)
        return tuple(self._snapshot[self._state_at[i] :][: 4 * n].reshape(4, n))

    @staticmethod
    def n_bytes(jobs, variant):
        """Estimate the memory of a device that a group needs, in bytes."""
        data = {id(d): d for job in jobs for d in job[2:4] if d is not None}
        n = sum(d.X.size + d.Y.size + d.sample_weight.size for d in data.values())
        for job in jobs:
            held = 0 if job.validation is None else len(job.validation.X)
            n += lay_out(job.network.layout, variant).state_size + held
        if variant.is_large:
            n += at.N_PARTS * _largest(jobs)
        return 4 * n


def _largest(jobs):
    return max(job.network.layout.member_size for job in jobs)


class _Schedules:
    """Parts of the rates, and bias corrections; trainings of one plan share them."""

    def __init__(self):
        self._parts, self._places, self._size = [], {}, 0

    def add(self, course, n_epochs):
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
        return np.concatenate(self._parts)


class _Data:
    """Data and bins of jobs as flat tables; what jobs share is there once."""

    def __init__(self, jobs):
        sets = {id(d): d for job in jobs for d in (job.training, job.validation)}
        sets.pop(id(None), None)
        parts = [
            (
                data.X.ravel(),
                np.clip(data.Y, -LARGEST_TRAINED, LARGEST_TRAINED).ravel(),
                data.sample_weight / np.mean(data.sample_weight),
            )
            for data in sets.values()
        ]
        columns = list(zip(*parts, strict=True))
        starts = [_starts(map(len, column)) for column in columns]
        self._offsets = dict(zip(sets, zip(*starts, strict=True), strict=True))
        encodings = {id(job.encoding): job.encoding for job in jobs}
        self.bins_at, bins, ranges = {}, [], []
        n_bins = 0
        for key, encoding in encodings.items():
            self.bins_at[key] = sum(map(len, ranges))
            kinds = "slope", "intercept", "low", "high"
            values = [getattr(encoding, f"bin_{kind}") for kind in kinds]
            bins.append(np.column_stack(values).ravel())
            edges = np.arange(len(encoding.center) + 1)
            ranges.append(n_bins + np.searchsorted(encoding.bin_feature, edges))
            n_bins += len(encoding.bin_feature)
        bins.append(np.zeros(4))  # No table is empty.
        self.tables = [
            *(np.concatenate(column).astype(np.float32) for column in columns),
            np.concatenate(bins).astype(np.float32),
            np.concatenate(ranges).astype(np.int32),
        ]

    def offsets(self, job):
        """Where X, Y and the weights of training and held-out rows begin; how many."""
        nothing = (0, 0, 0, 0)
        held = job.validation
        return (
            (*self._offsets[id(job.training)], len(job.training.X)),
            nothing if held is None else (*self._offsets[id(held)], len(held.X)),
        )


def _starts(sizes):
    """Where each of the parts begins, once they are one after the other."""
    return [0, *itertools.accumulate(sizes)][:-1]
