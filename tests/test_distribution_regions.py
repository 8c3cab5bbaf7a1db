# SPDX-License-Identifier: BSD-3-Clause
"""Modes and highest-density regions of one output where float64 ends."""

import numpy as np
import pytest

from skmdn import MixtureDistribution


def test_region_of_a_mean_beyond_the_resolution():
    dist = MixtureDistribution([[1.0]], [[1e20]], [[1.0]])
    np.testing.assert_array_equal(dist.hdr(0.9), [[[1e20, 1e20]]])


@pytest.mark.parametrize("unit", [1e-300, 1e300])
def test_modes_and_regions_in_any_unit(unit):
    dist = MixtureDistribution([[1.0]], [[0.0]], [[unit]])
    assert dist.modes()[0] == [0.0]
    (region,) = dist.hdr(0.9)
    np.testing.assert_allclose(region / unit, [[-1.644853627, 1.644853627]])


@pytest.mark.parametrize("coverage", [1e-12, 1e-9, 1e-7, 1e-5])
def test_small_coverages_are_held(coverage):
    dist = MixtureDistribution([[0.4, 0.6]], [[-3.0, 3.0]], [[0.5, 0.7]])
    (((low, high),),) = dist.hdr(coverage)
    # The density is flat at its maximum: mass is width times height.
    held = dist.pdf(0.5 * (low + high))[0] * (high - low)
    assert held == pytest.approx(coverage, rel=1e-3)


def test_component_of_no_weight_and_a_huge_mean():
    dist = MixtureDistribution([[1.0, 0.0]], [[0.0, 1e200]], [[1.0, 1.0]])
    alone = MixtureDistribution([[1.0]], [[0.0]], [[1.0]])
    np.testing.assert_array_equal(dist.hdr(0.9), alone.hdr(0.9))
    np.testing.assert_array_equal(dist.modes(), alone.modes())


def test_hostile_mixtures_have_modes_and_regions():
    for seed in range(60):
        rng = np.random.RandomState(seed)
        n = rng.randint(1, 7)
        weights = rng.dirichlet(np.full(n, rng.choice([0.01, 1])))
        size = 300 * rng.choice([0.01, 0.1, 1])
        means = rng.normal(size=n) * 10.0 ** rng.uniform(-size, size, n)
        scales = 10.0 ** rng.uniform(-size, size, n)
        dist = MixtureDistribution([weights], [means], [scales])
        with np.errstate(all="raise"):
            (places,), _, (masses,) = dist.modes(return_mass=True)
            (region,) = dist.hdr(0.9)
        assert np.all(np.isfinite(places))
        assert np.all(np.diff(places) > 0)
        assert masses.sum() == pytest.approx(1)
        assert np.all(np.diff(region.ravel()) >= 0)
        if np.all(scales[weights > 0] > 1e7 * np.spacing(np.abs(means[weights > 0]))):
            assert dist.prob(region[:, 0][None], region[:, 1][None]).sum() == (
                pytest.approx(0.9, abs=1e-8)
            )
