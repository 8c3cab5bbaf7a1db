# SPDX-License-Identifier: BSD-3-Clause
"""Every family of components, through every generic test; and how to add one."""

import math
from dataclasses import replace
from types import FunctionType

import numba
import numpy as np
import pytest
from mixtures import each_family
from scipy.integrate import quad

from skmdn._families import FAMILIES
from skmdn._families.base import check_family
from skmdn._families.numerical import Numerical

QUICK = {"n_components": 2, "hidden_layer_sizes": 8, "random_state": 0}


def logpdf(family, z):
    return family.log_density(z, 1.0)[0] - family.log_normaliser


@each_family
def test_the_density_integrates_to_one(families, name):
    def pdf(z):
        return math.exp(logpdf(families[name], z))

    total = quad(pdf, -60, 0, epsabs=1e-13)[0] + quad(pdf, 0, 60, epsabs=1e-13)[0]
    assert total == pytest.approx(1, abs=1e-10)


@each_family
def test_derivatives_are_those_of_the_density(families, name):
    family, step = families[name], 1e-6
    for distance in (-7.3, -0.4, 0.02, 1.0, 25.0):
        for log_scale in (-2.0, 0.0, 1.5):

            def value(distance, log_scale):
                return family.log_density(distance, math.exp(-2 * log_scale))[0]

            _, by_location, by_scale = family.log_density(
                distance, math.exp(-2 * log_scale)
            )
            difference = value(distance - step, log_scale) - value(
                distance + step, log_scale
            )
            assert by_location == pytest.approx(difference / (2 * step), rel=1e-6)
            difference = value(distance, log_scale + step) - value(
                distance, log_scale - step
            )
            assert by_scale == pytest.approx(
                difference / (2 * step), rel=1e-5, abs=1e-8
            )


@each_family
def test_the_source_needs_nothing_but_elementary_functions(families, name):
    # What another device compiles: the same bytecode on that device's functions.
    plain = families[name].log_density
    free = {**plain.__globals__, "exp": math.exp, "log": math.log, "sqrt": math.sqrt}
    moved = numba.njit(FunctionType(plain.__code__, free))
    for distance, precision in ((0.3, 2.0), (-5.0, 0.1)):
        expected = plain(distance, precision)
        np.testing.assert_allclose(moved(distance, precision), expected, rtol=1e-14)


@each_family
def test_single_precision_stays_single(families, name):
    found = families[name].log_density(np.float32(0.7), np.float32(1.5))
    assert [type(number) for number in found] == [np.float32] * 3


@each_family
def test_closed_forms_and_quadrature_agree(families, name):
    family = families[name]
    numerical = Numerical(family.log_density, family.log_normaliser)
    z = np.array([-25.0, -6.0, -1.3, -0.2, 0.0, 0.4, 2.0, 7.0, 30.0])
    np.testing.assert_allclose(numerical.cdf(z), family.standard.cdf(z), rtol=1e-10)
    np.testing.assert_allclose(numerical.sf(z), family.standard.sf(z), rtol=1e-10)
    q = np.array([1e-30, 1e-4, 0.2, 0.5, 0.7])
    for method in ("ppf", "isf"):
        np.testing.assert_allclose(
            getattr(numerical, method)(q), getattr(family.standard, method)(q),
            rtol=1e-10, atol=1e-12,
        )  # fmt: skip
    for order in (1, 2, 3, 4):
        expected = family.standard.moment(order)
        assert numerical.moment(order) == pytest.approx(expected, abs=1e-10)


@each_family
def test_quadrature_is_what_it_says(families, name):
    family = families[name]
    numerical = Numerical(family.log_density, family.log_normaliser)

    def integral(func, low, high):
        kink = min(max(low, 0), high)
        return quad(func, low, kink, epsabs=1e-13)[0] + quad(func, kink, high)[0]

    def pdf(x):
        return math.exp(logpdf(family, x))

    for z in (-3.0, 0.1, 2.5):
        assert numerical.pdf(z) == pytest.approx(pdf(z), rel=1e-12)
        assert numerical.cdf(z) == pytest.approx(integral(pdf, -80, z), rel=1e-10)
        for order in (1, 2):
            above = integral(lambda x: (x - z) ** order * pdf(x), z, 80)  # noqa: B023 (called at once)
            below = integral(lambda x: (z - x) ** order * pdf(x), -80, z)  # noqa: B023 (called at once)
            assert numerical.excess(z, order) == pytest.approx(above, abs=1e-10)
            assert numerical.shortage(z, order) == pytest.approx(below, abs=1e-10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": None}, "must have a name"),
        ({"name": "two words"}, "must have a name"),
        ({"log_density": None}, "lacks the function log_density"),
        ({"log_density": lambda z: z}, "must take"),
        ({"log_density": lambda z, p: -z * z}, "three finite numbers"),
        ({"log_density": lambda z, p: (-z * z * p, z, -1.0)}, "derivative by the loc"),
        ({"log_normaliser": None}, "log_normaliser"),
        ({"log_normaliser": math.inf}, "log_normaliser"),
        ({"log_normaliser": 0.0}, "integrates to 2.5"),
        ({"closed_form": object()}, "lacks the method cdf"),
    ],
    ids=str,
)
def test_a_missing_piece_is_named(changes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        check_family(replace(FAMILIES["gaussian"], **changes))
