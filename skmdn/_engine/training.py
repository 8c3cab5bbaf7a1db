# SPDX-License-Identifier: BSD-3-Clause
"""The course of a training, the same on every device: pure Python between the epochs.

A device runs the steps of an epoch and judges parameters; what it is told to do next is
decided here: the schedules, the best parameters, patience, rolling back, widening.
"""

import warnings
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skmdn._engine import streams
from skmdn._engine.job import Epoch, Trial
from skmdn._engine.widening import best_widening

BETA1, BETA2 = 0.9, 0.999  # of Adam
# Steps, of `_falling` and of `Course._endless`.
_RATE_HORIZON, _WARM_UP = 200.0, 100.0
# Greater: averages forget earlier parameters sooner (eta in `averaging_weight`).
_FORGETTING = 3.0


class Schedule(NamedTuple):
    """What changes from step to step of an epoch; arrays of length n_steps."""

    key: int  # of the order of the rows, see `skmdn._engine.streams`
    counts: np.ndarray  # rows of a step
    correction: np.ndarray  # learning rate with Adam's bias correction
    shrink: np.ndarray  # learning rate * alpha
    noise: np.ndarray  # standard deviation of the input noise
    seeds: np.ndarray  # of the input noise, uint32


class Course:
    """One training so far: an engine asks what is next and tells how it went.

    Parameters
    ----------
    job : Job

    Attributes
    ----------
    batches : ndarray of shape (n_steps + 1,), int64
        Where in the order of the rows the batches of an epoch begin, and the end.
    """

    def __init__(self, job):
        self.options, self.state, self._seed = job.options, job.state, job.seed
        n = len(job.training.X)
        # Even batches: no small last one.
        self.n_steps = -(-n // max(1, min(self.options.batch_size, n)))
        self.batches = np.arange(self.n_steps + 1) * n // self.n_steps
        self._counts = np.diff(self.batches)
        earlier, state = self.options.earlier, self.state
        self.best = (state.params if earlier is None else earlier[0]).copy()
        self.best_epoch, self.best_score = 0, None
        self.losses, self.scores = [], []
        self._is_validated = job.validation is not None
        self._rate_factor = 1.0
        if earlier is not None:
            self._rate_factor = _falling(state.n_steps + state.t)

    @property
    def largest_batch(self):
        """Rows of the largest step."""
        return int(self._counts.max())

    @property
    def rate(self):
        """The learning rate that the parts of `parts` are of."""
        return self.options.learning_rate_init * self._rate_factor

    def parts(self, n_epochs):
        """What the next steps have of the rate and the noise, (n_epochs, n_steps)."""
        steps = np.arange(n_epochs * self.n_steps).reshape(n_epochs, self.n_steps)
        if self.options.is_endless:
            return self._endless(self.state.t + 1 + steps)
        epochs = len(self.losses) + np.arange(n_epochs)[:, None]
        done = (epochs + steps[:1] / self.n_steps) / self.options.max_iter
        # Cosine to zero (Loshchilov & Hutter 2017, eq. 5), for the noise too.
        return 0.5 * (1 + np.cos(np.pi * np.minimum(done, 1.0)))

    def schedule(self):
        """Return the `Schedule` of the next epoch; its steps count as taken."""
        options, n_steps, epoch = self.options, self.n_steps, len(self.losses)
        key, (part,) = streams.epoch_key(self._seed, epoch), self.parts(1)
        rate = self.rate * part
        t = self.state.t + 1 + np.arange(n_steps)
        self.state.t += n_steps
        return Schedule(
            key,
            self._counts,
            rate * bias_correction(t),
            np.minimum(rate * options.alpha, 1.0),  # no part is more than all
            options.input_noise * part,
            streams.step_seeds(key, n_steps),
        )

    def _endless(self, t):
        """Part of the rate for step t of an optimiser, when no last step is known.

        A new optimiser knows nothing of the curvature: where it would spoil what is
        trained already, it starts slowly (Ma & Yarats 2021, On the Adequacy of Untuned
        Warmup).
        """
        n_steps = self.state.n_steps
        part = _falling(n_steps + t - 1)
        return part * np.minimum(1.0, t / _WARM_UP) if n_steps else part

    def close_epoch(self, loss, finite, score):
        """Take in how an epoch went.

        Parameters
        ----------
        loss : float
        finite : bool
            Whether every step was; else training is to go on from `best`, with moments
            of zero.
        score : float or None
            Of the validation rows.

        Returns
        -------
        is_best : bool
            Whether the parameters are to be copied to `best`.
        """
        if not finite:
            self._rate_factor /= 2
            score = self.best_score
        self.losses.append(loss)
        if self._is_validated:
            self.scores.append(score)
        if self._is_validated and not score > self.best_score:
            return False
        self.best_epoch, self.best_score = len(self.losses), score
        return True

    @property
    def is_over(self):
        """Whether another epoch would be of no use."""
        epoch, patience = len(self.losses), self.options.n_iter_no_change
        waited = epoch - self.best_epoch
        impatient = self._is_validated and patience and waited >= patience
        return epoch >= self.options.max_iter or bool(impatient)

    def trial(self, score, log_widening):
        """What came of it, with the score and the widening of the kept parameters."""
        curves = self.losses, self.scores
        return Trial(self.state, *curves, self.best_epoch, score, log_widening)


def follow(job, course, run):
    """Train until the last epoch, or until it is no use, or until somebody stops it.

    Parameters
    ----------
    job : Job
    course : Course
    run : the training on a device
        ``run.epoch(schedule)`` returns the mean loss and whether all steps were finite,
        ``run.score()`` the validation score (None without), ``run.judge(params)`` the
        log-densities of the validation rows under other parameters, with which it goes
        on, as after ``run.set_params(params)``.
    """
    state = job.state
    if job.validation is not None:
        # The start is a candidate too: training can make it worse.
        params = state.params.copy()
        run.judge(course.best)
        course.best_score = run.score()
        run.set_params(params)
    while not course.is_over:
        loss, finite = run.epoch(course.schedule())
        if not finite:
            # Roll back to the best parameters and go on with a smaller step.
            run.set_params(course.best)
            state.m[:], state.v[:] = 0, 0
        if course.close_epoch(loss, finite, run.score() if finite else None):
            course.best[:] = state.params
        epoch, scores = len(course.losses), course.scores
        score = scores[-1] if scores else None
        if job.on_epoch is not None and job.on_epoch(
            Epoch(epoch, loss, score, state.params)
        ):
            break


def finish(job, course, run, *, widen):
    """Return to the best parameters, widen their scales, and say how it went."""
    state, validation, network = job.state, job.validation, job.network
    if state.last is None:
        state.last = state.params.copy()
    run.set_params(course.best)
    score, log_widening = course.best_score, 0.0
    if validation is None:
        return course.trial(score, log_widening)
    if widen:
        start = state.params.copy()
        log_widening = best_widening(
            lambda log_factor: run.judge(network.widened(start, log_factor)),
            validation.Y,
            validation.sample_weight,
        )
        run.judge(network.widened(start, log_widening))
        score = run.score()
    if job.options.earlier is not None:
        # What an earlier training ended with is only replaced by what is better.
        params, (start, earlier) = state.params.copy(), job.options.earlier
        run.judge(network.widened(start, earlier))
        if run.score() >= score:
            score, log_widening = run.score(), earlier
        else:
            run.set_params(params)
    return course.trial(score, log_widening)


def warn_of_interruption():
    """Tell that a training ended early, by a signal."""
    warnings.warn(
        "Training was interrupted; the best parameters so far are kept.",
        ConvergenceWarning,
        stacklevel=2,
    )


def bias_correction(t):
    """Factor on the rate at step t of Adam (Kingma & Ba 2015, section 2)."""
    return np.sqrt(1 - BETA2**t) / (1 - BETA1**t)


def averaging_weight(n_steps, n_new):
    """Weight of new parameters in the average of all, the last `n_new` of `n_steps`.

    Polynomial-decay averaging (Shamir & Zhang 2013, Stochastic Gradient Descent for
    Non-smooth Optimization, section 4): the last part counts most, however long the
    whole.
    """
    return min(1.0, (_FORGETTING + 1) * n_new / (n_steps + _FORGETTING))


def _falling(n_steps):
    """Part of the rate after so many steps: of the root (Robbins & Monro 1951)."""
    return 1 / np.sqrt(1 + n_steps / _RATE_HORIZON)
