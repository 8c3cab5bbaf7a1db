# SPDX-License-Identifier: BSD-3-Clause
"""Mixtures to test with."""

import numpy as np
import pytest
from hypothesis import strategies as st

from skmdn import MixtureDistribution
from skmdn._families import FAMILIES

N, K = 7, 4
NEAR_ONE = 1 - 1e-14

# With the fixture `families`.
each_family = pytest.mark.parametrize("name", [*FAMILIES, "hypsecant"])


def random_mixture(
    seed, n=N, n_components=K, n_outputs=None, spread=0.5, family="gaussian"
):
    rng = np.random.RandomState(seed)
    shape = (n, n_components) + (() if n_outputs is None else (n_outputs,))
    return MixtureDistribution(
        rng.dirichlet(np.ones(n_components), n),
        2 * rng.normal(size=shape),
        np.exp(spread * rng.normal(size=shape)),
        family=family,
    )


def random_correlations(rng, n, n_components, n_outputs):
    factors = rng.normal(size=(n, n_components, n_outputs, n_outputs + 1))
    covariances = factors @ np.swapaxes(factors, 2, 3)
    std = np.sqrt(np.einsum("nkii->nki", covariances))
    return covariances / (std[..., :, None] * std[..., None, :])


def rows_of(dist):
    return list(zip(dist.weights, dist.means, dist.scales, strict=True))


def correlated(seed, n_outputs=2, n=5, n_components=3, shared=False):
    rng = np.random.RandomState(seed)
    shape = (n, n_components, n_outputs)
    return MixtureDistribution(
        rng.dirichlet(np.ones(n_components), n),
        2 * rng.normal(size=shape),
        np.exp(0.5 * rng.normal(size=shape)),
        correlations=random_correlations(
            rng, n, 1 if shared else n_components, shape[2]
        ),
    )


def correlated_rows(dist):
    """Weights, means and covariances of every row, for the oracle."""
    return list(zip(dist.weights, dist.means, dist.covariances, strict=True))


def of_correlation(rho, means=((0.0, 0.0),), scales=((1.0, 1.0),), weights=(1.0,)):
    matrices = [[[[1.0, rho], [rho, 1.0]]]]
    return MixtureDistribution([weights], [means], [scales], correlations=matrices)


each_shape = pytest.mark.parametrize(
    ("n_outputs", "shared"), [(2, False), (2, True), (3, False), (5, True)]
)


@st.composite
def mixtures(draw, max_components=4):
    n = draw(st.integers(1, max_components))
    number = st.floats(-50, 50)
    means = draw(st.lists(number, min_size=n, max_size=n))
    scales = draw(st.lists(st.floats(0.05, 20), min_size=n, max_size=n))
    weights = draw(st.lists(st.floats(0.02, 1), min_size=n, max_size=n))
    return MixtureDistribution([np.array(weights) / sum(weights)], [means], [scales])
