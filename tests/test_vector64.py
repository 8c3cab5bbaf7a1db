# SPDX-License-Identifier: BSD-3-Clause
"""The float64 functions of the kernels, in units in the last place of exact values."""

import mpmath
import numpy as np
import pytest

from skmdn._distribution.kernels import normal
from skmdn._jit import vector64
from skmdn._jit.policy import JIT, compiled
from skmdn._jit.vector import wide_vectors


@compiled
def _exp(x, out):
    wide_vectors()
    for i in range(x.size):
        out[i] = vector64.exp64(x[i])


@compiled
def _log(x, out):
    wide_vectors()
    for i in range(x.size):
        out[i] = vector64.log64(x[i])


@compiled
def _cos_turn(x, out):
    wide_vectors()
    for i in range(x.size):
        out[i] = vector64.cos_turn64(x[i])


@compiled
def _normal_cdf(x, out):
    wide_vectors()
    for i in range(x.size):
        out[i] = normal.normal_cdf(x[i])


def values_of(kernel, x):
    x = np.asarray(x, dtype=np.float64)
    out = np.empty_like(x)
    kernel(x, out)
    return out


def exact_values(func, x):
    with mpmath.workdps(40):
        return [func(mpmath.mpf(float(value))) for value in x]


def ulps(values, exact):
    return max(
        abs(float((mpmath.mpf(float(v)) - e) / np.spacing(abs(float(e)))))
        for v, e in zip(values, exact, strict=True)
    )


@pytest.mark.parametrize(
    ("kernel", "func", "low", "high", "most"),
    [
        (_exp, mpmath.exp, -706, 709.7, 1.0),
        (_exp, mpmath.exp, -1, 1, 1.0),
        (_log, mpmath.log, 1e-9, 1e9, 1.0),
        (_log, mpmath.log, 0.5, 2, 1.0),
        (_normal_cdf, mpmath.ncdf, -37, 0, 8.0),
        (_normal_cdf, mpmath.ncdf, 0, 9, 4.0),
    ],
)
def test_relative_accuracy(kernel, func, low, high, most):
    x = np.random.RandomState(0).uniform(low, high, 1000)
    assert ulps(values_of(kernel, x), exact_values(func, x)) <= most


def test_log_of_all_magnitudes():
    x = np.exp(np.random.RandomState(0).uniform(-744, 709, 1000))
    assert ulps(values_of(_log, x), exact_values(mpmath.log, x)) <= 1


def test_cosine():
    x = np.random.RandomState(0).uniform(size=1000)
    exact = exact_values(lambda turn: mpmath.cos(2 * mpmath.pi * turn), x)
    difference = values_of(_cos_turn, x) - np.array(exact, dtype=float)
    assert np.max(np.abs(difference)) < 1e-15


@pytest.mark.skipif(not JIT, reason="NumPy's own functions warn here")
def test_limits():
    x = [-np.inf, -1e5, -709.0, 709.78, 710.0, np.inf, np.nan]
    limits = [0, 0, 0, 1.7928227943945155e308, np.inf, np.inf, np.nan]
    np.testing.assert_allclose(values_of(_exp, x), limits, rtol=1e-15)
    x = [0.0, -0.0, 1.0, np.inf, -1.0, -np.inf, np.nan]
    limits = [-np.inf, -np.inf, 0, np.inf, np.nan, np.nan, np.nan]
    np.testing.assert_array_equal(values_of(_log, x), limits)
    x = [-np.inf, -60, 60, np.inf, np.nan]
    np.testing.assert_array_equal(values_of(_normal_cdf, x), [0, 0, 1, 1, np.nan])
