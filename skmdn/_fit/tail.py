# SPDX-License-Identifier: BSD-3-Clause
r"""The tail that every estimator's mixture gets: it bounds what a row can cost.

A mixture of Gaussians gives a row that lies far from all of its components a density
that falls like :math:`\exp(-z^2 / 2)`: one such row outweighs thousands of others. So a
little weight goes to a few Gaussians around the predicted mean, whose scales are powers
of 8 in units of the predicted standard deviation of that row. Their weights fall by
:math:`8^{-4}` each, so that the density falls like :math:`z^{-5}`, and every term adds
as much to the fourth moment as the one before and less to the lower ones. Around
correlated components, those of the tail have the correlations of the whole mixture.

Measured by ``benchmarks/bench_tail.py``: standard deviations grow by 0.03 %, the excess
kurtosis by 0.06, and rows where all is well lose 0.0002 nats. With heavier tails those
that are far cost a few nats less, but the kurtosis says nothing of the prediction.
"""

import numpy as np

from skmdn._fit.chains import mixture_factor

# Number of components of the tail: the last ones of every predicted distribution.
N_COMPONENTS = 6
# Weight of them all together.
WEIGHT = 0.0002
# In units of the predicted standard deviation.
SCALES = 2.0 * 8.0 ** np.arange(N_COMPONENTS)
_PARTS = 8.0 ** (-4.0 * np.arange(N_COMPONENTS))
WEIGHTS = WEIGHT * (_PARTS / _PARTS.sum())
# Squares of scales must not overflow.
_LARGEST_SCALE = 1e153


def with_tail(core):
    """Mixture of a distribution and its tail; mean and skewed shape are the same.

    Parameters
    ----------
    core : MixtureDistribution

    Returns
    -------
    distribution : MixtureDistribution
        Of `N_COMPONENTS` more components, the last ones.
    """
    return with_tails([(slice(None), core)], len(core))


def with_tails(cores, n_rows):
    """Put the distributions of parts of the rows together, each with its tail.

    Everything is written once, to where it stays: for a few rows and for many, copies
    would take as long as the rest of a prediction.

    Parameters
    ----------
    cores : iterable of (slice, MixtureDistribution)
        Rows, and the distribution at these; all rows once.
    n_rows : int

    Returns
    -------
    distribution : MixtureDistribution
        Of `N_COMPONENTS` more components, the last ones.
    """
    arrays = lower = None
    for rows, core in cores:
        n_own, joint = core.n_components, core.means.shape[2:]
        if arrays is None:
            shape = (n_rows, n_own + N_COMPONENTS)
            if core._factors is not None:
                lower = np.empty((*shape, *joint, *joint))
            arrays = [np.empty(shape), np.empty(shape + joint), np.empty(shape + joint)]
            arrays[0][:, n_own:] = WEIGHTS
        weights, means, scales = (a[rows] for a in arrays)
        np.multiply(core.weights, 1 - WEIGHT, out=weights[:, :n_own])
        means[:, :n_own], scales[:, :n_own] = core.means, core.scales
        means[:, n_own:] = core.mean()[:, None]
        tail = scales[:, n_own:]
        factors = SCALES.reshape(-1, *(1 for _ in joint))
        np.multiply(core.std()[:, None], factors, out=tail)
        np.minimum(tail, _LARGEST_SCALE, out=tail)
        if lower is not None:
            lower[rows, :n_own] = core._factors
            lower[rows, n_own:] = mixture_factor(core)[:, None]
    weights, means, scales = arrays
    return core._replace(weights=weights, means=means, scales=scales, factors=lower)


def n_tail_components(distribution):
    """How many of the last components are a tail: all of `N_COMPONENTS`, or none."""
    last = distribution.weights[:, -N_COMPONENTS:]
    expected = np.broadcast_to(WEIGHTS, (len(last), N_COMPONENTS))
    is_tail = last.shape == expected.shape and np.allclose(last, expected, atol=0)
    return N_COMPONENTS if is_tail else 0
