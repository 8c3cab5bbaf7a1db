# SPDX-License-Identifier: BSD-3-Clause
"""Validation of mixtures, of the values they are asked about, and of levels."""

import numbers

import numpy as np
from sklearn.utils import check_random_state

# Weights that were computed in float32 sum to 1 up to about this.
_SUM_TOLERANCE = 1e-5
SMALLEST_SCALE = np.finfo(np.float64).tiny  # whose reciprocal is finite


def check_mixture(weights, means, scales):
    """Validate the parameters of a mixture.

    Returns
    -------
    weights, means, scales : ndarray, float64, C-contiguous
        The rows of `weights` sum to 1 exactly, up to rounding. Components without
        weight are as they were given.
    """
    weights = check_finite("weights", weights)
    means = check_finite("means", means)
    scales = check_finite("scales", scales)
    if weights.ndim != 2 or not weights.shape[1]:
        raise ValueError(
            "weights must have the shape (n_rows, n_components) with at least one "
            f"component; got {weights.shape}."
        )
    if means.shape[:2] != weights.shape or means.ndim > 3 or 0 in means.shape[2:]:
        raise ValueError(
            f"means must have the shape {weights.shape} of weights, or that and "
            f"n_outputs; got {means.shape}."
        )
    allowed = {means.shape}
    if means.ndim == 3:
        allowed.add((*weights.shape, 1))
    if scales.shape not in allowed:
        raise ValueError(
            f"scales must have the shape {' or '.join(map(str, sorted(allowed)))}; got "
            f"{scales.shape}."
        )
    if means.ndim == 3 and means.shape[2] == 1:
        means, scales = means[..., 0], scales[..., 0]
    if not np.all(scales >= SMALLEST_SCALE):
        raise ValueError(
            f"scales must be positive, at least {SMALLEST_SCALE:.3g}; got "
            f"{scales.min()}."
        )
    return check_weights(weights), means, scales


def without_idle(weights, *parts):
    """Arrays of components, those of components without weight as the heaviest one's.

    Else 0 times a huge number, or times infinity, would come into every formula. What
    all components share is left as it is.
    """
    if np.all(weights):
        return parts
    rows, idle = np.nonzero(weights == 0)
    heaviest = np.argmax(weights, axis=1)[rows]
    replaced = []
    for part in parts:
        if part is not None and part.shape[1] == weights.shape[1]:
            part = part.copy()
            part[rows, idle] = part[rows, heaviest]
        replaced.append(part)
    return tuple(replaced)


def check_weights(weights):
    """Validate finite weights (n, K); return them with an exact sum, up to rounding."""
    if not np.all(weights >= 0):
        raise ValueError(f"weights must not be negative; got {weights.min()}.")
    total = weights.sum(axis=1, keepdims=True)
    if not np.all(np.abs(total - 1) <= _SUM_TOLERANCE):
        worst = total.ravel()[np.argmax(np.abs(total - 1))]
        raise ValueError(f"weights must sum to 1 in every row; got a sum of {worst}.")
    return weights / total


def _array(values):
    """Return what the kernels take; they are compiled for writable arrays only."""
    return np.require(values, np.float64, ("C_CONTIGUOUS", "ALIGNED", "WRITEABLE"))


def check_finite(name, values):
    """Validate finite numbers; return them as float64, C-contiguous."""
    values = _array(values)
    if not np.all(np.isfinite(values)):
        bad = values[~np.isfinite(values)][0]
        raise ValueError(f"{name} must be finite; got {bad}.")
    return values


def check_values(name, values, n_rows, *, finite=False):
    """Broadcast values of one output against the rows.

    Parameters
    ----------
    name : str
    values : array-like
        A number for all rows, one per row, or a grid (n_rows, m) or (1, m).
    n_rows : int
    finite : bool, default=False
        Refuse infinity.

    Returns
    -------
    values : ndarray of shape (n_rows, m) or (1, m), C-contiguous
    shape : tuple
        Of the result: (n_rows,) or (n_rows, m).
    """
    values = check_finite(name, values) if finite else _not_nan(name, values)
    if values.ndim == 0 or values.shape == (n_rows,):
        return values.reshape(-1, 1), (n_rows,)
    if values.ndim == 2 and values.shape[0] in (1, n_rows):
        return values, (n_rows, values.shape[1])
    raise ValueError(
        f"{name} must be a number, or have the shape ({n_rows},), ({n_rows}, m) or "
        f"(1, m) for the {n_rows} rows of this distribution; got {values.shape}."
    )


def check_points(name, values, n_rows, n_outputs, *, finite=False):
    """Like `check_values` for points: (n_outputs,), (n_rows, .), ([n_rows or 1], m, .).

    Returns
    -------
    points : ndarray of shape (n_rows or 1, m, n_outputs), C-contiguous
    shape : tuple
    """
    if n_outputs == 1:
        points, shape = check_values(name, values, n_rows, finite=finite)
        return points[..., None], shape
    points = check_finite(name, values) if finite else _not_nan(name, values)
    if points.shape in ((n_outputs,), (n_rows, n_outputs)):
        return points.reshape(-1, 1, n_outputs), (n_rows,)
    if (
        points.ndim == 3
        and points.shape[0] in (1, n_rows)
        and points.shape[2] == n_outputs
    ):
        return points, (n_rows, points.shape[1])
    raise ValueError(
        f"{name} must have the shape ({n_outputs},), ({n_rows}, {n_outputs}), "
        f"({n_rows}, m, {n_outputs}) or (1, m, {n_outputs}) for the {n_rows} rows and "
        f"{n_outputs} outputs of this distribution; got {points.shape}."
    )


def check_levels(name, levels, n_rows, *, inside=False):
    """Broadcast probabilities against the rows: a list of them is for every row.

    Parameters
    ----------
    name : str
    levels : array-like
        A number, a list (m,) for every row, or a grid (n_rows, m) or (1, m): one per
        row is (n_rows, 1).
    n_rows : int
    inside : bool, default=False
        Refuse 0 and 1.

    Returns
    -------
    levels : ndarray of shape (n_rows, m) or (1, m), C-contiguous
    shape : tuple
        Of the result: (n_rows,) for a number, else (n_rows, m).
    """
    values = _not_nan(name, levels)
    if values.ndim > 2 or (values.ndim == 2 and values.shape[0] not in (1, n_rows)):
        raise ValueError(
            f"{name} must be a number, a list of them for every row, or have the shape "
            f"({n_rows}, m) for the {n_rows} rows of this distribution; got "
            f"{values.shape}."
        )
    ends = (values == 0) | (values == 1)
    outside = ~((values >= 0) & (values <= 1)) | (inside & ends)
    if np.any(outside):
        allowed = "strictly between 0 and 1" if inside else "in [0, 1]"
        raise ValueError(f"{name} must lie {allowed}; got {values[outside].flat[0]}.")
    shape = (n_rows,) if values.ndim == 0 else (n_rows, values.shape[-1])
    return np.atleast_2d(values), shape


def check_open_unit(name, value):
    """Validate one number strictly between 0 and 1."""
    if not isinstance(value, numbers.Real) or not 0 < value < 1:
        raise ValueError(
            f"{name} must be a number strictly between 0 and 1; got {value!r}."
        )
    return float(value)


def check_probabilities(name, values):
    """Validate one or several levels strictly between 0 and 1; return them as 1-D."""
    levels = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if levels.ndim != 1 or not levels.size or not np.all((levels > 0) & (levels < 1)):
        raise ValueError(
            f"{name} must lie strictly between 0 and 1, or be a non-empty list of such "
            f"numbers; got {values!r}."
        )
    return levels


def check_integer(name, value, low, high=None):
    """Validate an integer in [low, high]; None is no upper bound."""
    if (
        not isinstance(value, numbers.Integral)
        or isinstance(value, bool)
        or value < low
        or (high is not None and value > high)
    ):
        allowed = f"at least {low}" if high is None else f"{low} to {high}"
        raise ValueError(f"{name} must be an integer, {allowed}; got {value!r}.")
    return int(value)


def check_choice(name, value, allowed):
    """Validate one of several words."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {value!r}.")
    return value


def check_positive(name, value):
    """Validate one finite number above 0."""
    if not isinstance(value, numbers.Real) or not 0 < value < np.inf:
        raise ValueError(f"{name} must be a positive number; got {value!r}.")
    return float(value)


def new_generator(random_state):
    """Return a `RandomState`; None is fresh entropy, never NumPy's global generator."""
    if random_state is None:
        return np.random.RandomState()
    return check_random_state(random_state)


def _not_nan(name, values):
    values = _array(values)
    if np.any(np.isnan(values)):
        raise ValueError(f"{name} must not be NaN.")
    return values
