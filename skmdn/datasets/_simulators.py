# SPDX-License-Identifier: BSD-3-Clause
"""Simulators: y drawn from a known density given x, one difficulty each."""

from typing import Any

import numpy as np
from scipy import special, stats

from skmdn._typing import Seed
from skmdn.datasets._common import density, generator, log_normal


def make_heteroscedastic(
    n_samples: int = 1000, *, return_density: bool = False, random_state: Seed = None
) -> tuple[Any, ...]:
    """Draw a sine whose noise triples from one end to the other.

    ``y = 2 sin(2 pi x) + (0.5 + x) e``, with x uniform on (0, 1) and e standard normal.

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
        Targets.
    logpdf : callable
        ``logpdf(X, y)`` of shape (n_samples,). Only returned if `return_density` is
        True.

    References
    ----------
    .. [1] P. W. Goldberg, C. K. I. Williams and C. M. Bishop, "Regression with
       input-dependent noise: a Gaussian process treatment", NIPS 10, 1997.

    Examples
    --------
    >>> from skmdn.datasets import make_heteroscedastic
    >>> X, y = make_heteroscedastic(random_state=0)
    >>> bool(y[X[:, 0] < 0.1].std() < y[X[:, 0] > 0.9].std())
    True
    """
    rng = generator(n_samples, random_state)
    x = rng.uniform(size=n_samples)
    mean, scale = _heteroscedastic_moments(x)
    y = mean + scale * rng.standard_normal(n_samples)
    X = x[:, None]
    return (X, y, _heteroscedastic_logpdf) if return_density else (X, y)


def _heteroscedastic_moments(x):
    return 2 * np.sin(2 * np.pi * x), 0.5 + x


@density(n_features=1, support=(0, 1))
def _heteroscedastic_logpdf(X, y):
    return log_normal(y, *_heteroscedastic_moments(X[:, 0]))


def make_bimodal(
    n_samples: int = 1000, *, return_density: bool = False, random_state: Seed = None
) -> tuple[Any, ...]:
    """Draw two branches that cross: a sine or a cosine, with even odds.

    ``y = 10 sin(x) + e`` or ``y = 10 cos(x) + e``, each with probability 0.5, with x
    uniform on (-0.5, 2) and e standard normal.

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
        Targets.
    logpdf : callable
        ``logpdf(X, y)`` of shape (n_samples,). Only returned if `return_density` is
        True.

    References
    ----------
    .. [1] S. Depeweg, J. M. Hernandez-Lobato, F. Doshi-Velez and S. Udluft,
       "Decomposition of uncertainty in Bayesian deep learning for efficient and
       risk-sensitive learning", ICML 2018.

    Examples
    --------
    >>> from skmdn.datasets import make_bimodal
    >>> X, y, logpdf = make_bimodal(return_density=True, random_state=0)
    >>> bool(logpdf([[0.0]], [10.0]) == logpdf([[0.0]], [0.0]))
    True
    """
    rng = generator(n_samples, random_state)
    x = rng.uniform(-0.5, 2, size=n_samples)
    branch = rng.randint(2, size=n_samples)
    y = 10 * np.where(branch, np.sin(x), np.cos(x)) + rng.standard_normal(n_samples)
    X = x[:, None]
    return (X, y, _bimodal_logpdf) if return_density else (X, y)


@density(n_features=1)
def _bimodal_logpdf(X, y):
    sine = log_normal(y, 10 * np.sin(X[:, 0]), 1.0)
    cosine = log_normal(y, 10 * np.cos(X[:, 0]), 1.0)
    return np.logaddexp(sine, cosine) - np.log(2)


def make_skewed(
    n_samples: int = 1000, *, return_density: bool = False, random_state: Seed = None
) -> tuple[Any, ...]:
    """Draw a skew-normal target whose location, scale and skewness move with x.

    x is normal with mean 0 and standard deviation 0.5; y is skew-normal with location
    ``0.1 x``, scale ``0.05 + 0.1 x^2`` and shape ``-4 + 3.9 / (1 + exp(-x))``.

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
        Targets.
    logpdf : callable
        ``logpdf(X, y)`` of shape (n_samples,). Only returned if `return_density` is
        True.

    References
    ----------
    .. [1] J. Rothfuss, F. Ferreira, S. Walther and M. Ulrich, "Conditional density
       estimation with neural networks: best practices and benchmarks",
       arXiv:1903.00954, 2019, simulator SkewNormal.

    Examples
    --------
    >>> from scipy.stats import skew
    >>> from skmdn.datasets import make_skewed
    >>> X, y = make_skewed(random_state=0)
    >>> bool(skew(y) < 0)
    True
    """
    rng = generator(n_samples, random_state)
    x = 0.5 * rng.standard_normal(n_samples)
    shape, location, scale = _skewed_parameters(x)
    y = stats.skewnorm.rvs(shape, location, scale, n_samples, random_state=rng)
    X = x[:, None]
    return (X, y, _skewed_logpdf) if return_density else (X, y)


def _skewed_parameters(x):
    return -4 + 3.9 * special.expit(x), 0.1 * x, 0.05 + 0.1 * x**2


@density(n_features=1)
def _skewed_logpdf(X, y):
    shape, location, scale = _skewed_parameters(X[:, 0])
    # SciPy's skewnorm.logpdf underflows to minus infinity in the light tail.
    skewing = np.log(2) + special.log_ndtr(shape * (y - location) / scale)
    return log_normal(y, location, scale) + skewing


def make_heavy_tailed(
    n_samples: int = 1000, *, return_density: bool = False, random_state: Seed = None
) -> tuple[Any, ...]:
    """Draw a target with infinite variance: Student's t with two degrees of freedom.

    ``y = 2 x + sin(2 pi x) + (0.1 + 0.2 x) e``, with x uniform on (0, 1).

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
        Targets.
    logpdf : callable
        ``logpdf(X, y)`` of shape (n_samples,). Only returned if `return_density` is
        True.

    Examples
    --------
    >>> import numpy as np
    >>> from skmdn.datasets import make_heavy_tailed
    >>> X, y = make_heavy_tailed(random_state=0)
    >>> bool(np.ptp(y) > 10 * np.subtract(*np.quantile(y, [0.75, 0.25])))
    True
    """
    rng = generator(n_samples, random_state)
    x = rng.uniform(size=n_samples)
    location, scale = _heavy_tailed_parameters(x)
    y = location + scale * rng.standard_t(2, size=n_samples)
    X = x[:, None]
    return (X, y, _heavy_tailed_logpdf) if return_density else (X, y)


def _heavy_tailed_parameters(x):
    return 2 * x + np.sin(2 * np.pi * x), 0.1 + 0.2 * x


@density(n_features=1, support=(0, 1))
def _heavy_tailed_logpdf(X, y):
    return stats.t.logpdf(y, 2, *_heavy_tailed_parameters(X[:, 0]))


def make_atoms(
    n_samples: int = 1000, *, return_density: bool = False, random_state: Seed = None
) -> tuple[Any, ...]:
    """Draw a discrete target: one of six values, with odds that move with x.

    x is uniform on (0, 1); y is the value ``k`` of {3, 4, 5, 6, 7, 8} with probability
    proportional to ``exp(-(k - 3 - 5 x)^2 / 2)``: like grades given by a jury.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    return_density : bool, default=False
        Whether to return the true conditional log-probability as well.
    random_state : int, RandomState instance or None, default=None
        Seed, or generator to draw from.

    Returns
    -------
    X : ndarray of shape (n_samples, 1)
        Inputs.
    y : ndarray of shape (n_samples,)
        Targets, six distinct values.
    logpdf : callable
        ``logpdf(X, y)`` of shape (n_samples,): the log-probability of the value, minus
        infinity for any other. Only returned if `return_density` is True.

    Notes
    -----
    A log-probability and a log-density cannot be compared: a density may grow without
    bound at the values. Compare probabilities of cells such as ``k - 0.5 < y <= k +
    0.5``, or proper scores without density, such as the CRPS.

    Examples
    --------
    >>> import numpy as np
    >>> from skmdn.datasets import make_atoms
    >>> X, y = make_atoms(random_state=0)
    >>> np.unique(y)
    array([3., 4., 5., 6., 7., 8.])
    """
    rng = generator(n_samples, random_state)
    x = rng.uniform(size=n_samples)
    cumulative = np.cumsum(np.exp(_atoms_log_probabilities(x)), axis=1)
    # The last sum may round below one: only the first five decide.
    index = np.sum(rng.uniform(size=(n_samples, 1)) > cumulative[:, :-1], axis=1)
    X, y = x[:, None], _ATOMS[index]
    return (X, y, _atoms_logpdf) if return_density else (X, y)


_ATOMS = np.arange(3.0, 9.0)


def _atoms_log_probabilities(x):
    return special.log_softmax(-0.5 * (_ATOMS - 3 - 5 * x[:, None]) ** 2, axis=1)


@density(n_features=1)
def _atoms_logpdf(X, y):
    hit = y[:, None] == _ATOMS
    return np.where(hit, _atoms_log_probabilities(X[:, 0]), -np.inf).max(axis=1)


def make_interactions(
    n_samples: int = 1000, *, return_density: bool = False, random_state: Seed = None
) -> tuple[Any, ...]:
    """Draw a target that ten inputs move, spread and split in two by interactions.

    The inputs are uniform on (0, 1). The location is Friedman's function,
    ``f = 10 sin(pi x0 x1) + 20 (x2 - 0.5)^2 + 10 x3 + 5 x4``, the scale is
    ``exp(2 x0 x5 - 1)``, and with probability ``1 / (1 + exp(5 - 20 x6 x7))`` the
    target is 10 greater. The inputs x8 and x9 do nothing.

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
    X : ndarray of shape (n_samples, 10)
        Inputs.
    y : ndarray of shape (n_samples,)
        Targets.
    logpdf : callable
        ``logpdf(X, y)`` of shape (n_samples,). Only returned if `return_density` is
        True.

    References
    ----------
    .. [1] J. H. Friedman, "Multivariate adaptive regression splines", Annals of
       Statistics 19(1), 1991; see `sklearn.datasets.make_friedman1`.

    Examples
    --------
    >>> from skmdn.datasets import make_interactions
    >>> X, y = make_interactions(random_state=0)
    >>> X.shape
    (1000, 10)
    """
    rng = generator(n_samples, random_state)
    X = rng.uniform(size=(n_samples, 10))
    location, scale, logit = _interactions_parameters(X)
    shifted = rng.uniform(size=n_samples) < special.expit(logit)
    y = location + 10 * shifted + scale * rng.standard_normal(n_samples)
    return (X, y, _interactions_logpdf) if return_density else (X, y)


def _interactions_parameters(X):
    location = 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2
    location += 10 * X[:, 3] + 5 * X[:, 4]
    return location, np.exp(2 * X[:, 0] * X[:, 5] - 1), 20 * X[:, 6] * X[:, 7] - 5


@density(n_features=10)
def _interactions_logpdf(X, y):
    location, scale, logit = _interactions_parameters(X)
    stay = special.log_expit(-logit) + log_normal(y, location, scale)
    shift = special.log_expit(logit) + log_normal(y, location + 10, scale)
    return np.logaddexp(stay, shift)
