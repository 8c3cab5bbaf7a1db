# SPDX-License-Identifier: BSD-3-Clause
"""The steps of a fit: from an estimator's parameters to what the engine takes."""

import math
from numbers import Integral

from joblib import effective_n_jobs

from skmdn._distribution.checks import new_generator
from skmdn._engine.training import Options
from skmdn._fit import auto as _auto
from skmdn._fit.holdout import count_units, divide, hold_out_part
from skmdn._fit.model import Model, Progress, fitted_network
from skmdn._fit.scaling import merge_duplicates
from skmdn._sklearn import check_held_out


def hold_out(estimator, rows, table, X_val, y_val, rng):
    """Split off validation rows, or take the given ones, or none."""
    if X_val is not None or y_val is not None:
        if estimator.early_stopping is False:
            raise ValueError("X_val and y_val are of no use if early_stopping=False.")
        held_out = check_held_out(estimator, table, X_val, y_val)
        return rows, merge_duplicates(*held_out)
    n = len(rows[0])
    wanted = estimator.early_stopping
    if wanted == "auto":
        wanted = _auto.early_stopping(n)
    if not wanted or n == 1:
        return rows, None
    n_units = count_units(rows[2]).sum()
    fraction = estimator.validation_fraction
    if fraction == "auto":
        fraction = _auto.validation_fraction(n_units)
    n_held_out = math.ceil(fraction * n_units)
    training, held_out = divide(*rows, hold_out_part(rows[2], n_held_out, rng))
    return training[:3], held_out[:3]


def needs_no_held_out_rows(estimator):
    """Whether there is a `partial_fit`, which holds no rows out."""
    if estimator.early_stopping is True:
        raise AttributeError("partial_fit does not support early_stopping=True.")
    return True


def start_model(estimator, rows, rng, previous=None, progress=None):
    """Return an initialised model, or `previous` to go on with.

    Its scales are then those that training ended with, not widened afterwards.
    """
    n, n_outputs = len(rows[0]), rows[1].shape[1]
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
            rows, architecture, estimator.n_bins, estimator.min_scale, rng
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
        n_jobs=effective_n_jobs(estimator.n_jobs),
    )


def fitted_attributes(
    estimator, table, model, progress, params, losses, scores, best_score=None
):
    """Everything that a fitted estimator has, as a dict.

    Parameters
    ----------
    estimator : MDNRegressor
    table : Table
    model : Model
    progress : Progress
        Without optimiser and widening; after no step the fit of `estimator` is new.
    params : ndarray
        Replaces the parameters of `model`.
    losses, scores : list of float
        Of every epoch, for the scaled targets.
    best_score : float or None
        Validation score of `params`; None: the greatest of `scores`.
    """
    if best_score is None:
        best_score = max(scores, default=None)
    if best_score is not None:
        best_score -= model.scaling.log_jacobian
    losses, scores = unscaled_curves(model, losses, scores)
    if progress.n_steps:
        losses = estimator.loss_curve_ + losses
        scores = (estimator.validation_scores_ or []) + scores
    return {
        **table.attributes,
        **fitted_network(model._replace(params=params), progress),
        "_y_ndim": table.y_ndim,
        "n_outputs_": table.Y.shape[1],
        "n_iter_": len(losses),
        "loss_curve_": losses,
        "validation_scores_": scores or None,
        "best_validation_score_": best_score,
    }


def unscaled_curves(model, losses, scores):
    """Losses and log-likelihoods of scaled targets, in the units of the targets."""
    log_jacobian = model.scaling.log_jacobian
    losses = [loss + log_jacobian for loss in losses]
    return losses, [score - log_jacobian for score in scores]


def _layer_sizes(sizes):
    """Hidden layer sizes as a tuple of int."""
    sizes = (sizes,) if isinstance(sizes, Integral) else tuple(sizes)
    for size in sizes:
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(
                f"hidden_layer_sizes must hold integers of at least 1, got {sizes}."
            )
    return tuple(int(size) for size in sizes)


def check_device(device):
    """Refuse devices that are not available."""
    if device == "cuda":
        raise ValueError(
            "device='cuda' is not available in this version: it will come with the "
            "extras 'cu12' and 'cu13'. Use device='cpu'."
        )
