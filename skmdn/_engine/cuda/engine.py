# SPDX-License-Identifier: BSD-3-Clause
"""The engine of a GPU: trainings of one kind in one launch, all kinds side by side."""

from collections import deque
from time import perf_counter

from skmdn._engine.cuda.device import OutOfMemory, ran_out, too_large
from skmdn._engine.cuda.group import Group
from skmdn._engine.cuda.layout import variant_of
from skmdn._engine.cuda.replay import Fit

# Seconds that a round of launches may take: for as long have Ctrl-C, the progress bar
# and who closes the generator to wait.
_LONGEST = 0.3


class Engine:
    """Runs jobs on a device: all of them at once, or as many as it has memory for.

    Parameters
    ----------
    device : Device
    n_jobs : int
        Threads for what the host does: it judges single fits once they have ended.
    fallback : engine or None, default=None
        Runs the jobs that are not possible on the device.
    """

    def __init__(self, device, n_jobs, fallback=None):
        self._device, self._n_jobs, self._fallback = device, n_jobs, fallback

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
        ValueError
            If a job is not possible on the device and there is no `fallback`.
        """
        fits = [Fit(job, self._n_jobs) for job in jobs]
        rounds = _Rounds(fits, self._device)
        for fit in fits:
            while fit.trial is None:
                if fit.refusal is None:
                    rounds.next()
                elif self._fallback is None:
                    raise fit.refusal
                else:
                    (fit.trial,) = self._fallback.run([fit.job])
            yield fit.trial


class _Rounds:
    """All trainings go on by some epochs in every round.

    Parameters
    ----------
    fits : list of Fit
    device : Device
    """

    def __init__(self, fits, device):
        self._fits, self._device = fits, device
        self._running = []  # pairs of a group and its fits
        self._n_epochs = 1  # of the next round
        self._is_launched = False  # a round whose outcome is not known yet
        self._is_roomier = True  # than when there was no more room
        kinds = {}
        for fit in fits:
            try:
                kinds.setdefault(variant_of(fit.job, device), []).append(fit)
            except ValueError as error:
                fit.refusal = error
        self._waiting = deque(kinds.items())

    def next(self):
        """Run a round; a Ctrl-C ends all trainings, where they may end so."""
        try:
            if self._is_roomier:
                self._admit()
            self._run()
        except KeyboardInterrupt:
            if not all(fit.trial or fit.may_end_early for fit in self._fits):
                raise
            self._end_early()
        except OutOfMemory as error:
            raise ran_out(error) from error

    def _admit(self):
        """Move what waits to the device, as far as there is memory."""
        while self._waiting:
            variant, fits = self._waiting.popleft()
            jobs, courses = zip(*((fit.job, fit.course) for fit in fits), strict=True)
            needed, free = Group.n_bytes(jobs, variant), self._device.free_bytes()
            try:
                if needed > free:
                    raise OutOfMemory(f"{needed} bytes are needed, {free} are free")
                group = Group(jobs, courses, variant, self._device)
            except OutOfMemory:
                if self._running:
                    self._waiting.appendleft((variant, fits))
                    break  # until others have ended
                if len(fits) == 1:
                    fits[0].refusal = too_large(needed, free)
                    continue
                half = len(fits) // 2
                self._waiting.extendleft(
                    [(variant, fits[half:]), (variant, fits[:half])]
                )
            else:
                self._running.append((group, fits))
        self._is_roomier = False

    def _run(self):
        """Let all train for some epochs, and learn how it went."""
        live = [fit for _, fits in self._running for fit in fits if not fit.trial]
        n_epochs = min(self._n_epochs, max((fit.n_left for fit in live), default=1))
        if any(fit.needs_params for fit in live):
            n_epochs = 1
        start = perf_counter()
        for fit in live:
            fit.mark()
        for group, _ in self._running:
            group.run(n_epochs)
        self._is_launched = True
        for group, fits in self._running:
            for i, epochs in enumerate(group.collect()):
                if not fits[i].trial:
                    fits[i].take(group, i, n_epochs, epochs)
        self._is_launched = False
        still = [pair for pair in self._running if not all(f.trial for f in pair[1])]
        self._is_roomier = len(still) < len(self._running)
        self._running = still
        # The first round compiles too; the next is as short, and tells more.
        elapsed = perf_counter() - start
        self._n_epochs = max(1, int(n_epochs * _LONGEST / elapsed))

    def _end_early(self):
        """Keep what the trainings have reached."""
        self._device.wait()
        for group, fits in self._running:
            if self._is_launched:
                for fit, epochs in zip(fits, group.collect(), strict=True):
                    fit.recover(epochs)
            for i, fit in enumerate(fits):
                if not fit.trial:
                    fit.end_early(group, i)
