# SPDX-License-Identifier: BSD-3-Clause
"""Inverse problems: one input, several separate answers."""

from typing import Any

import numpy as np
from scipy import special

from skmdn._typing import Seed
from skmdn.datasets._common import density, generator, log_normal


def make_inverse_sine(
    n_samples: int = 500, *, return_density: bool = False, random_state: Seed = None
) -> tuple[Any, ...]:
    """Draw the inverse sine: up to three answers for one input.

    The answer y is uniform on (0, 1) and the input is its noisy image,
    ``x = sin(2 pi y) + 0.2 u (cos(2 pi y) + 2)`` with u uniform on (0, 1). Near
    x = 0.25 the answers are close to 0, 0.5 and 1, which a squared-error fit averages.

    Parameters
    ----------
    n_samples : int, default=500
        Number of rows.
    return_density : bool, default=False
        Whether to return the true conditional log-density as well.
    random_state : int, RandomState instance or None, default=None
        Seed, or generator to draw from.

    Returns
    -------
    X : ndarray of shape (n_samples, 1)
        Inputs.
    y : ndarray of shape (n_samples,)
        Answers.
    logpdf : callable
        ``logpdf(X, y)`` of shape (n_samples,), exact; minus infinity where the pair is
        impossible. Only returned if `return_density` is True.

    Notes
    -----
    Given y the input is uniform on an interval of length ``0.2 (cos(2 pi y) + 2)``. By
    Bayes' rule p(y | x) is proportional to the inverse of that length, on the arcs of y
    whose interval holds x. The ends of the arcs and the integral are closed forms.

    References
    ----------
    .. [1] A. Mufti, "WorldModels", 2018, toy problem of the mixture density network.
       https://github.com/AdeelMufti/WorldModels

    Examples
    --------
    >>> from skmdn.datasets import make_inverse_sine
    >>> X, y, logpdf = make_inverse_sine(return_density=True, random_state=0)
    >>> X.shape, y.shape
    ((500, 1), (500,))
    >>> float(logpdf([[0.25]], [0.9]).item())
    -inf
    """
    rng = generator(n_samples, random_state)
    y = rng.uniform(size=n_samples)
    noise = rng.uniform(size=n_samples)
    angle = 2 * np.pi * y
    x = np.sin(angle) + 0.2 * noise * (np.cos(angle) + 2)
    return (x[:, None], y, _inverse_sine_logpdf) if return_density else (x[:, None], y)


@density(n_features=1)
def _inverse_sine_logpdf(X, y):
    x, angle = X[:, 0], 2 * np.pi * y
    # The two conditions sin(a) <= x and x - 0.4 <= sin(a) + 0.2 cos(a) change at:
    tilt, radius = np.arctan(0.2), np.hypot(1, 0.2)
    lower = np.arcsin(np.clip(x, -1, 1))
    upper = np.arcsin(np.clip((x - 0.4) / radius, -1, 1))
    ends = [lower, np.pi - lower, upper - tilt, np.pi - upper - tilt]
    edges = np.zeros((6, len(x)))
    edges[1:5] = np.sort(np.mod(ends, 2 * np.pi), axis=0)
    edges[5] = 2 * np.pi
    arcs = _inverse_sine_possible(x, (edges[1:] + edges[:-1]) / 2)
    # Integral of 1 / (2 + cos a), continuous on [0, 2 pi].
    half, root = edges / 2, np.sqrt(3)
    integral = 2 / root * np.arctan2(np.sin(half), root * np.cos(half))
    total = np.sum(arcs * np.diff(integral, axis=0), axis=0)
    total = np.maximum(total, np.finfo(float).tiny)  # x at the very end of its range
    inside = (y >= 0) & (y <= 1) & _inverse_sine_possible(x, angle)
    logpdf = np.log(2 * np.pi) - np.log(2 + np.cos(angle)) - np.log(total)
    return np.where(inside, logpdf, -np.inf)


def _inverse_sine_possible(x, angle):
    """Whether the noise can carry the answer at this angle to the input x."""
    lowest = np.sin(angle)
    return (lowest <= x) & (x <= lowest + 0.2 * (np.cos(angle) + 2))


def make_flipped_wave(
    n_samples: int = 1000,
    *,
    shuffle: bool = True,
    return_density: bool = False,
    random_state: Seed = None,
) -> tuple[Any, ...]:
    """Draw the flipped wave: a noisy wave over time, with time as the answer.

    The answers ``t = linspace(-10, 10, n_samples)`` are equally spaced and the input is
    ``wave = 7 sin(0.75 t) + 0.5 t + e`` with e standard normal: up to five answers.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    shuffle : bool, default=True
        Whether to shuffle the rows, as cross-validation without shuffling needs it; if
        False the answers are in rising order.
    return_density : bool, default=False
        Whether to return the true conditional log-density as well.
    random_state : int, RandomState instance or None, default=None
        Seed, or generator to draw from.

    Returns
    -------
    X : ndarray of shape (n_samples, 1)
        Inputs: the wave.
    y : ndarray of shape (n_samples,)
        Answers: the time t.
    logpdf : callable
        ``logpdf(X, y)`` of shape (n_samples,) for t uniform on [-10, 10]; minus
        infinity outside. Only returned if `return_density` is True.

    Notes
    -----
    By Bayes' rule p(t | wave) is proportional to the normal density of the noise. Its
    integral over t has no closed form: it is a Gauss-Legendre sum over 1000 nodes, with
    a relative error below 1e-10 for waves between -40 and 40 (the data stay within 17).

    References
    ----------
    .. [1] D. Nielsen, "Deep Learning Cage Match: Multi-layer NN vs Mixture Density
       network", 2018. https://github.com/DuaneNielsen/mixturedensity

    Examples
    --------
    >>> from skmdn.datasets import make_flipped_wave
    >>> X, y = make_flipped_wave(shuffle=False, random_state=0)
    >>> float(y[0]), float(y[-1])
    (-10.0, 10.0)
    """
    rng = generator(n_samples, random_state)
    t = np.linspace(-10, 10, n_samples)
    wave = _wave(t) + rng.standard_normal(n_samples)
    if shuffle:
        order = rng.permutation(n_samples)
        t, wave = t[order], wave[order]
    X = wave[:, None]
    return (X, t, _flipped_wave_logpdf) if return_density else (X, t)


def _wave(t):
    return 7 * np.sin(0.75 * t) + 0.5 * t


@density(n_features=1)
def _flipped_wave_logpdf(X, y):
    # The integral depends on the input alone: a grid of answers costs it once.
    wave, rows = np.unique(X[:, 0], return_inverse=True)
    nodes, weights = np.polynomial.legendre.leggauss(10)
    panels = np.linspace(-9.9, 9.9, 100)[:, None]  # centres, 0.2 wide
    t, log_weights = (panels + 0.1 * nodes).ravel(), np.tile(np.log(0.1 * weights), 100)
    log_total = np.empty(len(wave))
    for first in range(0, len(wave), 1000):  # in blocks, for 1000 nodes each
        block = slice(first, first + 1000)
        log_noise = log_normal(wave[block, None], _wave(t), 1.0)
        log_total[block] = special.logsumexp(log_noise + log_weights, axis=1)
    logpdf = log_normal(X[:, 0], _wave(y), 1.0) - log_total[rows]
    return np.where(np.abs(y) <= 10, logpdf, -np.inf)


def make_bishop_inverse(
    n_samples: int = 1000, *, return_density: bool = False, random_state: Seed = None
) -> tuple[Any, ...]:
    """Draw Bishop's inverse problem: predict t from ``x = t + 0.3 sin(2 pi t) + e``.

    The answer t is uniform on (0, 1) and the noise e is uniform on (-0.1, 0.1). In the
    middle of its range one input has answers on three branches of the curve.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    return_density : bool, default=False
        Whether to return the true conditional log-density as well.
    random_state : int, RandomState instance or None, default=None
        Seed, or generator to draw from.

    Returns
    -------
    X : ndarray of shape (n_samples, 1)
        Inputs.
    y : ndarray of shape (n_samples,)
        Answers.
    logpdf : callable
        ``logpdf(X, y)`` of shape (n_samples,), exact; minus infinity where the pair is
        impossible. Only returned if `return_density` is True.

    Notes
    -----
    Given x the answer is uniform over all t whose image is within 0.1 of x: one stretch
    on each of the three monotone branches of the curve, with ends found by bisection.

    References
    ----------
    .. [1] C. M. Bishop, "Mixture density networks", Aston University NCRG/94/004, 1994.

    Examples
    --------
    >>> from skmdn.datasets import make_bishop_inverse
    >>> X, y, logpdf = make_bishop_inverse(return_density=True, random_state=0)
    >>> bool(logpdf([[0.5]], [0.5]) == logpdf([[0.5]], [0.2]))
    True
    """
    rng = generator(n_samples, random_state)
    t = rng.uniform(size=n_samples)
    X = (_bishop_curve(t) + rng.uniform(-0.1, 0.1, size=n_samples))[:, None]
    return (X, t, _bishop_inverse_logpdf) if return_density else (X, t)


def _bishop_curve(t):
    return t + 0.3 * np.sin(2 * np.pi * t)


@density(n_features=1)
def _bishop_inverse_logpdf(X, y):
    x = X[:, 0]
    # The length depends on the input alone: a grid of answers costs it once.
    different, rows = np.unique(x, return_inverse=True)
    ends = _bishop_branches(different + 0.1) - _bishop_branches(different - 0.1)
    length = np.maximum(np.sum(np.abs(ends), axis=0), np.finfo(float).tiny)[rows]
    inside = (y >= 0) & (y <= 1) & (np.abs(x - _bishop_curve(y)) <= 0.1)
    return np.where(inside, -np.log(length), -np.inf)


def _bishop_branches(level):
    """Solve curve(t) = level on the rising, falling and rising branch: (3, n).

    A branch that never reaches the level answers with its nearer end.
    """
    turn = np.arccos(-1 / (0.6 * np.pi)) / (2 * np.pi)  # where the slope is zero
    low = np.tile([[0.0], [turn], [1 - turn]], len(level))
    high = np.tile([[turn], [1 - turn], [1.0]], len(level))
    direction = np.array([[1.0], [-1.0], [1.0]])
    for _ in range(55):  # halves an interval below one to the last bit
        middle = (low + high) / 2
        below = direction * (_bishop_curve(middle) - level) < 0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2
