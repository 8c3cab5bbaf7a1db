# SPDX-License-Identifier: BSD-3-Clause
"""What the generators share: validation and the normal log-density."""

import functools
import numbers

import numpy as np
from sklearn.utils import check_random_state, check_scalar, check_X_y


def generator(n_samples, random_state):
    """Validate what every generator takes; return the random number generator."""
    check_scalar(n_samples, "n_samples", numbers.Integral, min_val=1)
    if random_state is None:
        return (
            np.random.RandomState()
        )  # Fresh, where scikit-learn takes the global one.
    return check_random_state(random_state)


def density(n_features, support=(-np.inf, np.inf), *, multi_output=False):
    """Decorate a log-density with the validation of its rows.

    `support` is where the inputs must lie for the formula to be a density.
    """
    low, high = support

    def decorate(logpdf):
        @functools.wraps(logpdf)
        def checked(X, y):
            X, y = check_X_y(
                X, y, dtype=np.float64, y_numeric=True, multi_output=multi_output
            )
            if X.shape[1] != n_features:
                raise ValueError(
                    f"X has {X.shape[1]} features, but this density is conditional "
                    f"on {n_features}."
                )
            if X.min() < low or X.max() > high:
                raise ValueError(
                    f"X must be within [{low}, {high}], where this problem draws it; "
                    f"got values from {X.min()} to {X.max()}."
                )
            return logpdf(X, y.astype(np.float64))

        return checked

    return decorate


def log_normal(y, mean, scale):
    """Log-density of a normal distribution."""
    return -0.5 * ((y - mean) / scale) ** 2 - np.log(np.sqrt(2 * np.pi) * scale)
