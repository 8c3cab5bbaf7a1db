# SPDX-License-Identifier: BSD-3-Clause
"""Pictures along one input: rows built from arrays and frames, what they show."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from branches import Branches, make_branches
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skmdn import MDNRegressor, MixtureDistribution
from skmdn.inspection import (
    ComponentDisplay,
    ConditionalDensityDisplay,
    FanChartDisplay,
)
from skmdn.inspection._inputs import typical_row


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def data():
    return make_branches()


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_conditional_density_shows_density_mean_quantiles_and_modes(data):
    model, X, y = data
    display = ConditionalDensityDisplay.from_estimator(
        model, X, 0, y, grid_resolution=30
    )
    middle = np.quantile(X["dose"], 0.5, method="lower")
    values = np.linspace(X["age (years)"].min(), X["age (years)"].max(), 30)
    dist = model.predict_dist(np.c_[values, np.full(30, middle)])
    ax, mesh = display.ax_, display.mesh_
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("age (years)", "response (mm)")
    assert display.colorbar_.ax.get_ylabel() == "density"
    y_grid = mesh.get_coordinates()[:, 0, 1]
    shown = np.reshape(mesh.get_array(), (len(y_grid), 30))
    np.testing.assert_allclose(shown.T, dist.pdf(y_grid[None, :]))
    np.testing.assert_allclose(display.mean_line_.get_ydata(), dist.mean())
    for line, level in zip(display.quantile_lines_, (0.05, 0.5, 0.95), strict=True):
        np.testing.assert_allclose(line.get_ydata(), dist.ppf(level))
    np.testing.assert_array_equal(display.scatter_.get_offsets()[:, 1], y)
    # The branches are 4 scales apart and more: each has its mode at its mean.
    np.testing.assert_allclose(
        np.sort(display.modes_.get_offsets()[:, 1]),
        np.sort(dist.means.ravel()),
        atol=0.01,
    )
    assert legend_texts(ax) == ["quantiles 5, 50, 95 %", "mean", "modes", "data"]


def test_conditional_density_without_extras(data):
    model, X, _ = data
    display = ConditionalDensityDisplay.from_estimator(
        model, X, "dose", quantiles=(), mean=False, modes=False
    )
    assert display.ax_.get_xlabel() == "dose"
    assert display.ax_.get_ylabel() == "y"
    assert display.scatter_ is display.mean_line_ is display.modes_ is None
    assert display.quantile_lines_ == []
    assert display.ax_.get_legend() is None


def test_others_are_held_at_a_row_or_averaged_over(data):
    model, X, y = data
    options = {"grid_resolution": 5}
    held = ConditionalDensityDisplay.from_estimator(
        model, X, 0, y, others=[0.0, 3.5], **options
    )
    expected = model.predict_dist(np.c_[held.values, np.full(5, 3.5)])
    np.testing.assert_array_equal(held.dist.means, expected.means)
    averaged = ConditionalDensityDisplay.from_estimator(
        model, X, 0, y, others="average", subsample=1000, **options
    )
    at = np.array([-2.0, 0.0, 1.5])
    rows = [np.c_[np.full(80, value), X["dose"]] for value in averaged.values]
    expected = [model.predict_dist(each).pdf(at[None, :]).mean(axis=0) for each in rows]
    np.testing.assert_allclose(averaged.dist.pdf(at[None, :]), expected, rtol=1e-10)
    few = ConditionalDensityDisplay.from_estimator(
        model, X, 0, y, others="average", subsample=7, random_state=0, **options
    )
    assert few.dist.n_components == 7 * 2
    assert held.ax_.get_title() == "Conditional density\nat dose = 3.5"
    assert few.ax_.get_title().endswith("averaged over 7 rows")


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, np.array])
def test_arrays_and_frames_of_several_kinds(frame):
    rng = np.random.RandomState(0)
    columns = {"a": rng.uniform(size=40), "n": rng.randint(0, 5, 40).astype(np.int64)}
    X = np.c_[columns["a"], columns["n"]] if frame is np.array else frame(columns)
    seen = []

    class Spy(Branches):
        def predict_dist(self, X):
            seen.append(X)
            return super().predict_dist(X)

    display = ConditionalDensityDisplay.from_estimator(Spy(), X, 0)
    assert type(seen[0]) is type(X)
    if frame is np.array:
        assert display.ax_.get_xlabel() == "x0"
    else:
        assert display.ax_.get_xlabel() == "a"
        assert list(seen[0].columns) == ["a", "n"]
        # A type that was integer stays so, unless it is varied.
        assert seen[0]["n"].dtype == X["n"].dtype
        ConditionalDensityDisplay.from_estimator(Spy(), X, "n")
        assert np.asarray(seen[1]["n"]).dtype == np.float64


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_a_category_is_held_at_the_most_frequent(kind):
    rng = np.random.RandomState(0)
    group = np.array(["b", "a", "b", "c"] * 25)
    x = rng.uniform(-1, 1, 100)
    if kind == "pandas":
        X = pd.DataFrame({"x": x, "group": pd.Categorical(group)})
    else:
        X = pl.DataFrame({"x": x, "group": group}).with_columns(
            pl.col("group").cast(pl.Categorical)
        )
    encode = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["group"]), remainder="passthrough"
    )
    mdn = MDNRegressor(1, hidden_layer_sizes=(), max_iter=2, random_state=0)
    model = make_pipeline(encode, mdn).fit(X, x)
    display = ConditionalDensityDisplay.from_estimator(model, X, "x", x)
    held = display.values
    if kind == "pandas":
        rows = pd.DataFrame({"x": held, "group": pd.Categorical(["b"] * len(held))})
    else:
        rows = pl.DataFrame({"x": held, "group": ["b"] * len(held)})
    expected = mdn_dist(model, rows)
    np.testing.assert_allclose(display.dist.means, expected.means, rtol=1e-6)
    with pytest.raises(ValueError, match="feature 'group' must be numeric"):
        ConditionalDensityDisplay.from_estimator(model, X, "group")


@pytest.mark.parametrize("kind", ["numpy", "pandas", "nullable", "polars"])
def test_others_are_held_at_observed_values_where_some_are_missing(kind):
    rng = np.random.RandomState(0)
    x, z = rng.uniform(size=60), rng.randint(0, 3, 60).astype(float)
    z[::2] = np.nan  # more than any value that was observed
    seen = []

    class Spy(Branches):
        def predict_dist(self, X):
            seen.append(np.asarray(X)[:, :2].astype(float))
            return super().predict_dist(np.nan_to_num(seen[-1]))

    X = {
        "numpy": np.c_[x, z],
        "pandas": pd.DataFrame({"x": x, "z": z}),
        "nullable": pd.DataFrame({"x": x, "z": pd.array(z, dtype="Int64")}),
        "polars": pl.DataFrame({"x": x, "z": z}).with_columns(
            pl.col("z").fill_nan(None).cast(pl.Int64)
        ),
    }[kind]
    display = ConditionalDensityDisplay.from_estimator(Spy(), X, 0)
    middle = np.quantile(z[1::2], 0.5, method="lower")
    np.testing.assert_array_equal(seen[0][:, 1], middle)
    assert display.ax_.get_title().endswith(f"= {middle:.4g}")
    # The missing ones do not set the range either.
    display = ConditionalDensityDisplay.from_estimator(Spy(), X, 1)
    assert (display.values[0], display.values[-1]) == (0, 2)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_missing_category_is_not_the_most_frequent(missing):
    group = np.array([missing, "a", missing, "b", "b", missing], dtype=object)
    for column in (group, pd.Categorical(group), pd.array(group, dtype="string")):
        frame = pd.DataFrame({"x": np.arange(6.0), "group": column})
        assert typical_row(frame)["group"] == "b"
    codes = pd.DataFrame({"code": pd.Categorical([1, 1, 1, 5, 9])})
    assert typical_row(codes)["code"] == 1  # a category, though a number
    assert np.isnan(typical_row(np.full((3, 1), np.nan))["x0"])


def test_far_rows_and_light_components_do_not_rule_the_axes():
    n = 50
    weights = np.tile([0.995, 0.005], (n, 1))
    means = np.c_[np.linspace(0, 1, n), np.full(n, 0.0)]
    scales = np.tile([0.1, 1000.0], (n, 1))
    means[-1], scales[-1] = 300.0, 500.0  # one row ran away
    dist = MixtureDistribution(weights, means, scales)
    values = np.linspace(0, 1, n)
    conditional = ConditionalDensityDisplay(values, dist).plot()
    components = ComponentDisplay(values, dist).plot()
    fan = FanChartDisplay(dist, values).plot()
    for ax in (conditional.ax_, components.axes_[1], fan.ax_):
        low, high = ax.get_ylim()
        assert low > -2
        assert high < 3
    np.testing.assert_array_equal(components.components_, [0])
    # Where spreads differ honestly, all of it is shown.
    honest = MixtureDistribution(
        np.ones((n, 1)), np.zeros((n, 1)), values[:, None] + 0.01
    )
    low, high = FanChartDisplay(honest, values).plot().ax_.get_ylim()
    assert low < honest.interval(0.95)[0].min()
    assert high > honest.interval(0.95)[1].max()


def mdn_dist(pipeline, X):
    return pipeline[-1].predict_dist(pipeline[:-1].transform(X))


def test_features_that_cannot_be_varied(data):
    model, X, _ = data
    for bad in (2, -1, "weight", 0.5, [0, 1], X["dose"]):
        with pytest.raises(ValueError, match="must be one column number below 2"):
            ConditionalDensityDisplay.from_estimator(model, X, bad)
    with pytest.raises(ValueError, match="feature 'dose' is constant"):
        ComponentDisplay.from_estimator(model, X.assign(dose=1.0), "dose")
    with pytest.raises(ValueError, match="others must be"):
        ConditionalDensityDisplay.from_estimator(model, X, 0, others="mean")
    with pytest.raises(ValueError, match="others must hold 2 values"):
        ConditionalDensityDisplay.from_estimator(model, X, 0, others=[1.0])
    with pytest.raises(ValueError, match="components have no average"):
        ComponentDisplay.from_estimator(model, X, 0, others="average")


def test_components_are_drawn_where_they_carry_weight():
    values = np.linspace(0, 1, 11)
    weights = np.stack([values, 1 - values, np.zeros(11)], axis=1)
    means = np.tile([1.0, 2.0, 3.0], (11, 1))
    dist = MixtureDistribution(weights, means, 0.1 * means**5)
    display = ComponentDisplay(values, dist, feature_name="dose").plot(max_components=2)
    np.testing.assert_array_equal(display.components_, [0, 1])
    assert legend_texts(display.axes_[0]) == ["0", "1"]
    np.testing.assert_allclose(display.weight_lines_[0].get_ydata(), values)
    shown = display.mean_lines_[1].get_ydata()
    np.testing.assert_array_equal(np.isnan(shown), values == 1)
    np.testing.assert_array_equal(shown[:-1], 2.0)
    np.testing.assert_allclose(display.scale_lines_[0].get_ydata()[1:], 0.1)
    assert display.axes_[2].get_yscale() == "log"
    labels = [ax.get_ylabel() for ax in display.axes_]
    assert labels == ["weight", "mean of y", "scale"]
    # None of many is heavy: the heaviest are drawn all the same.
    many = MixtureDistribution(
        np.full((11, 99), 1 / 99), np.zeros((11, 99)), np.ones((11, 99))
    )
    shown = ComponentDisplay(values, many).plot(max_components=2)
    np.testing.assert_array_equal(shown.mean_lines_[1].get_ydata(), 0)
    for bad in (0, 15, 1.5):
        with pytest.raises(ValueError, match="max_components"):
            display.plot(max_components=bad)
