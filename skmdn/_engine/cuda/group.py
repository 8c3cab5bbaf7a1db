# SPDX-License-Identifier: BSD-3-Clause
"""Trainings of one variant on a device: their tables, launches, and what came out."""

import numpy as np

from skmdn._engine import streams
from skmdn._engine.cuda import layout as at
from skmdn._engine.cuda.large import LargeTables
from skmdn._engine.cuda.layout import lay_out
from skmdn._engine.cuda.tables import DataTables, Schedules, Tables, starts_of


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
        self._starts = [None] * len(jobs)
        self._stopped = [False] * len(jobs)
        self._launched, self._curves, self._snapshot = [], None, None
        networks = [lay_out(job.network.layout, variant) for job in jobs]
        self._shared_bytes = max(numbers.shared_bytes for numbers in networks)
        sizes = [
            numbers.state_size + _evidence_size(job, variant)
            for numbers, job in zip(networks, jobs, strict=True)
        ]
        self._state_at = starts_of(sizes)
        parts = {
            at.NETWORK: [numbers.network for numbers in networks],
            at.SETTINGS: [_settings(job.options) for job in jobs],
            at.BATCHES: [course.batches for course in courses],
        }
        data = DataTables(jobs)
        self._numbers = np.zeros((len(jobs), at.N_NUMBERS), dtype=np.int64)
        self._numbers[:, at.STATE] = self._state_at
        for name, arrays in parts.items():
            self._numbers[:, name] = starts_of(map(len, arrays))
        for numbers, job, course in zip(self._numbers, jobs, courses, strict=True):
            _fill(numbers, job, course, data)
        tables = [np.concatenate(arrays) for arrays in parts.values()]
        self._networks, self._batches = device.put(tables[0]), device.put(tables[2])
        self._settings = tables[1].astype(np.float32)
        self._state = device.put(self._first_state(sum(sizes)))
        self._data = [device.put(table) for table in data.tables]
        if variant.is_large:
            size = _largest(jobs)
            sizes = at.N_PARTS * np.array([size, 4 * variant.stride, 2])
            self._large = [device.empty(n, np.float32) for n in sizes.tolist()]

    def _first_state(self, size):
        state = np.zeros(size, dtype=np.float32)
        for start, job, course in zip(
            self._state_at, self._jobs, self._courses, strict=True
        ):
            own = job.state
            values = np.concatenate([own.params, own.m, own.v, course.best])
            state[start : start + len(values)] = values
        return state

    def run(self, n_epochs):
        """Launch at most so many epochs of all trainings that are not over."""
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
        schedules, settings = Schedules(), self._settings.copy()
        size = (n_epochs + 1) * at.CURVE_SIZE
        numbers = self._numbers[self._launched]
        for place, (i, row) in enumerate(zip(self._launched, numbers, strict=True)):
            course = self._courses[i]
            epoch, score = len(course.losses), course.best_score
            row[[at.EPOCH, at.BEST_EPOCH]] = epoch, course.best_epoch
            row[at.N_EPOCHS] = course.options.max_iter - epoch
            row[at.IS_NEW] = self._jobs[i].validation is not None and score is None
            row[at.SCHEDULE] = schedules.add(course, n_epochs)
            row[at.CURVE] = place * size
            own = settings[row[at.SETTINGS] :]
            own[at.RATE] = course.rate
            own[at.BEST_SCORE] = -np.inf if score is None else score
        put = self._device.put
        self._curves = put(np.full(len(numbers) * size, -1.0, dtype=np.float32))
        tables = Tables(
            self._networks, put(numbers.ravel()), put(settings),
            put(schedules.table()), self._batches, self._state, self._curves,
            *self._data,
        )  # fmt: skip
        self._launch(numbers, tables, n_epochs)

    def _launch(self, numbers, tables, n_epochs):
        device, variant, shared = self._device, self._variant, self._shared_bytes
        if not variant.is_large:
            device.launch(variant, "fit", len(numbers), shared, tables, n_epochs)
            return
        # One after the other, each by a block of every multiprocessor, which has two.
        for row in numbers:
            own = tables._replace(numbers=device.put(row))
            meeting = device.put(np.zeros(1, dtype=np.int64))
            own = LargeTables(*own, *self._large, meeting)
            n_blocks = min(max(1, device.n_blocks // 2), at.N_PARTS)
            device.launch(variant, "fit_large", n_blocks, shared, own, n_epochs)

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
            n += lay_out(job.network.layout, variant).state_size
            n += _evidence_size(job, variant)
        if variant.is_large:
            n += at.N_PARTS * _largest(jobs)
        return 4 * n


def _largest(jobs):
    return max(job.network.layout.member_size for job in jobs)


def _evidence_size(job, variant):
    """Numbers for log-likelihoods of the held-out rows under the members."""
    if job.validation is None or not variant.has_members:
        return 0
    return -(-len(job.validation.X) // 4) * 4


def _settings(options):
    """Return the settings, but for those that change from launch to launch."""
    settings = np.zeros(at.MIN_SQUARE)
    settings[[at.DECAY, at.NOISE]] = options.alpha, options.input_noise
    squares = np.asarray(options.min_scale, dtype=np.float32) ** 2
    return np.concatenate([settings, squares])


def _fill(numbers, job, course, data):
    """Set what launches do not change of the numbers of a training."""
    numbers[at.BINS] = data.bins(job.encoding)
    numbers[[at.X, at.Y, at.WEIGHTS, at.N_ROWS]] = data.rows(job.training)
    held_out = [at.X_HELD, at.Y_HELD, at.WEIGHTS_HELD, at.N_HELD]
    numbers[held_out] = data.rows(job.validation)
    numbers[[at.N_LINES, at.N_COLUMNS]] = streams.rectangle(len(job.training.X))
    numbers[[at.N_STEPS, at.SEED]] = course.n_steps, job.seed
    if job.validation is not None:
        numbers[at.PATIENCE] = job.options.n_iter_no_change or 0
