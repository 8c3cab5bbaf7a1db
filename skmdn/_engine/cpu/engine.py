# SPDX-License-Identifier: BSD-3-Clause
"""The engine of a CPU: many trainings in threads side by side, or one in several."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from skmdn._engine.cpu.data import as_training_rows
from skmdn._engine.cpu.run import Run
from skmdn._engine.cpu.team import new_stop
from skmdn._engine.training import Course, finish, follow, warn_of_interruption


class Engine:
    """Runs jobs on the cores of this machine.

    Parameters
    ----------
    n_jobs : int
        Threads; the result is the same bits for every number.
    """

    def __init__(self, n_jobs):
        self._n_jobs = n_jobs

    def run(self, jobs):
        """Yield the trials of all jobs, in their order.

        Whoever closes the generator, or interrupts it, ends all trainings.

        Parameters
        ----------
        jobs : list of Job

        Yields
        ------
        trial : Trial

        Raises
        ------
        KeyboardInterrupt
            Before the end of the first epoch, or without `Options.keep_interrupted`.
        """
        tables = _Tables(jobs)
        inner = max(1, self._n_jobs // max(1, len(jobs)))
        if self._n_jobs == 1 or len(jobs) < 2:
            for job in jobs:
                yield _fit(job, tables, inner)
            return
        stop = new_stop()
        executor = ThreadPoolExecutor(min(self._n_jobs, len(jobs)))
        try:
            futures = [executor.submit(_fit, job, tables, inner, stop) for job in jobs]
            for future in futures:
                yield future.result()
        finally:  # Also after an error, or when nobody asks for the others.
            stop[0] = 1
            executor.shutdown(cancel_futures=True)


class _Tables:
    """Training rows in the kernels' form: one copy for all jobs that share them."""

    def __init__(self, jobs):
        self._waiting = Counter(id(job.training) for job in jobs)
        self._lock, self._tables = threading.Lock(), {}

    def take(self, job):
        key, dtype = id(job.training), job.state.params.dtype
        with self._lock:
            if key not in self._tables:
                self._tables[key] = as_training_rows(job.training, dtype)
            rows = self._tables[key]
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._tables[key]
        return rows


def _fit(job, tables, n_jobs, stop=None):
    """Train one network; once `stop` is set, end in a KeyboardInterrupt."""
    course = Course(job)
    run = Run(job, course, tables.take(job), n_jobs, stop)
    try:
        with run.team:
            run.compile()
            follow(job, course, run)
            return finish(job, course, run, widen=job.options.widen)
    except KeyboardInterrupt:
        if not job.options.keep_interrupted or not course.losses:
            raise
    run.team.close()  # Again: another signal may have come while the threads ended.
    warn_of_interruption()
    job.state.last = course.best.copy()  # The last step may be half a step.
    run.team = run.new_team()
    with run.team:
        widen = job.options.widen and not run.is_long
        trial = finish(job, course, run, widen=widen)
    return trial._replace(interrupted=True)
