# SPDX-License-Identifier: BSD-3-Clause
"""Counter-based random numbers of a training."""

import naive
import numpy as np
import pytest

from skmdn._engine import streams


@pytest.mark.parametrize("n", [1, 2, 3, 5, 16, 37, 100, 1001])
def test_every_key_is_a_permutation_that_the_oracle_has(n):
    for key in (0, 7, 2**32 - 1):
        order = streams.permutation(n, key)
        assert sorted(order) == list(range(n))
        np.testing.assert_array_equal(order, naive.keyed_permutation(n, key))


def keys(n_keys):
    return [streams.epoch_key(12345, epoch) for epoch in range(n_keys)]


@pytest.mark.parametrize("n", [6, 37, 200])
def test_permutations_look_drawn(n):
    orders = np.array([streams.permutation(n, key) for key in keys(1500)], dtype=int)
    # Where every row goes is uniform (chi-squared, in standard deviations).
    expected = len(orders) / n
    for column in (orders[:, 0], orders[:, -1], np.argmin(orders, axis=1)):
        counts = np.bincount(column, minlength=n)
        chi2 = np.sum((counts - expected) ** 2 / expected)
        assert abs(chi2 - (n - 1)) / np.sqrt(2 * (n - 1)) < 4
    # Fixed points are Poisson, neighbours stay neighbours twice a permutation.
    fixed = np.sum(orders == np.arange(n), axis=1)
    assert fixed.mean() == pytest.approx(1, abs=0.12)
    assert fixed.var() == pytest.approx(1, abs=0.25)
    adjacent = np.sum(np.abs(np.diff(orders, axis=1)) == 1, axis=1)
    assert adjacent.mean() == pytest.approx(2 * (n - 1) / n, abs=0.15)


def test_epochs_steps_and_seeds_differ():
    found = {
        streams.epoch_key(seed, epoch) for seed in range(50) for epoch in range(50)
    }
    assert len(found) == 2500
    seeds = streams.step_seeds(keys(1)[0], 1000)
    assert seeds.dtype == np.uint32
    assert len(set(seeds.tolist())) == 1000
    np.testing.assert_array_equal(seeds[:10], streams.step_seeds(keys(1)[0], 10))
