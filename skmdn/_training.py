# SPDX-License-Identifier: BSD-3-Clause
"""The fit loop: shuffled batches, schedules, early stopping, callbacks.

One compiled call a thread and epoch; everything else happens between epochs.
"""

import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from scipy.stats import cauchy
from sklearn.exceptions import ConvergenceWarning

from skmdn._kernels.activations import ACTIVATIONS
from skmdn._kernels.epoch import Buffers, Parameters, Steps, make_train_epoch
from skmdn._kernels.memory import aligned
from skmdn._kernels.optimiser import CHUNK
from skmdn._kernels.plan import BLOCK, n_groups
from skmdn._kernels.team import CAN_YIELD, new_sync
from skmdn._network import as_bins, as_rows, run_team

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
    constant_rate: bool = False  # partial_fit: no schedule
    widen: bool = False  # multiply the scales by what held-out rows ask for


class State:
    """Parameters and optimiser state, carried from call to call."""

    def __init__(self, params, m, v, t):
        self.params, self.m, self.v, self.t = params, m, v, t

    @classmethod
    def start(cls, params):
        """Return the state before the first step."""
        zeros = (aligned(params.size, params.dtype) for _ in range(2))
        return cls(params, *zeros, 0)


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
    best_epoch: int
    best_score: float | None  # of the validation rows, under the kept parameters
    n_iter: int
    interrupted: bool


class _Fit:
    """The compiled view of one fit: data, buffers and kernels."""

    def __init__(self, network, view, data, validation, options, state):
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
        self.team = min(options.n_jobs, shares) if CAN_YIELD else 1
        self.train_epoch = make_train_epoch(
            network.component.log_likelihood_gradient,
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
            aligned(self.team * plan.workspace_size, dtype),
            aligned(groups * size, dtype),
            np.zeros((plan.n_members, n_chunks)),
            np.zeros(plan.n_members, dtype=dtype),
            np.zeros((max(groups, plan.n_members), self.n_steps)),
            np.zeros(widest, dtype=dtype),
            np.zeros((plan.n_members, len(self.validation.weight) - 1), dtype=dtype),
        )
        self.sync = new_sync()

    def steps(self, epoch, rate_factor, rng):
        """Shuffle the rows and evaluate the schedules for every step of an epoch."""
        options, n, n_steps = self.options, self.n, self.n_steps
        count = np.diff(np.arange(n_steps + 1) * n // n_steps)
        rows = np.full((n_steps, self.n_blocks * BLOCK), n, dtype=np.int64)
        rows[np.arange(rows.shape[1]) < count[:, None]] = rng.permutation(n)
        done = (epoch + np.arange(n_steps) / n_steps) / options.max_iter
        # Cosine to zero (Loshchilov & Hutter 2017, eq. 5), for the noise too.
        cosine = 0.5 * (1 + np.cos(np.pi * np.minimum(done, 1.0)))
        if options.constant_rate:
            cosine = np.ones(n_steps)
        rate = options.learning_rate_init * rate_factor * cosine
        t = self.state.t + 1 + np.arange(n_steps)
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

    def run_epoch(self, epoch, rate_factor, rng, executor):
        """Train for one epoch; return its mean loss and whether all was finite."""
        step = self.steps(epoch, rate_factor, rng)
        skipped = self._run(step, executor)
        counts = 1.0 / step.scale.astype(np.float64)
        losses = self.buffers.losses.sum(axis=0) / self.plan.n_members
        return float(np.average(losses, weights=counts)), skipped == 0

    def _run(self, step, executor=None):
        arguments = (
            *(self.sync, self.plan, self.bins, self.floor, self.rows),
            *(self.validation, step, self.parameters, self.buffers, _CLIP_NORM),
        )
        return run_team(self.train_epoch, self.team, arguments, executor)

    def set_params(self, params):
        """Go on from these parameters."""
        self.state.params[:] = params
        self.parameters.members[:] = self.network.members(self.state.params)

    def judge(self, params):
        """Set parameters and evaluate the log-densities of the validation rows."""
        self.set_params(params)
        kinds = (np.int64, *[self.dtype] * 4, np.uint32)
        self._run(Steps(*(np.empty(0, dtype=kind) for kind in kinds)))
        return self.validation_logpdf()

    def validation_logpdf(self):
        """Log-densities of the validation rows under the members' equal mixture."""
        out = self.buffers.logpdf.astype(np.float64)
        return logsumexp(out, axis=0) - np.log(len(out))

    def validation_score(self):
        """Weighted mean log-likelihood of the validation rows."""
        weights = self.validation.weight[:-1]
        return float(np.average(self.validation_logpdf(), weights=weights))

    def widen(self):
        """Multiply all scales by the factor that makes held-out rows most likely.

        Networks are over-confident, also those that are stopped early. A factor below 1
        is not taken: few rows ask for it by chance. A heavy-tailed background bounds
        what an outlier can ask for.

        The epoch and the factor suit these n rows better than new ones, as if
        parameters had been fitted to them. The variance therefore grows by 1 + p / n,
        in the manner of the final prediction error (Akaike 1969, Fitting Autoregressive
        Models for Prediction).
        """
        start, weights = self.state.params.copy(), self.validation.weight[:-1]
        outlying = cauchy.logpdf(self.validation.Y[:-1].astype(float)).sum(axis=1)

        def params(log_factor):
            widened = start.copy()
            for log_scales in self.network.log_scale_biases(widened):
                log_scales += log_factor
            return widened

        def loss(log_factor):
            logpdf = self.judge(params(log_factor)) + np.log1p(-_OUTLIERS)
            bounded = np.logaddexp(logpdf, outlying + np.log(_OUTLIERS))
            return -np.average(bounded, weights=weights)

        bounds = (0.0, np.log(_MOST_WIDENED))
        found = minimize_scalar(
            loss, bounds=bounds, method="bounded", options={"xatol": 0.01}
        )
        log_factor = found.x if found.fun < loss(0.0) else 0.0
        n_effective = weights.sum() ** 2 / (weights**2).sum()  # Kish 1965
        self.judge(params(log_factor + 0.5 * np.log1p(_CHOSEN / n_effective)))
        return self.validation_score()


def _as_rows(data, dtype):
    Y = np.clip(data.Y, -_LARGEST_TARGET, _LARGEST_TARGET)
    weight = data.sample_weight
    if len(weight):
        weight = weight / np.mean(weight)
    return as_rows(data.X, Y, weight, dtype)


def train(network, view, data, validation, options, state, rng, on_epoch=None):
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

    Returns
    -------
    history : History
    """
    fit = _Fit(network, view, data, validation, options, state)
    losses, scores = [], []
    best, best_epoch, best_score = state.params.copy(), 0, -np.inf
    rate_factor, interrupted = 1.0, False
    executor = ThreadPoolExecutor(options.n_jobs - 1) if options.n_jobs > 1 else None
    try:
        for epoch in range(options.max_iter):
            loss, finite = fit.run_epoch(epoch, rate_factor, rng, executor)
            if not finite:
                # Roll back to the best parameters and go on with a smaller step.
                rate_factor /= 2
                fit.set_params(best)
                state.m[:], state.v[:] = 0, 0
            losses.append(loss)
            score = None if validation is None else fit.validation_score()
            if score is not None:
                scores.append(score)
            if validation is None or score > best_score:
                best_epoch, best_score = epoch + 1, score
                best[:] = state.params
            if on_epoch is not None and on_epoch(
                Epoch(epoch + 1, loss, score, state.params)
            ):
                break
            patience = options.n_iter_no_change
            if score is not None and patience and epoch + 1 - best_epoch >= patience:
                break
    except KeyboardInterrupt:
        interrupted = True
        warnings.warn(
            "Training was interrupted; the best parameters so far are kept.",
            ConvergenceWarning,
            stacklevel=2,
        )
    finally:
        if executor is not None:
            executor.shutdown()
    fit.set_params(best)
    if not scores:
        best_score = None
    elif options.widen:
        best_score = fit.widen()
    return History(losses, scores, best_epoch, best_score, len(losses), interrupted)
