# SPDX-License-Identifier: BSD-3-Clause
"""Correlated outputs: covariance_type "full" and "tied", from the kernel to answers."""

import numpy as np
import pytest
from test_training import Problem

TYPES = ["diag", "spherical", "full", "tied"]


def central_difference(func, x, i, h=3e-4):
    """Derivative by number i, from four points."""

    def at(steps):
        moved = x.copy()
        moved[i] += steps * h
        return func(moved)

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("D", range(1, 6))
def test_gradients_are_central_differences_of_the_oracle(kind, D, monkeypatch):
    """For every number of components up to 7, at outputs of the head."""
    rng = np.random.RandomState(D)
    for K in range(1, 8):
        problem = Problem(n=3, D=D, K=K, kind=kind, hidden=(), n_bins=0)
        loss, gradient = problem.gradient(monkeypatch)
        params = problem.params.astype(np.float64)
        np.testing.assert_allclose(loss, problem.loss(params), rtol=1e-11)
        bias = problem.network.layers(np.arange(len(params)))[1][-1]
        for i in rng.choice(bias, min(4, len(bias)), replace=False):
            slope = central_difference(problem.loss, params, i)
            np.testing.assert_allclose(gradient[i], slope, rtol=1e-6, atol=1e-8)
