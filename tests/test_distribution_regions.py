# SPDX-License-Identifier: BSD-3-Clause
"""Modes and highest-density regions of one output where float64 ends."""

import math

import numpy as np
import pytest

from skmdn import MixtureDistribution


@pytest.mark.parametrize("coverage", [1e-9, 0.5, 0.999])
def test_ends_beyond_the_resolution_are_rounded_outwards(coverage):
    dist = MixtureDistribution([[1.0]], [[1e20]], [[1.0]])
    beside = np.nextafter(1e20, [0, np.inf])
    np.testing.assert_array_equal(dist.hdr(coverage), [[beside]])


def test_component_beyond_the_resolution_on_a_slope():
    # Its density turns twice between neighbouring numbers.
    dist = MixtureDistribution(
        [[0.25, 0.25, 0.5]], [[-1.0, -1e-5, 1.0]], [[0.5, 1e-100, 2.0]]
    )
    assert dist.mode() == [-1e-5]
    (places,), _, (masses,) = dist.modes(return_mass=True)
    assert places[1] == -1e-5
    assert np.all(masses > 0.1)
    beside = np.nextafter(-1e-5, [-1, 1])
    np.testing.assert_array_equal(dist.hdr(0.2), [[beside]])
    (region,) = dist.hdr(0.8)
    assert dist.prob(region[:, 0], region[:, 1]).sum() == pytest.approx(0.8, abs=1e-9)


def test_components_farther_apart_than_squares_of_their_scales():
    dist = MixtureDistribution([[0.4, 0.6]], [[-373.02, 0.0]], [[1e-300, 1e-300]])
    (places,), _, (masses,) = dist.modes(return_mass=True)
    np.testing.assert_array_equal(places, [-373.02, 0.0])
    np.testing.assert_allclose(masses, [0.4, 0.6])
    (region,) = dist.hdr(0.5)
    np.testing.assert_array_equal(region[0], np.nextafter(-373.02, [-400, 0]))
    # Where the other is denser than the first is at its top.
    half = 1e-300 * math.sqrt(2 * math.log(0.6 / 0.4))
    np.testing.assert_allclose(region[1], [-half, half], rtol=1e-6)


@pytest.mark.parametrize("more", [-1e-8, 0, 1e-10, 1e-9, 3e-9, 1e-8, 1e-7])
def test_coverage_at_the_top_of_a_lower_mode(more):
    # There the mass grows by more than 1e-9 between neighbouring levels.
    dist = MixtureDistribution([[0.6, 0.4]], [[0.0, 50.0]], [[1.0, 1.0]])
    coverage = 0.6 * math.erf(math.sqrt(math.log(0.6 / 0.4))) + more
    (region,) = dist.hdr(coverage)
    mass = dist.prob(region[:, :1].T, region[:, 1:].T).sum()
    assert mass == pytest.approx(coverage, abs=1.1e-11)


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
