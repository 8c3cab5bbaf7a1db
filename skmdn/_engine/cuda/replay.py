# SPDX-License-Identifier: BSD-3-Clause
"""A training on a device, as the host follows it.

The kernel takes the decisions between the epochs of a launch itself. The host learns
their losses and scores afterwards, replays them into the `Course`, which is the
authority, and checks that both have come to the same.
"""

from functools import cached_property

from skmdn._engine.cpu.data import as_training_rows
from skmdn._engine.cpu.run import Run
from skmdn._engine.job import Epoch
from skmdn._engine.training import Course, finish, warn_of_interruption


class Fit:
    """One training, number `i` of a group.

    Parameters
    ----------
    job : Job
    n_jobs : int
        Threads for what the host does.
    """

    def __init__(self, job, n_jobs):
        self.job, self.course = job, Course(job)
        self.trial = self.refusal = None  # one of them, in the end
        self._n_jobs, self._t = n_jobs, job.state.t
        self._start_score, self._curve, self._n_before = None, [], 0
        self._is_stopped = False  # by its callback

    @property
    def n_left(self):
        """Epochs that are left, at most."""
        return self.job.options.max_iter - len(self._curve)

    @property
    def may_end_early(self):
        """Whether there is something to keep after a Ctrl-C."""
        return self.job.options.keep_interrupted and bool(self._curve)

    @property
    def needs_params(self):
        """Whether somebody reads the parameters after every epoch."""
        on_epoch = self.job.on_epoch
        return on_epoch is not None and getattr(on_epoch, "reads_params", True)

    def mark(self):
        """Remember what is known before a launch."""
        self._n_before = len(self._curve)

    def take(self, group, i, n_epochs, epochs):
        """Replay a launch; if the training is over, set `trial`.

        Parameters
        ----------
        group : Group
        i : int
        n_epochs : int
            That were to run.
        epochs : list of (loss, finite, score)
            That did.
        """
        if not self._curve and self.job.validation is not None:
            self._start_score = self.course.best_score = group.start(i)
        self._curve += epochs
        for epoch in epochs:
            if self.course.is_over:
                raise self._disagreement()
            self._close(*epoch)
            if self.job.on_epoch is not None:
                self._tell(group, i)
        if len(epochs) < n_epochs and not self.course.is_over:
            raise self._disagreement()
        if self._is_stopped or self.course.is_over:
            self.trial = self._finish(group, i)
            group.stop(i)

    def recover(self, epochs):
        """Take in a launch of which, after a Ctrl-C, nobody knows what was taken."""
        self._curve[self._n_before :] = epochs

    def end_early(self, group, i):
        """Set `trial` after a Ctrl-C, which may have come at any line of `take`."""
        self.course = Course(self.job)
        self.course.best_score = self._start_score
        for epoch in self._curve:
            self._close(*epoch)
        warn_of_interruption()
        trial = self._finish(group, i, is_urgent=True)
        self.trial = trial._replace(interrupted=True)

    def _close(self, loss, finite, score):
        self.course.close_epoch(loss, finite, score if finite else None)
        self.job.state.t = self._t + len(self.course.losses) * self.course.n_steps

    def _tell(self, group, i):
        """Call the callback."""
        params, course = self.job.state.params, self.course
        if self.needs_params:
            params[:] = group.read(i)[0]
        score = course.scores[-1] if course.scores else None
        epoch = Epoch(len(course.losses), course.losses[-1], score, params)
        self._is_stopped |= bool(self.job.on_epoch(epoch))

    def _finish(self, group, i, *, is_urgent=False):
        job, course = self.job, self.course
        state = job.state
        state.params[:], state.m[:], state.v[:], course.best[:] = group.read(i)
        with _Judge(job, course, self._n_jobs) as judge:
            widen = job.options.widen and not (is_urgent and judge.is_long)
            return finish(job, course, judge, widen=widen)

    def _disagreement(self):
        return RuntimeError(
            "The GPU and the host do not agree when a training is over: the host says "
            f"{len(self.course.losses)} epochs, the GPU {len(self._curve)}. This is an "
            "error of skmdn; please report it."
        )


class _Judge:
    """What `finish` asks of a device, on the CPU.

    It evaluates the validation rows some twenty times, once a training and only for
    those that are widened or go on from an earlier one: single fits. It gives the bits
    that the engine of a CPU would give for the same parameters.
    """

    def __init__(self, job, course, n_jobs):
        self._job, self._course, self._n_jobs = job, course, n_jobs

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if "_run" in vars(self):
            self._run.team.__exit__(*error)

    @cached_property
    def _run(self):
        # In place of the training rows, which it does not look at.
        rows = as_training_rows(self._job.validation, self._job.state.params.dtype)
        return Run(self._job, self._course, rows, self._n_jobs)

    @property
    def is_long(self):
        return self._job.validation is not None and self._run.is_long

    def set_params(self, params):
        self._job.state.params[:] = params

    def judge(self, params):
        return self._run.judge(params)

    def score(self):
        return self._run.score()
