# SPDX-License-Identifier: BSD-3-Clause
"""From an estimator and data to what a picture shows: rows, names, distributions."""

import numbers
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_array, check_random_state

from skmdn._estimators.unwrap import predict_dist
from skmdn.distribution import MixtureDistribution


def target_name(y, target=None):
    """Name of a Series or of a column of a frame, "y" for plain arrays."""
    if hasattr(y, "columns"):
        return str(list(y.columns)[target or 0])
    name = getattr(y, "name", None)
    if name:
        return str(name)
    return "y" if target is None else f"y{target}"


def target_names(y, n_outputs):
    """Names of all outputs, "y0", "y1", ... for plain arrays."""
    return [target_name(y, j) for j in range(n_outputs)]


def one_output(dist, y, target):
    """Reduce to the output that a picture shows.

    Parameters
    ----------
    dist : MixtureDistribution
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), or None
    target : int or None
        Output to show; may be None if there is only one.

    Returns
    -------
    dist : MixtureDistribution
        With one output.
    y : ndarray of shape (n_samples,) or None

    Raises
    ------
    ValueError
        If `target` is missing or out of range.
    """
    if dist.n_outputs > 1:
        if target not in range(dist.n_outputs):
            raise ValueError(
                f"target must say which of the {dist.n_outputs} outputs to show, 0 to "
                f"{dist.n_outputs - 1}; got {target!r}."
            )
        dist = dist.marginal(target)
    elif target not in (None, 0):
        raise ValueError(f"target must be None or 0 for one output; got {target!r}.")
    if y is None:
        return dist, None
    y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    return dist, y if y.ndim == 1 else y[:, target or 0]


def check_density(dist, display):
    """Refuse distributions that cannot be drawn as densities.

    Raises
    ------
    TypeError
        If there is no density; the message says what can be drawn.
    """
    if not hasattr(dist, "pdf"):
        raise TypeError(
            f"{display} draws densities, and {type(dist).__name__} has none: draw it "
            "with FanChartDisplay, PITDisplay or CoverageDisplay, or draw the "
            "estimator inside, estimator_."
        )


def columns(X):
    """Names and values of the columns of an array or data frame, in order.

    Numbers become numbers, with NaN where they are missing; categories stay what they
    are, also those that are numbers.
    """
    if hasattr(X, "columns"):
        return {str(name): _values(X[name]) for name in X.columns}
    X = check_array(X, dtype=None, ensure_all_finite=False, input_name="X")
    return {f"x{j}": X[:, j] for j in range(X.shape[1])}


def _values(series):
    if str(series.dtype).startswith("category"):
        return np.asarray(series, dtype=object)
    if hasattr(series.dtype, "na_value"):  # pandas' own types: Int64, boolean, string
        kind = np.float64 if series.dtype.kind in "iuf" else object
        return series.to_numpy(dtype=kind, na_value=np.nan)
    return np.asarray(series)


def _is_missing(column):
    if np.issubdtype(column.dtype, np.number):
        return ~np.isfinite(column)
    # None, NaN, NaT; pandas.NA, of which even this is not known.
    same = [value is not None and value == value for value in column]
    return np.array(
        [not isinstance(is_it, bool | np.bool_) or not is_it for is_it in same]
    )


def like(X, values, feature):
    """Build a table of the kind of `X` from columns, with its data types.

    Parameters
    ----------
    X : array or data frame (pandas, polars)
    values : dict of str to ndarray
        The columns, as `columns` returns them.
    feature : str
        The column whose type may change: it is varied over real numbers.
    """
    if not hasattr(X, "columns"):
        return np.column_stack(list(values.values()))
    table = type(X)({name: list(values[str(name)]) for name in X.columns})
    if hasattr(X, "cast"):  # polars
        types = {name: kind for name, kind in X.schema.items() if name != feature}
        return table.cast(types)
    return table.astype({name: X[name].dtype for name in X.columns if name != feature})


def feature_name(X, features):
    """Name of a feature given by number or name, alone or in a list of one.

    Raises
    ------
    ValueError
        If there is no such feature, or there are several.
    """
    names, feature = list(columns(X)), features
    if isinstance(features, (list, tuple)) and len(features) == 1:
        feature = features[0]
    if isinstance(feature, numbers.Integral) and 0 <= feature < len(names):
        return names[feature]
    if isinstance(feature, str) and feature in names:
        return feature
    seen = repr(feature) if np.ndim(feature) == 0 else f"shape {np.shape(feature)}"
    raise ValueError(
        f"features must be one column number below {len(names)}"
        + (f" or one of {names}" if hasattr(X, "columns") else "")
        + f"; got {seen}."
    )


def typical_row(X):
    """Find an observed value of every column: near the middle, or the most frequent.

    Missing ones do not count; a column without any other stays missing.
    """
    row = {}
    for name, column in columns(X).items():
        found = column[~_is_missing(column)]
        if not len(found):
            row[name] = column[0]
        elif np.issubdtype(column.dtype, np.number):
            row[name] = np.quantile(found, 0.5, method="lower")
        else:
            _, first, counts = np.unique(
                found.astype(str), return_index=True, return_counts=True
            )
            row[name] = found[first[counts.argmax()]]
    return row


def grid_along(X, feature, n_points):
    """Evenly spaced values over the range of a column.

    Raises
    ------
    ValueError
        If the column is not numeric or is constant.
    """
    column = columns(X)[feature]
    if not np.issubdtype(column.dtype, np.number):
        raise ValueError(f"feature {feature!r} must be numeric to be varied.")
    found = np.unique(column[np.isfinite(column)])
    if len(found) < 2:
        raise ValueError(f"feature {feature!r} is constant: nothing to vary.")
    return np.linspace(float(found[0]), float(found[-1]), n_points)


class Slice(NamedTuple):
    """Distributions along one input.

    Attributes
    ----------
    values : ndarray of shape (n_points,)
        Of the input.
    dist : MixtureDistribution of n_points rows
    feature_name : str
    others : str
        What the other inputs are meanwhile, in words; "" if there are none.
    """

    values: np.ndarray
    dist: object
    feature_name: str
    others: str


def vary(
    estimator,
    X,
    features,
    display,
    *,
    others="median",
    grid_resolution=200,
    subsample=50,
    random_state=None,
):
    """Vary one feature, the others held or averaged over.

    Parameters
    ----------
    estimator : estimator instance
    X : array or data frame of shape (n_samples, n_features)
    features : int or str
    display : str
        Name of who draws, for messages.
    others : {"median", "average"} or array-like of shape (n_features,)
        Hold the other features at typical values or at those of a row; or average the
        densities over (at most `subsample`) rows, which is a partial dependence.
    grid_resolution : int
    subsample : int
    random_state : int, RandomState instance or None

    Returns
    -------
    slice : Slice

    Raises
    ------
    TypeError
        If there is no density.
    ValueError
        If there is no such feature, or `others` is none of these.
    """
    feature = feature_name(X, features)
    values = grid_along(X, feature, grid_resolution)
    table = columns(X)
    if isinstance(others, str) and others == "average":
        n_samples = len(table[feature])
        rng = check_random_state(random_state)
        n_rows = min(n_samples, subsample)
        rows = np.sort(rng.choice(n_samples, n_rows, replace=False))
        held = {
            name: np.tile(column[rows], len(values)) for name, column in table.items()
        }
        words = f"averaged over {n_rows} rows"
    else:
        n_rows = 1
        row = _held_row(X, others)
        held = {name: np.array([row[name]] * len(values)) for name in table}
        del row[feature]
        words = ", ".join(f"{name} = {_word(value)}" for name, value in row.items())
    held[feature] = np.repeat(values, n_rows)
    dist = predict_dist(estimator, like(X, held, feature))
    check_density(dist, display)
    words = f"at {words}" if words and n_rows == 1 else words
    return Slice(values, average_rows(dist, n_rows), feature, words)


def _word(value):
    return f"{value:.4g}" if isinstance(value, numbers.Real) else str(value)


def _held_row(X, others):
    if isinstance(others, str):
        if others != "median":
            raise ValueError(
                'others must be "median", "average" or the values of a row; '
                f"got {others!r}."
            )
        return typical_row(X)
    names, row = list(columns(X)), np.asarray(others, dtype=object).ravel()
    if len(row) != len(names):
        raise ValueError(
            f"others must hold {len(names)} values, one a feature; got {len(row)}."
        )
    return {
        name: column.dtype.type(value)
        for (name, column), value in zip(columns(X).items(), row, strict=True)
    }


def average_rows(dist, n_rows):
    """Mean density of every `n_rows` consecutive rows: a longer mixture."""
    if n_rows == 1:
        return dist
    every = [dist[start::n_rows] for start in range(n_rows)]
    return MixtureDistribution.mix(every, np.full(n_rows, 1 / n_rows))
