# SPDX-License-Identifier: BSD-3-Clause
"""From an estimator's parameters and rows to what an engine takes, and back."""

import math
from functools import cached_property
from numbers import Integral
from typing import Any, NamedTuple

from skmdn._distribution.checks import new_generator
from skmdn._engine.job import Data, Job, Options
from skmdn._families.head import check_covariance_type
from skmdn._fit import auto as _auto
from skmdn._fit.holdout import count_units, divide, hold_out_part
from skmdn._fit.inputs import InputEncoding
from skmdn._fit.model import Model, Progress, fitted_network
from skmdn._fit.rows import Rows
from skmdn._fit.targets import TargetScaling, atom_spacing
from skmdn._sklearn import check_held_out


class Prepared:
    """Rows and what is measured of them, once for all jobs that share them.

    Parameters
    ----------
    rows : Rows
        To train on.
    held_out : Rows or None, default=None
        To judge by.
    """

    def __init__(self, rows, held_out=None):
        self.rows, self._held_out = rows, held_out
        self._encodings, self._biases = {}, {}

    @cached_property
    def _scaling_of_inputs(self):
        return InputEncoding.scaling(self.rows.X, self.rows.weight)

    @cached_property
    def scaling(self):
        """Scaling of the targets."""
        held_out = None if self._held_out is None else self._held_out.Y
        return TargetScaling.fit(self.rows.Y, self.rows.weight, held_out)

    @cached_property
    def data(self):
        """The scaled rows."""
        return self._scaled(self.rows)

    @cached_property
    def validation(self):
        """The scaled rows that are held out, or None."""
        return None if self._held_out is None else self._scaled(self._held_out)

    def _scaled(self, rows):
        X = self._scaling_of_inputs.scale_inputs(rows.X)
        return Data(X, self.scaling.transform(rows.Y), rows.weight)

    @cached_property
    def spacing(self):
        """Spacing of target values that repeat."""
        return atom_spacing(self.rows.Y, self.rows.weight)

    def initial_bias(self, head, rng):
        """See `Head.initial_bias`; nothing of one output is random."""
        if head.n_outputs > 1:
            return head.initial_bias(self.data.Y, self.rows.weight, rng)
        if head not in self._biases:
            bias = head.initial_bias(self.data.Y, self.rows.weight, rng)
            self._biases[head] = bias
        return self._biases[head]

    def encoding(self, n_bins):
        """Encoding of the inputs with so many bins."""
        if n_bins not in self._encodings:
            self._encodings[n_bins] = self._scaling_of_inputs.with_bins(
                self.data.X, self.rows.weight, n_bins
            )
        return self._encodings[n_bins]


def hold_out(estimator, rows, table, X_val, y_val, rng):
    """Split off validation rows, or take the given ones, or none."""
    if X_val is not None or y_val is not None:
        if estimator.early_stopping is False:
            raise ValueError("X_val and y_val are of no use if early_stopping=False.")
        held_out = check_held_out(estimator, table, X_val, y_val)
        return rows, Rows.of(*held_out).merged()
    n = len(rows)
    wanted = estimator.early_stopping
    if wanted == "auto":
        wanted = _auto.early_stopping(n)
    if not wanted or n == 1:
        return rows, None
    n_units = count_units(rows.weight).sum()
    fraction = estimator.validation_fraction
    if fraction == "auto":
        fraction = _auto.validation_fraction(n_units)
    n_held_out = math.ceil(fraction * n_units)
    return divide(rows, hold_out_part(rows.weight, n_held_out, rng))


def needs_no_held_out_rows(estimator):
    """Whether there is a `partial_fit`, which holds no rows out."""
    if estimator.early_stopping is True:
        raise AttributeError("partial_fit does not support early_stopping=True.")
    return True


def start_model(estimator, prepared, rng, previous=None, progress=None):
    """Return an initialised model, or `previous` to go on with.

    Its scales are then those that training ended with, not widened afterwards.
    """
    check_covariance_type(estimator.covariance_type, estimator.family)
    n, n_outputs = prepared.rows.Y.shape
    sizes = estimator.hidden_layer_sizes
    if isinstance(sizes, str):
        sizes = _auto.hidden_layer_sizes(n)
        if previous is not None:
            sizes = previous.architecture["hidden_layer_sizes"]
    architecture = {
        "n_outputs": n_outputs,
        "n_components": int(estimator.n_components),
        "family": estimator.family,
        "covariance_type": estimator.covariance_type,
        "hidden_layer_sizes": _layer_sizes(sizes),
        "n_estimators": int(estimator.n_estimators),
        "activation": estimator.activation,
    }
    if previous is None:
        return Model.start(
            prepared, architecture, estimator.n_bins, estimator.min_scale, rng
        )
    earlier = {**previous.architecture, "n_bins": progress.n_bins}
    for name, value in {**architecture, "n_bins": int(estimator.n_bins)}.items():
        if earlier[name] not in (value, None):
            raise ValueError(
                f"{name} is {value!r}, but the earlier fit that this one continues "
                f"has {earlier[name]!r}."
            )
    return previous.widened(-progress.log_widening)


def first_progress(estimator):
    """Where an estimator starts: an int as its `random_state` is the seed itself."""
    seed = estimator.random_state
    if not isinstance(seed, Integral):
        seed = new_generator(seed).randint(2**31)
    return Progress(n_bins=int(estimator.n_bins), seed=int(seed))


def training_options(estimator, model, n):
    """Replace every "auto" of the training options by its value for `n` rows."""
    rate, batch_size = estimator.learning_rate_init, estimator.batch_size
    max_iter, patience = estimator.max_iter, estimator.n_iter_no_change
    input_noise = estimator.input_noise
    if rate == "auto":
        rate = _auto.learning_rate_init(model.architecture["hidden_layer_sizes"])
    if batch_size == "auto":
        batch_size = _auto.batch_size(n)
    if max_iter == "auto":
        max_iter = _auto.max_iter(n, batch_size)
    if patience == "auto":
        patience = _auto.n_iter_no_change(max_iter)
    if input_noise == "auto":
        input_noise = _auto.input_noise(n, estimator.n_bins)
    return Options(
        learning_rate_init=rate,
        batch_size=batch_size,
        max_iter=max_iter,
        alpha=estimator.alpha,
        input_noise=input_noise,
        min_scale=model.min_scale,
        n_iter_no_change=patience,
    )


def make_job(model, data, validation, options, state, rng, on_epoch=None):
    """What to fit, for an engine.

    Parameters
    ----------
    model : Model
        Where training starts.
    data : Data
        The scaled training rows.
    validation : Data or None
        Scaled rows to judge by.
    options : Options
    state : State
    rng : numpy.random.RandomState
        Gives the seed of the training.
    on_epoch : callable or None

    Returns
    -------
    job : Job
    """
    return Job(
        model.network,
        model.encoding,
        data,
        validation,
        options,
        state,
        int(rng.randint(2**32, dtype="uint32")),
        on_epoch,
    )


class Fitted(NamedTuple):
    """A fitted network and the course of its training, in the units of the targets."""

    estimator: Any  # its parameters
    model: Model
    losses: list
    scores: list

    @classmethod
    def of(cls, estimator, model, params, losses, scores):
        """Read parameters and curves of a training of `model`, on scaled targets."""
        log_jacobian = model.scaling.log_jacobian
        losses = [loss + log_jacobian for loss in losses]
        scores = [score - log_jacobian for score in scores]
        return cls(estimator, model._replace(params=params), losses, scores)


def fitted_attributes(fitted, table, progress=None, best_score=None):
    """Everything that a fitted `MDNRegressor` has, as a dict.

    Parameters
    ----------
    fitted : Fitted
    table : Table
    progress : Progress or None
        After a step, the fit went on where the earlier one of the estimator ended.
    best_score : float or None
        Validation score of the parameters, for the scaled targets; None: the greatest
        of all epochs.
    """
    losses, scores = fitted.losses, fitted.scores
    if best_score is None:
        best_score = max(scores, default=None)
    else:
        best_score -= fitted.model.scaling.log_jacobian
    if progress is not None and progress.n_steps:
        losses = fitted.estimator.loss_curve_ + losses
        scores = (fitted.estimator.validation_scores_ or []) + scores
    return {
        **table.attributes,
        **fitted_network(fitted.model, progress),
        "_y_ndim": table.y_ndim,
        "n_outputs_": table.Y.shape[1],
        "n_iter_": len(losses),
        "loss_curve_": losses,
        "validation_scores_": scores or None,
        "best_validation_score_": best_score,
    }


def _layer_sizes(sizes):
    """Hidden layer sizes as a tuple of int."""
    sizes = (sizes,) if isinstance(sizes, Integral) else tuple(sizes)
    for size in sizes:
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(
                f"hidden_layer_sizes must hold integers of at least 1, got {sizes}."
            )
    return tuple(int(size) for size in sizes)
