# SPDX-License-Identifier: BSD-3-Clause
"""A simulator of several outputs whose correlation depends on the input."""

import numbers
from typing import Any

import numpy as np
from sklearn.utils import check_scalar

from skmdn._typing import Seed
from skmdn.datasets._common import density, generator, log_normal


def make_correlated(
    n_samples: int = 1000,
    n_outputs: int = 2,
    *,
    return_density: bool = False,
    random_state: Seed = None,
) -> tuple[Any, ...]:
    """Draw sines whose noise triples, and turns from alike to opposite.

    ``y_d = 2 sin(2 pi x + d) + (0.5 + x) e_d``, with x uniform on (0, 1). The noise is
    standard normal; that of outputs i and j has the correlation ``r ** abs(i - j)``
    with ``r = 0.95 cos(pi x)``. A model of independent outputs loses
    ``(n_outputs - 1) * 0.421`` nats, the mean of ``-log(1 - r ** 2) / 2`` for each
    output but the first.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    n_outputs : int, default=2
        Number of targets, at least 2.
    return_density : bool, default=False
        Whether to return the true conditional log-density as well.
    random_state : int, RandomState instance or None, default=None
        Seed, or generator to draw from.

    Returns
    -------
    X : ndarray of shape (n_samples, 1)
        Inputs.
    y : ndarray of shape (n_samples, n_outputs)
        Targets.
    logpdf : callable
        ``logpdf(X, y)`` of shape (n_samples,), of all outputs together. Only returned
        if `return_density` is True.

    Examples
    --------
    >>> import numpy as np
    >>> from skmdn.datasets import make_correlated
    >>> X, y = make_correlated(random_state=0)
    >>> alike, opposite = X[:, 0] < 0.1, X[:, 0] > 0.9
    >>> [round(float(np.corrcoef(y[rows].T)[0, 1])) for rows in (alike, opposite)]
    [1, -1]
    """
    check_scalar(n_outputs, "n_outputs", numbers.Integral, min_val=2)
    rng = generator(n_samples, random_state)
    x = rng.uniform(size=n_samples)
    r = _correlation(x)
    e = rng.standard_normal((n_samples, n_outputs))
    for d in range(1, n_outputs):
        e[:, d] = r * e[:, d - 1] + np.sqrt(1 - r**2) * e[:, d]
    y = _locations(x, n_outputs) + _scale(x)[:, None] * e
    X = x[:, None]
    return (X, y, _correlated_logpdf) if return_density else (X, y)


def _locations(x, n_outputs):
    return 2 * np.sin(2 * np.pi * x[:, None] + np.arange(n_outputs))


def _scale(x):
    return 0.5 + x


def _correlation(x):
    return 0.95 * np.cos(np.pi * x)


@density(n_features=1, support=(0, 1), multi_output=True)
def _correlated_logpdf(X, y):
    x = X[:, 0]
    r, scale = _correlation(x), _scale(x)
    e = (y - _locations(x, y.shape[1])) / scale[:, None]
    total = log_normal(e[:, 0], 0.0, 1.0)
    for d in range(1, y.shape[1]):
        # Given the one before, an output is independent of the others before.
        total += log_normal(e[:, d], r * e[:, d - 1], np.sqrt(1 - r**2))
    return total - y.shape[1] * np.log(scale)
