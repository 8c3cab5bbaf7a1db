# SPDX-License-Identifier: BSD-3-Clause
"""A device with memory and no kernels, and a group that the CPU's engine trains.

It is a `Group` to the engine of a GPU, which is tested with it: in rounds, out of
memory, interrupted.
"""

import copy
from weakref import WeakSet

from skmdn._engine.cpu.data import as_training_rows
from skmdn._engine.cpu.run import Run
from skmdn._engine.cuda.device import OutOfMemory
from skmdn._engine.training import Course

N_BYTES = 100  # of every training


class StandIn:
    """A device of so many bytes."""

    def __init__(self, n_bytes=10**9):
        self.n_bytes, self.shared_bytes, self.n_blocks = n_bytes, 10**5, 4
        self.groups, self.log = WeakSet(), []

    def free_bytes(self):
        return self.n_bytes - N_BYTES * sum(len(group.models) for group in self.groups)

    def wait(self):
        pass


class Group:
    """Trains what it is given, one after the other."""

    def __init__(self, jobs, courses, variant, device):
        if device.free_bytes() < N_BYTES * len(jobs):
            raise OutOfMemory
        self.models = [*map(Model, jobs, courses)]
        self.variant, self.device = variant, device
        device.groups.add(self)

    @staticmethod
    def n_bytes(jobs, variant):
        return N_BYTES * len(jobs)

    def run(self, n_epochs):
        self.device.log.append((self.variant, len(self.models), n_epochs))
        for model in self.models:
            model.run(n_epochs)

    def stop(self, i):
        self.models[i].is_stopped = True

    def collect(self):
        return [list(model.chunk) for model in self.models]

    def start(self, i):
        return self.models[i].start

    def read(self, i):
        model = self.models[i]
        state = model.job.state
        return state.params, state.m, state.v, model.course.best


class Model:
    """A training by the steps of `skmdn._engine.training.follow`."""

    def __init__(self, job, course):
        state = copy.deepcopy(job.state)
        self.job = job = job._replace(state=state, on_epoch=None)
        self.course, self.chunk, self.start = Course(job), [], None
        self.course.best[:], self.is_stopped = course.best, False
        rows = as_training_rows(job.training, state.params.dtype)
        self._run = Run(job, self.course, rows, 1)
        if job.validation is not None:
            params = state.params.copy()
            self._run.judge(self.course.best)
            self.start = self.course.best_score = self._run.score()
            self._run.set_params(params)

    def run(self, n_epochs):
        self.chunk, course, state = [], self.course, self.job.state
        if self.is_stopped:
            return
        while len(self.chunk) < n_epochs and not course.is_over:
            loss, finite = self._run.epoch(course.schedule())
            if not finite:
                self._run.set_params(course.best)
                state.m[:], state.v[:] = 0, 0
            score = self._run.score()
            self.chunk.append((loss, finite, score))
            if course.close_epoch(loss, finite, score if finite else None):
                course.best[:] = state.params
