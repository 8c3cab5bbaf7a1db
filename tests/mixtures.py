# SPDX-License-Identifier: BSD-3-Clause
"""Mixtures to test with."""

import numpy as np
import pytest
from hypothesis import strategies as st

from skmdn import MixtureDistribution
from skmdn._families import FAMILIES

N, K = 7, 4

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


def rows_of(dist):
    return list(zip(dist.weights, dist.means, dist.scales, strict=True))


@st.composite
def mixtures(draw, max_components=4):
    n = draw(st.integers(1, max_components))
    number = st.floats(-50, 50)
    means = draw(st.lists(number, min_size=n, max_size=n))
    scales = draw(st.lists(st.floats(0.05, 20), min_size=n, max_size=n))
    weights = draw(st.lists(st.floats(0.02, 1), min_size=n, max_size=n))
    return MixtureDistribution([np.array(weights) / sum(weights)], [means], [scales])
