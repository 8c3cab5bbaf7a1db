# SPDX-License-Identifier: BSD-3-Clause
"""The fit loop: shuffled batches, schedules, early stopping, callbacks.

One compiled call a thread and epoch; everything else happens between epochs.
"""

import threading
import warnings
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from scipy.stats import cauchy
from sklearn.exceptions import ConvergenceWarning

from skmdn._engine.activations import ACTIVATIONS
from skmdn._engine.cpu.epoch import Buffers, Parameters, Steps, make_train_epoch
from skmdn._engine.cpu.optimiser import CHUNK
from skmdn._engine.cpu.plan import BLOCK, n_groups
from skmdn._engine.cpu.team import CAN_YIELD, Team
from skmdn._engine.network import as_bins, as_rows
from skmdn._jit.memory import aligned

_CLIP_NORM = 1.0  # bound of a member's gradient norm
_BETA1, _BETA2 = 0.9, 0.999
# Targets beyond this many scales say no more about the body of the distribution, and
# their squares would leave float32.
_LARGEST_TARGET = 1e5
# Scales are not multiplied by more than this afterwards. One held-out row in 200 may be
# an outlier that says nothing about them.
_MOST_WIDENED, _OUTLIERS = 4.0, 0.005
# p of `_Fit.widen`, by the log-likelihood of fresh rows: for 20 to 2000 training rows
# it mostly gains 0.01 to 0.1 nats, and 90 % intervals cover 90 % in place of 87 %.
_CHOSEN = 15.0
# Operations, some hundredths of a second: the main thread only waits for what may take
# longer, so that it sees signals. Handing over costs about 0.00005 s.
_LONG = 1e9
# Steps, of `_falling` and of `_Fit._endless`.
_RATE_HORIZON, _WARM_UP = 200.0, 100.0
# Greater: averages forget earlier parameters sooner (eta in `averaging_weight`).
_FORGETTING = 3.0


class Data(NamedTuple):
    """Scaled rows: X (n, n_features), Y (n, n_outputs), sample_weight (n,)."""

    X: np.ndarray
    Y: np.ndarray
    sample_weight: np.ndarray


class Options(NamedTuple):
    """How to train; `min_scale` (n_scales,) is in units of the scaled targets."""

    learning_rate_init: float
    batch_size: int
    max_iter: int
    alpha: float
    input_noise: float
    min_scale: np.ndarray
    n_iter_no_change: int | None = None
    n_jobs: int = 1
    is_endless: bool = False  # partial_fit: the last epoch is not known
    widen: bool = False  # multiply the scales by what held-out rows ask for
    keep_interrupted: bool = False  # Ctrl-C ends training and not the program
    earlier: tuple | None = None  # parameters and log_widening of an earlier training


class State:
    """Parameters and optimiser state, carried from call to call."""

    def __init__(self, params, m, v, t, n_steps=0):
        self.params, self.m, self.v, self.t = params, m, v, t
        self.n_steps = n_steps  # taken before m and v began
        self.last = None  # parameters after the last step, where `params` are the best

    def optimizer(self):
        """Take apart what training can go on with."""
        return {"params": self.last, "m": self.m, "v": self.v, "t": self.t}

    @classmethod
    def start(cls, params):
        """Return the state before the first step."""
        zeros = (aligned(params.size, params.dtype) for _ in range(2))
        return cls(params, *zeros, 0)


def averaging_weight(n_steps, n_new):
    """Weight of new parameters in the average of all, the last `n_new` of `n_steps`.

    Polynomial-decay averaging (Shamir & Zhang 2013, Stochastic Gradient Descent for
    Non-smooth Optimization, section 4): the last part counts most, however long the
    whole.
    """
    return min(1.0, (_FORGETTING + 1) * n_new / (n_steps + _FORGETTING))


class Epoch(NamedTuple):
    """What a callback learns; copy `params` to keep them."""

    epoch: int
    loss: float
    validation_score: float | None
    params: np.ndarray


class History(NamedTuple):
    """Course of a training, in units of the scaled targets."""

    loss_curve: list
    validation_scores: list
    best_epoch: int  # 0: the start
    best_score: float | None  # of the validation rows, under the kept parameters
    log_widening: float  # logarithm of what all scales were multiplied by afterwards
    interrupted: bool = False


class _Course:
    """A training so far; `best` holds the best parameters."""

    def __init__(self, params):
        self.losses, self.scores = [], []
        self.best, self.best_epoch, self.best_score = params.copy(), 0, None


class _Fit:
    """The compiled view of one fit: data, buffers and kernels."""

    def __init__(self, network, view, data, validation, options, state, stop=None):
        self.network, self.options, self.state = network, options, state
        self.dtype = dtype = state.params.dtype
        self.plan = plan = network.plan
        self.bins = as_bins(view, dtype)
        self.floor = np.asarray(options.min_scale, dtype=dtype) ** 2
        self.rows = _as_rows(data, dtype)
        nothing = Data(*(part[:0] for part in data))
        self.validation = _as_rows(validation or nothing, dtype)
        self.n = len(data.X)
        batch_size = max(1, min(options.batch_size, self.n))
        self.n_steps = -(-self.n // batch_size)
        batch = -(-self.n // self.n_steps)  # even batches: no small last one
        self.n_blocks = -(-batch // BLOCK)
        groups = n_groups(self.n_blocks, plan.n_members)
        shares = max(groups, plan.n_members)
        self.size = min(options.n_jobs, shares) if CAN_YIELD else 1
        self.team = self.new_team(stop)
        self.train_epoch = make_train_epoch(
            network.family.log_density,
            network.family.log_normaliser,
            ACTIVATIONS[network.activation],
            plan.n_members > 1,
        )
        self._allocate(groups)

    def _allocate(self, groups):
        plan, state, dtype = self.plan, self.state, self.dtype
        members = self.network.members(state.params)
        size = plan.n_members * plan.member_size
        n_chunks = -(-plan.member_size // CHUNK)
        self.parameters = Parameters(
            state.params,
            members,
            aligned(plan.n_params if plan.n_members > 1 else 1, dtype),
            state.m,
            state.v,
            self.network.decay_mask().astype(dtype),
        )
        widest = int(plan.layers[:, :4].max())
        self.buffers = Buffers(
            aligned(self.size * plan.workspace_size, dtype),
            aligned(groups * size, dtype),
            np.zeros((plan.n_members, n_chunks)),
            np.zeros(plan.n_members, dtype=dtype),
            np.zeros((max(groups, plan.n_members), self.n_steps)),
            np.zeros(widest, dtype=dtype),
            np.zeros((plan.n_members, len(self.validation.weight) - 1), dtype=dtype),
        )

    @property
    def is_validated(self):
        """Whether there are validation rows."""
        return len(self.validation.order) > 0

    @property
    def is_long(self):
        """Whether an epoch may take longer than a signal should wait."""
        n_products = 6 * self.n + 2 * len(self.validation.order)
        return n_products * self.plan.n_members * self.plan.member_size > _LONG

    def new_team(self, stop=None):
        """Threads for the kernel."""
        in_main = threading.current_thread() is threading.main_thread()
        return Team(self.size, in_main and self.is_long, stop)

    def compile(self):
        """Run the kernel on nothing: compiled here, a signal ends the compilation."""
        nothing = self.validation._replace(order=self.validation.order[:0])
        arguments = self._arguments(self._no_steps(), nothing)
        self.train_epoch(0, 1, self.team.sync, self.team.stop, *arguments)

    def steps(self, epoch, rate_factor, rng):
        """Shuffle the rows and evaluate the schedules for every step of an epoch."""
        options, n, n_steps = self.options, self.n, self.n_steps
        count = np.diff(np.arange(n_steps + 1) * n // n_steps)
        rows = np.full((n_steps, self.n_blocks * BLOCK), n, dtype=np.int64)
        rows[np.arange(rows.shape[1]) < count[:, None]] = rng.permutation(n)
        done = (epoch + np.arange(n_steps) / n_steps) / options.max_iter
        # Cosine to zero (Loshchilov & Hutter 2017, eq. 5), for the noise too.
        cosine = 0.5 * (1 + np.cos(np.pi * np.minimum(done, 1.0)))
        t = self.state.t + 1 + np.arange(n_steps)
        if options.is_endless:
            cosine = self._endless(t)
        rate = options.learning_rate_init * rate_factor * cosine
        self.state.t += n_steps
        correction = rate * np.sqrt(1 - _BETA2**t) / (1 - _BETA1**t)
        return Steps(
            rows.ravel(),
            (1.0 / count).astype(self.dtype),
            correction.astype(self.dtype),
            (rate * options.alpha).astype(self.dtype),
            (options.input_noise * cosine).astype(self.dtype),
            rng.randint(0, 2**32, n_steps, dtype=np.uint32),
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

    def _no_steps(self):
        kinds = (np.int64, *[self.dtype] * 4, np.uint32)
        return Steps(*(np.empty(0, dtype=kind) for kind in kinds))

    def _arguments(self, step, validation):
        data = (self.plan, self.bins, self.floor, self.rows, validation)
        return (*data, step, self.parameters, self.buffers, _CLIP_NORM)

    def run_epoch(self, epoch, rate_factor, rng):
        """Train for one epoch; return its mean loss and whether all was finite."""
        step = self.steps(epoch, rate_factor, rng)
        skipped = self.team.run(
            self.train_epoch, *self._arguments(step, self.validation)
        )
        counts = 1.0 / step.scale.astype(np.float64)
        losses = self.buffers.losses.sum(axis=0) / self.plan.n_members
        return float(np.average(losses, weights=counts)), skipped == 0

    def set_params(self, params):
        """Go on from these parameters."""
        self.state.params[:] = params
        self.parameters.members[:] = self.network.members(self.state.params)

    def judge(self, params):
        """Set parameters and evaluate the log-densities of the validation rows."""
        self.set_params(params)
        self.team.run(
            self.train_epoch, *self._arguments(self._no_steps(), self.validation)
        )
        return self.validation_logpdf()

    def validation_logpdf(self):
        """Log-densities of the validation rows under the members' equal mixture."""
        out = self.buffers.logpdf.astype(np.float64)
        return logsumexp(out, axis=0) - np.log(len(out))

    def validation_score(self):
        """Weighted mean log-likelihood of the validation rows; None without such."""
        if not self.is_validated:
            return None
        weights = self.validation.weight[:-1]
        score = float(np.average(self.validation_logpdf(), weights=weights))
        return -np.inf if np.isnan(score) else score

    def finish(self, course, widen):
        """Return to the best parameters, widen their scales, and say how it went."""
        if self.state.last is None:
            self.state.last = self.state.params.copy()
        self.set_params(course.best)
        score, log_widening = course.best_score, 0.0
        if widen and self.is_validated:
            score, log_widening = self.widen()
        if self.options.earlier is not None and self.is_validated:
            # What an earlier training ended with is only replaced by what is better.
            params, (start, earlier) = self.state.params.copy(), self.options.earlier
            self.judge(self.network.widened(start, earlier))
            if self.validation_score() >= score:
                score, log_widening = self.validation_score(), earlier
            else:
                self.set_params(params)
        curves = course.losses, course.scores
        return History(*curves, course.best_epoch, score, log_widening)

    def widen(self):
        """Multiply all scales by the factor that makes held-out rows most likely.

        Networks are over-confident, also those that are stopped early. A factor below 1
        is not taken: few rows ask for it by chance. A tail bounds what an outlier can
        ask for.

        The epoch and the factor suit these n rows better than new ones, as if
        parameters had been fitted to them. The variance therefore grows by 1 + p / n,
        in the manner of the final prediction error (Akaike 1969, Fitting Autoregressive
        Models for Prediction).

        Returns
        -------
        score : float
            Of the validation rows.
        log_factor : float
        """
        start, weights = self.state.params.copy(), self.validation.weight[:-1]
        outlying = cauchy.logpdf(self.validation.Y[:-1].astype(float)).sum(axis=1)

        def loss(log_factor):
            widened = self.network.widened(start, log_factor)
            logpdf = self.judge(widened) + np.log1p(-_OUTLIERS)
            bounded = np.logaddexp(logpdf, outlying + np.log(_OUTLIERS))
            return -np.average(bounded, weights=weights)

        bounds = (0.0, np.log(_MOST_WIDENED))
        found = minimize_scalar(
            loss, bounds=bounds, method="bounded", options={"xatol": 0.01}
        )
        log_factor = found.x if found.fun < loss(0.0) else 0.0
        n_effective = weights.sum() ** 2 / (weights**2).sum()  # Kish 1965
        log_factor += 0.5 * np.log1p(_CHOSEN / n_effective)
        self.judge(self.network.widened(start, log_factor))
        return self.validation_score(), float(log_factor)


def _falling(n_steps):
    """Part of the rate after so many steps: of the root (Robbins & Monro 1951)."""
    return 1 / np.sqrt(1 + n_steps / _RATE_HORIZON)


def _as_rows(data, dtype):
    Y = np.clip(data.Y, -_LARGEST_TARGET, _LARGEST_TARGET)
    weight = data.sample_weight
    if len(weight):
        weight = weight / np.mean(weight)
    return as_rows(data.X, Y, weight, dtype)


def train(
    network, view, data, validation, options, state, rng, on_epoch=None, stop=None
):
    """Train for `options.max_iter` epochs or until stopped.

    Parameters
    ----------
    network : Network
    view : InputView
    data : Data
    validation : Data or None
        With validation rows the parameters of the best epoch are kept, and training
        stops after `options.n_iter_no_change` epochs without a better one.
    options : Options
    state : State
        Changed in place.
    rng : numpy.random.RandomState
    on_epoch : callable or None
        Called with an `Epoch` after each; a true answer stops.
    stop : ndarray or None
        From `new_stop`: set to 1 in any thread, it ends this and all other trainings
        that share it by a KeyboardInterrupt, within a block of rows.

    Returns
    -------
    history : History

    Raises
    ------
    KeyboardInterrupt
        Before the end of the first epoch, or without `options.keep_interrupted`.
    """
    fit = _Fit(network, view, data, validation, options, state, stop)
    course = _Course(state.params if options.earlier is None else options.earlier[0])
    try:
        with fit.team:
            fit.compile()
            _run_epochs(fit, course, rng, on_epoch)
            return fit.finish(course, options.widen)
    except KeyboardInterrupt:
        if not options.keep_interrupted or not course.losses:
            raise
    fit.team.close()  # Again: another signal may have come while the threads ended.
    warnings.warn(
        "Training was interrupted; the best parameters so far are kept.",
        ConvergenceWarning,
        stacklevel=2,
    )
    state.last = course.best.copy()  # The last step may be half a step.
    fit.team = fit.new_team()
    with fit.team:
        history = fit.finish(course, options.widen and not fit.is_long)
    return history._replace(interrupted=True)


def _run_epochs(fit, course, rng, on_epoch):
    """Train until the last epoch, or until it is no use, or until somebody stops it."""
    options, state = fit.options, fit.state
    rate_factor = 1.0
    if options.earlier is not None:
        rate_factor = _falling(state.n_steps + state.t)
    if fit.is_validated:
        # The start is a candidate too: training can make it worse.
        params = state.params.copy()
        fit.judge(course.best)
        course.best_score = fit.validation_score()
        fit.set_params(params)
    for epoch in range(1, options.max_iter + 1):
        loss, finite = fit.run_epoch(epoch - 1, rate_factor, rng)
        if finite:
            score = fit.validation_score()
        else:
            # Roll back to the best parameters and go on with a smaller step.
            rate_factor /= 2
            fit.set_params(course.best)
            state.m[:], state.v[:] = 0, 0
            score = course.best_score
        course.losses.append(loss)
        if fit.is_validated:
            course.scores.append(score)
        if not fit.is_validated or score > course.best_score:
            course.best_epoch, course.best_score = epoch, score
            course.best[:] = state.params
        if on_epoch is not None and on_epoch(Epoch(epoch, loss, score, state.params)):
            break
        patience = options.n_iter_no_change
        if fit.is_validated and patience and epoch - course.best_epoch >= patience:
            break
