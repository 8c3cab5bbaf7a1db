# SPDX-License-Identifier: BSD-3-Clause
"""The only imports of scikit-learn's private or version-dependent names."""

import copy
import sys
from inspect import signature
from typing import NamedTuple

import numpy as np
from sklearn.base import _fit_context as fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_sample_weight,
    _num_samples,
    validate_data,
)

try:  # scikit-learn 1.9, experimental there
    from sklearn.callback import CallbackSupportMixin

    HAS_CALLBACKS = True
except ImportError:
    HAS_CALLBACKS = False

    class CallbackSupportMixin:  # type: ignore[no-redef] # one of the two
        """Stand-in where scikit-learn has no callbacks."""


__all__ = [
    "HAS_CALLBACKS",
    "CallbackSupportMixin",
    "EpochCallbacks",
    "Interval",
    "StrOptions",
    "Table",
    "check_any",
    "check_held_out",
    "check_inputs",
    "check_table",
    "check_targets",
    "check_weights",
    "count_rows",
    "fit_context",
    "fitted_by_another",
    "take_rows",
    "takes_weights",
]

# Squares of targets beyond this overflow float64.
LARGEST_TARGET = 1e150

# Modules through which the user's own call of `fit` comes to an estimator.
_PASSING_ON = (
    *("skmdn._estimators.cv", "skmdn._distribution.errstate", "skmdn._estimators.mdn"),
    *("skmdn._sklearn", "sklearn.base", "sklearn.callback", "sklearn.compose"),
    *("sklearn.pipeline", "sklearn.utils"),
)


class Table(NamedTuple):
    """Validated rows, and what scikit-learn remembers of them.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features), float64
    Y : ndarray of shape (n_samples, n_outputs), float64
    sample_weight : ndarray of shape (n_samples,), float64
    y_ndim : int
        Dimensions of `y` as it was given.
    attributes : dict
        `n_features_in_` and, where the columns have names, `feature_names_in_` and
        `output_names_`.
    metadata : dict or None
        The weights again, if any were given.
    """

    X: np.ndarray
    Y: np.ndarray
    sample_weight: np.ndarray
    y_ndim: int
    attributes: dict
    metadata: dict | None

    @property
    def y(self):
        """The targets in the shape in which they were given."""
        return self.Y[:, 0] if self.y_ndim == 1 else self.Y


def check_table(estimator, X, y, sample_weight, *, reset):
    """Validate data to fit to; `estimator` itself is not changed.

    Raises
    ------
    ValueError
        For anything that is not a finite table with targets and usable weights.
    """
    probe = copy.copy(estimator)
    output_names = _names_of_columns(y)
    X, y = validate_data(
        probe, X, y, reset=reset, dtype=np.float64, multi_output=True, y_numeric=True
    )
    Y = _as_columns(y)
    weight = check_weights(sample_weight, X)
    names = ("n_features_in_", "feature_names_in_")
    attributes = {name: vars(probe)[name] for name in names if name in vars(probe)}
    outputs = output_names if reset else vars(probe).get("output_names_")
    if outputs is not None:
        attributes["output_names_"] = outputs
    metadata = None if sample_weight is None else {"sample_weight": weight}
    return Table(X, Y, weight, np.ndim(y), attributes, metadata)


def check_held_out(estimator, table, X_val, y_val):
    """Validate validation rows against the training rows of `table`.

    Returns
    -------
    X, Y, sample_weight : ndarray
    """
    if X_val is None or y_val is None:
        given, missing = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
        raise ValueError(f"{given} is given without {missing}.")
    probe = copy.copy(estimator)
    vars(probe).pop("feature_names_in_", None)
    vars(probe).update(table.attributes)
    try:
        X, Y = check_targets(probe, X_val, y_val, table.Y.shape[1])
    except ValueError as error:
        raise ValueError(f"X_val, y_val: {error}") from error
    return X, Y, np.ones(len(X))


def check_weights(sample_weight, X):
    """Validate sample weights, one for each row of `X`."""
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if np.any(weight < 0):
        raise ValueError(
            f"sample_weight must not be negative, its smallest value is {weight.min()}."
        )
    if not np.any(weight):  # scikit-learn checks this itself from 1.9 on.
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weight


def takes_weights(scorer):
    """Whether a scorer takes a keyword `sample_weight`, and was not told not to.

    Parameters
    ----------
    scorer : callable
        ``scorer(estimator, X, y)``: scikit-learn's, this package's, or any other.
    """
    if hasattr(scorer, "get_metadata_routing"):
        request = scorer.get_metadata_routing().score.requests
        if request.get("sample_weight") is False:
            return False
    if hasattr(scorer, "_accept_sample_weight"):
        return scorer._accept_sample_weight()
    # The scorers of scikit-learn 1.6 take weights that their metric refuses.
    metric = getattr(scorer, "_score_func", scorer)
    return "sample_weight" in signature(metric).parameters


def check_inputs(estimator, X):
    """Validate inputs to predict for."""
    if _are_plain(estimator, X):
        return X
    return validate_data(estimator, X, reset=False, dtype=np.float64)


def _are_plain(estimator, X):
    """Whether inputs are as the checks return them, which take a fifth of a row's time.

    Names of columns are for scikit-learn to compare, and to warn of.
    """
    return (
        _is_finite(X)
        and X.ndim == 2
        and X.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
    )


def _is_finite(values):
    """Whether these are numbers in float64 with a finite sum, one at least."""
    if type(values) is not np.ndarray or values.dtype != np.float64 or not values.size:
        return False
    with np.errstate(all="ignore"):
        return bool(np.isfinite(values.sum()))


def check_any(estimator, X):
    """Validate inputs of any kind, finite or not, but for their number of columns."""
    return validate_data(
        estimator,
        X,
        accept_sparse=["csr", "csc"],
        dtype=None,
        ensure_all_finite=False,
        reset=False,
    )


def count_rows(X):
    """Number of rows of an array, a sparse matrix, a list or a table of any kind."""
    return _num_samples(X)


def take_rows(X, rows):
    """Rows of the same kinds by a slice or an array of numbers; of all, `X` itself."""
    whole = isinstance(rows, slice) and rows == slice(None)
    return X if whole else _safe_indexing(X, rows)


def check_targets(estimator, X, y, n_outputs):
    """Validate rows to evaluate: X and the targets as (n_samples, n_outputs)."""
    is_checked = _are_plain(estimator, X) and _is_finite(y) and y.ndim < 3
    if not is_checked or len(X) != len(y):
        X, y = validate_data(
            estimator,
            X,
            y,
            reset=False,
            dtype=np.float64,
            multi_output=True,
            y_numeric=True,
        )
    Y = _as_columns(y)
    if Y.shape[1] != n_outputs:
        raise ValueError(
            f"y has {Y.shape[1]} outputs, but {type(estimator).__name__} expects "
            f"{n_outputs}."
        )
    return X, Y


def _names_of_columns(y):
    """Names of the columns of a frame, None where they are not different strings."""
    names = list(getattr(y, "columns", []))
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        return None
    return [str(name) for name in names] or None


def _as_columns(y):
    if not isinstance(y, np.ndarray):
        raise TypeError(f"y must be a dense array, got {type(y).__name__}.")
    Y = np.ascontiguousarray(y, dtype=np.float64).reshape(len(y), -1)
    largest = np.abs(Y).max()
    if largest > LARGEST_TARGET:
        raise ValueError(
            f"y contains values of magnitude {largest:.3g}, at most "
            f"{LARGEST_TARGET:.0e} is possible in float64: change its unit."
        )
    return Y


def fitted_by_another():
    """Whether the fit that runs is one of several: of a search, an ensemble, ...

    Such a loop must end at the first Ctrl-C, and goes on if one of its fits makes
    nothing of it. No argument tells; the callers do: any module of joblib, or of
    scikit-learn and this package but those that hand a single fit on.
    """
    frame = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__") or ""
        if module.partition(".")[0] in ("joblib", "sklearn", "skmdn"):
            if not any(f"{module}.".startswith(f"{name}.") for name in _PASSING_ON):
                return True
        frame = frame.f_back
    return False


class EpochCallbacks:
    """scikit-learn's callbacks around a fit and its epochs; nothing below 1.9.

    Parameters
    ----------
    estimator : estimator instance
    max_iter : int
        Epochs at most.
    table : Table
        Training data.
    name : str, default="epoch"
        What these parts of the fit are called.
    """

    def __init__(self, estimator, max_iter, table, name="epoch"):
        self._task = {
            "estimator": estimator,
            "X": table.X,
            "y": table.y,
            "metadata": table.metadata,
        }
        self._remaining, self._root, self._epoch = max_iter, None, None
        self._name = name
        if HAS_CALLBACKS:
            self._root = estimator._init_callback_context(max_subtasks=max_iter)
            self._root.call_on_fit_task_begin(**self._task)
            self._begin_epoch()

    @property
    def are_any(self):
        """Whether anything is to be called."""
        return self._root is not None and bool(self._root._callbacks)

    def _begin_epoch(self):
        self._remaining -= 1
        self._epoch = self._root.subcontext(task_name=self._name)
        self._epoch.call_on_fit_task_begin(**self._task)

    def end_epoch(self, attributes):
        """Tell that an epoch ended; return whether a callback asks to stop.

        Parameters
        ----------
        attributes : callable
            Returns the fitted attributes as they are now.
        """
        if self._root is None:
            return False
        stop = self._epoch.call_on_fit_task_end(
            **self._task, reconstruction_attributes=attributes
        )
        self._epoch = None
        if self._remaining and not stop:
            self._begin_epoch()
        return stop

    def end_fit(self, attributes):
        """Tell that the fit ended; an epoch that did not run ends empty."""
        if self._root is None:
            return
        if self._epoch is not None:
            self._epoch.call_on_fit_task_end(estimator=self._task["estimator"])
        self._root.call_on_fit_task_end(
            **self._task, reconstruction_attributes=attributes
        )
