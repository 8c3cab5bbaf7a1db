# SPDX-License-Identifier: BSD-3-Clause
"""Validation that all metrics share."""

import numpy as np
from sklearn.utils import check_array

from skmdn._distribution.errstate import under


def check_rows(y_true, dist, method, name="y_true"):
    """Validate targets against the distribution that was predicted for them.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
    dist : MixtureDistribution or the like
    method : str
        The method of `dist` that the metric needs.
    name : str, default="y_true"
        What the caller calls the targets.

    Returns
    -------
    y_true : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        One column becomes one dimension.

    Raises
    ------
    TypeError
        If `dist` has no such method.
    ValueError
        If `y_true` is not finite or does not fit `dist`.
    """
    if not hasattr(dist, method):
        raise TypeError(
            f"dist must be a distribution with the method {method!r}, as predict_dist "
            f"returns it; got {type(dist).__name__}."
        )
    y = check_array(y_true, ensure_2d=False, dtype=np.float64, input_name=name)
    if len(y) != len(dist):
        raise ValueError(f"{name} has {len(y)} rows, dist has {len(dist)}.")
    n_outputs = 1 if y.ndim == 1 else y.shape[1]
    if n_outputs != dist.n_outputs:
        raise ValueError(f"{name} has {n_outputs} outputs, dist has {dist.n_outputs}.")
    return y[:, 0] if y.ndim == 2 and n_outputs == 1 else y


@under(under="ignore")
def normalised_weight(sample_weight, n_samples):
    """Weights of the rows that sum to one; equal weights for None.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, all are zero, or there are too many or
        too few.
    """
    if sample_weight is None:
        return np.full(n_samples, 1 / n_samples)
    weight = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weight.shape != (n_samples,):
        raise ValueError(
            f"sample_weight must have shape ({n_samples},), got {weight.shape}."
        )
    if weight.min() < 0 or not weight.max() > 0:
        raise ValueError(
            "sample_weight must not be negative and not be zero everywhere; its values "
            f"lie between {weight.min()} and {weight.max()}."
        )
    # Dividing by the greatest first: the sum of huge weights would overflow.
    weight = weight / weight.max()
    return weight / weight.sum()


@under(under="ignore")
def weighted_mean(values, sample_weight):
    """Mean over rows; rows of zero weight have no say, whatever their value."""
    weight = normalised_weight(sample_weight, len(values))
    used = weight > 0
    return float(values[used] @ weight[used])
