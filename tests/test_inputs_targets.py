# SPDX-License-Identifier: BSD-3-Clause
"""Scaling against the oracle, its invariances, and its limits."""

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skmdn._engine.limits import LARGEST_SCALED
from skmdn._fit.inputs import InputEncoding
from skmdn._fit.rows import merge_duplicates
from skmdn._fit.statistics import weighted_quantile
from skmdn._fit.targets import TargetScaling, atom_spacing

# Few distinct values, so that ties are common; weights of repeated rows are whole.
VALUES = st.integers(-4, 4).map(float)
COUNTS = st.integers(1, 3)
ANY_FINITE = st.floats(allow_nan=False, allow_infinity=False)
TINY = np.finfo(float).tiny


@pytest.fixture
def rng():
    return np.random.RandomState(0)


@st.composite
def weighted_rows(draw, n_columns=2):
    n = draw(st.integers(1, 12))
    rows = draw(arrays(float, (n, n_columns), elements=VALUES))
    return rows, draw(arrays(int, n, elements=COUNTS))


@given(weighted_rows(1), st.floats(0, 1))
def test_quantile_equals_oracle(rows, q):
    values, weights = rows[0][:, 0], rows[1]
    expected = naive.weighted_quantile(values.tolist(), q, weights.tolist())
    assert weighted_quantile(values, [q], weights)[0] == expected


@given(weighted_rows(), st.floats(0, 1), st.sampled_from([1e-300, 0.1, 3.0, 1e300]))
def test_quantile_sees_weights_as_repeats(rows, q, unit):
    X, counts = rows
    expected = weighted_quantile(
        np.repeat(X, counts, axis=0), [q], np.ones(sum(counts))
    )
    np.testing.assert_array_equal(weighted_quantile(X, [q], counts * unit), expected)


@given(weighted_rows(), st.floats(0, 1))
def test_quantile_mirrors(rows, q):
    X, counts = rows
    mirrored = -weighted_quantile(-X, [1 - q], counts)
    np.testing.assert_array_equal(weighted_quantile(X, [q], counts), mirrored)


def test_center_and_scale_of_normal_data(rng):
    X = rng.normal([5.0, -1e9], [2.0, 1e-3], size=(4000, 2))
    X[:20] = 1e15  # Half a percent of gross outliers.
    encoding = InputEncoding.fit(X, np.ones(4000), n_bins=0)
    np.testing.assert_allclose(encoding.center, [5.0, -1e9], rtol=0.02)
    np.testing.assert_allclose(encoding.scale, [2.0, 1e-3], rtol=0.05)


def test_scale_falls_back_when_half_of_the_rows_are_equal(rng):
    x = np.zeros(1000)
    x[:300] = rng.normal(size=300)
    x[300] = 1e9
    scale = InputEncoding.fit(x[:, None], np.ones(1000), n_bins=0).scale
    assert 0.3 < scale[0] < 1.0
    almost_constant = np.zeros(1000)
    almost_constant[0] = 1.0
    scale = InputEncoding.fit(almost_constant[:, None], np.ones(1000), n_bins=0).scale
    np.testing.assert_allclose(scale, almost_constant.std())


@pytest.mark.parametrize("value", [0.0, 7.0, 1e300, -1e-300, 5e-324])
def test_constant_column_is_zero_whatever_comes_later(value):
    encoding = InputEncoding.fit(np.full((10, 1), value), np.ones(10), n_bins=8)
    assert encoding.n_features_out == 1
    later = np.array([[value], [0.0], [1.0], [1e9], [-1.7e308]])
    np.testing.assert_array_equal(
        encoding.encode(encoding.scale_inputs(later)), np.zeros((5, 1))
    )


def test_rounding_noise_is_constant():
    x = np.array([0.1 + 0.2, 0.3, 0.3, 0.3])[:, None]
    encoding = InputEncoding.fit(x, np.ones(4), n_bins=8)
    np.testing.assert_array_equal(encoding.scale_inputs(x + 1e3), np.zeros((4, 1)))


@pytest.mark.parametrize(
    ("value", "scale"), [(1e-6, 1e-6), (-7.0, 7.0), (1e100, 1e100), (0.0, 1.0)]
)
def test_scale_of_a_constant_target_is_its_magnitude(value, scale):
    scaling = TargetScaling.fit(np.full((9, 1), value), np.ones(9))
    np.testing.assert_array_equal(np.abs(scaling.scale), [scale])


def test_encoding_equals_oracle(rng):
    X = rng.standard_cauchy((300, 3))
    X[:, 1] = rng.randint(3, size=300)  # A column with a bin between each two values.
    X[:, 2] = rng.randint(2, size=300)  # Two values: the scaled input says it all.
    weight = rng.uniform(size=300)
    encoding = InputEncoding.fit(X, weight, n_bins=8)
    Xs = encoding.scale_inputs(X)
    encoded = encoding.encode(Xs)
    assert encoded.shape == (300, encoding.n_features_out) == (300, 3 + 8 + 2)

    unique = np.unique(Xs[:, 1])
    quantiles = [
        naive.weighted_quantile(Xs[:, 0].tolist(), q, weight.tolist())
        for q in np.linspace(0, 1, 9)
    ]
    for j, edges, columns in ((0, quantiles, range(3, 11)), (1, unique, range(11, 13))):
        plain = np.array([naive.piecewise_linear(x, edges) for x in Xs[:, j]])
        expected = 1.5 * (plain - np.average(plain, axis=0, weights=weight))
        np.testing.assert_allclose(encoded[:, columns], expected, rtol=0, atol=1e-9)
    clipped = [[naive.smooth_clip(x) for x in row] for row in Xs]
    np.testing.assert_allclose(encoded[:, :3], clipped, rtol=1e-14)


def test_no_bins_no_encoding(rng):
    X = rng.normal(size=(50, 4))
    encoding = InputEncoding.fit(X, np.ones(50), n_bins=0)
    assert encoding.n_features_out == 4
    assert encoding.encode(encoding.scale_inputs(X)).shape == (50, 4)


def test_coinciding_edges_are_merged(rng):
    x = np.concatenate([np.zeros(800), rng.uniform(1, 2, 200), [2 + 1e-7]])[:, None]
    encoding = InputEncoding.fit(x, np.ones(len(x)), n_bins=8)
    assert 2 <= encoding.n_features_out - 1 < 8
    assert np.all(encoding.bin_slope < 1.5e4)


@pytest.mark.parametrize(
    "column",
    [
        lambda rng: 1e-16 * rng.normal(size=200),
        lambda rng: 1.0 + 1e-16 * rng.normal(size=200),
        lambda rng: 1e300 * rng.normal(size=200),
        lambda rng: np.where(rng.uniform(size=200) < 0.5, -1.7e308, 1.7e308),
        lambda rng: 1e-320 * rng.normal(size=200),
        lambda rng: np.append(rng.normal(size=199), 1e300),
        lambda rng: rng.standard_cauchy(200) ** 9,
        lambda rng: np.append(np.zeros(199), 1e-300),
    ],
)
def test_inputs_are_bounded(rng, column):
    x = column(rng)[:, None]
    encoding = InputEncoding.fit(x, np.ones(200), n_bins=8)
    Xs = encoding.scale_inputs(np.vstack([x, [[0.0], [1.79e308], [-1.79e308]]]))
    assert Xs.flags.c_contiguous
    assert np.abs(Xs).max() <= LARGEST_SCALED
    encoded = encoding.encode(Xs)
    assert np.abs(encoded).max() <= 3.0
    assert np.isfinite(encoded.astype(np.float32)).all()
    for array in encoding:
        assert np.isfinite(array).all()
        assert array.flags.c_contiguous


@given(arrays(float, (7, 2), elements=ANY_FINITE))
def test_any_finite_input_is_bounded(X):
    encoding = InputEncoding.fit(X, np.ones(7), n_bins=4)
    assert np.abs(encoding.encode(encoding.scale_inputs(X))).max() <= 3.0


@given(weighted_rows(), weighted_rows())
def test_statistics_see_weights_as_repeats(rows, targets):
    (X, counts), (Y, _) = rows, targets
    Y = np.resize(Y, X.shape)
    repeated = np.repeat(X, counts, axis=0), np.repeat(Y, counts, axis=0)
    ones = np.ones(sum(counts))
    for fit, rows, again in (
        (lambda a, w: InputEncoding.fit(a, w, 3), X, repeated[0]),
        (TargetScaling.fit, Y, repeated[1]),
    ):
        for one, two in zip(fit(rows, counts), fit(again, ones), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-12)


@given(st.sampled_from([1e-30, 1e-3, 7.0, 1e30]), st.sampled_from([-1, 1]))
def test_scaled_targets_do_not_depend_on_unit_and_sign(unit, sign):
    rng = np.random.RandomState(0)
    Y, weight = rng.gamma(2.0, size=(101, 2)), rng.uniform(size=101)
    scaling = TargetScaling.fit(Y, weight)
    moved = sign * unit * Y + unit * np.array([3.0, -40.0])
    other = TargetScaling.fit(moved, weight)
    np.testing.assert_allclose(
        other.transform(moved), scaling.transform(Y), rtol=1e-11, atol=1e-12
    )
    expected = scaling.log_jacobian + 2 * np.log(unit)
    np.testing.assert_allclose(other.log_jacobian, expected, rtol=1e-12)


def test_permuted_outputs_are_scaled_alike(rng):
    Y, weight = rng.gamma(2.0, size=(101, 3)), rng.uniform(size=101)
    scaling = TargetScaling.fit(Y, weight)
    permuted = TargetScaling.fit(Y[:, [2, 0, 1]], weight)
    np.testing.assert_array_equal(permuted.center, scaling.center[[2, 0, 1]])
    np.testing.assert_array_equal(permuted.scale, scaling.scale[[2, 0, 1]])


def test_components_return_to_the_units_of_the_targets(rng):
    Y = -rng.gamma(2.0, size=(100, 1))  # The long tail points down: mirrored inside.
    scaling = TargetScaling.fit(Y, np.ones(100))
    means, scales, _ = scaling.inverse_components(
        scaling.transform(Y), np.ones((100, 1))
    )
    np.testing.assert_allclose(means, Y, rtol=1e-12)
    assert (scales > 0).all()
    np.testing.assert_allclose(np.log(scales), scaling.log_jacobian)


@pytest.mark.parametrize(
    "y",
    [
        np.zeros(20),
        np.full(20, 3.0),
        np.full(20, -1e100),
        np.append(np.zeros(19), 1e-320),
        1e100 + np.arange(20.0),
        np.append(np.linspace(-1, 1, 19), 1e6),
        np.append(np.linspace(-1, 1, 19), 1e140),
    ],
)
def test_target_scale_is_usable(y):
    scaling = TargetScaling.fit(y[:, None], np.ones(20))
    assert np.isfinite(scaling.center).all()
    magnitude = np.abs(scaling.scale)
    assert ((magnitude >= 1e-150) & (magnitude <= 1e150)).all()
    assert np.isfinite(scaling.log_jacobian)
    assert np.abs(scaling.transform(y[:, None])).max() <= LARGEST_SCALED


def test_one_outlier_does_not_move_the_scale(rng):
    y = rng.normal(size=1000)
    y[0] = 1e6
    scaling = TargetScaling.fit(y[:, None], np.ones(1000))
    np.testing.assert_allclose(np.abs(scaling.scale), 1.0, rtol=0.1)


@pytest.mark.parametrize("a", [1e-30, -2.0, 1e30])
def test_atoms(rng, a):
    levels = rng.randint(6, size=400)  # Six values, spacing 1.
    counts = rng.poisson(5000, size=3000)  # A grid of hundreds of values, spacing 1.
    continuous = rng.normal(size=400)
    zero_inflated = np.where(rng.uniform(size=400) < 0.5, 0.0, continuous)
    for y, spacing in (
        (levels, 1.0),
        (counts, 1.0),
        (continuous, 0.0),
        (zero_inflated, 0.0),
        (np.ones(50), 0.0),
        (np.arange(5.0), 0.0),
    ):
        found = atom_spacing(a * y[:, None], np.ones(len(y)))
        np.testing.assert_allclose(found, [abs(a) * spacing], rtol=1e-6)


@given(weighted_rows(3), st.randoms(use_true_random=False))
def test_merged_rows_depend_on_content_alone(rows, random):
    data, counts = rows
    expected = merge_duplicates(data[:, :2], data[:, 2:], counts.astype(float))
    repeated = np.repeat(data, counts, axis=0)
    repeated = np.vstack([repeated, np.full((1, 3), 9.0)])
    order = random.sample(range(len(repeated)), len(repeated))
    weight = np.append(np.ones(sum(counts)), 0.0)  # A row without weight is no row.
    merged = merge_duplicates(
        -0.0 + repeated[order, :2], repeated[order, 2:], weight[order]
    )
    for one, two in zip(merged, expected, strict=True):
        assert one.tobytes() == two.tobytes()
    np.testing.assert_allclose(merged[2].mean(), 1.0)


@given(weighted_rows(3))
def test_merged_rows_are_the_distinct_rows(rows):
    data, counts = rows
    X, Y, weight = merge_duplicates(data[:, :2], data[:, 2:], counts.astype(float))
    merged = {(*x, *y): w for x, y, w in zip(X, Y, weight, strict=True)}
    plain = {}
    for row, count in zip(data.tolist(), counts, strict=True):
        plain[tuple(row)] = plain.get(tuple(row), 0) + count
    assert merged.keys() == plain.keys()
    unit = sum(counts) / len(plain)
    for row, w in merged.items():
        np.testing.assert_allclose(w, plain[row] / unit)


def test_order_of_rows_looks_random_and_ignores_the_unit_of_y(rng):
    X, y = np.arange(500.0)[:, None], rng.normal(size=(500, 1))
    weight = np.ones(500)
    merged = merge_duplicates(X, y, weight)
    assert abs(np.corrcoef(merged[0][:, 0], np.arange(500))[0, 1]) < 0.2
    np.testing.assert_array_equal(merge_duplicates(X, 3 * y + 1, weight)[0], merged[0])


@pytest.mark.parametrize("unit", [1e-300, TINY, 1e308])
def test_extreme_weights(rng, unit):
    X, y = rng.normal(size=(30, 2)), rng.normal(size=(30, 1))
    weight = merge_duplicates(X, y, np.full(30, unit))[2]
    np.testing.assert_allclose(weight, 1.0)


def test_rows_that_no_sum_can_see_do_not_set_the_scale():
    X = np.arange(10.0)[:, None]
    y, weight = np.where(X < 9, 0.0, 1e9) + 0.1 * X, np.where(X < 9, 1.0, 1e-190)[:, 0]
    merged = merge_duplicates(X, y, weight)
    assert len(merged[0]) == 9


def test_quartiles_that_differ_by_rounding_are_equal():
    rng = np.random.RandomState(0)
    y = 2.28 + 1e-15 * rng.normal(size=300)
    y[:9] += 1.0
    scaling = TargetScaling.fit(y[:, None], np.ones(300))
    assert 0.05 < abs(scaling.scale[0]) < 1
