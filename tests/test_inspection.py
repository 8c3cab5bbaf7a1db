# SPDX-License-Identifier: BSD-3-Clause
"""Pictures: they show the right numbers, name what they show, and nothing overlaps."""

import itertools
import sys

import matplotlib.pyplot as plt
import naive
import numpy as np
import pandas as pd
import pytest
from branches import Branches, make_branches
from scipy.stats import binom
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmdn import MDNRegressor, MDNRegressorCV
from skmdn.calibration import ConformalMDNRegressor
from skmdn.inspection import (
    ComponentDisplay,
    ConditionalDensityDisplay,
    CoverageDisplay,
    FanChartDisplay,
    JointDensityDisplay,
    PITDisplay,
    RowDensityDisplay,
    TrainingCurveDisplay,
)

COLUMN = (3.3, 2.6)  # inches: the width of a column of a paper


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def data():
    return make_branches()


@pytest.fixture
def two_outputs(data):
    _, X, _ = data
    dist = Branches(2).predict_dist(X)
    Y = pd.DataFrame(dist.sample(random_state=1), columns=["length", "width"])
    return Branches(2).fit(X, Y), X, Y


CURVES = ([2.0, 1.0, 0.5], [-2.0, -1.0, -2.0])
ALONG_AN_INPUT = {
    "conditional": ConditionalDensityDisplay,
    "components": ComponentDisplay,
}
OF_ESTIMATOR = {
    "fan": FanChartDisplay,
    "rows": RowDensityDisplay,
    "pit": PITDisplay,
    "coverage": CoverageDisplay,
}
DRAW = (
    {
        name: lambda model, X, y, ax, cls=cls: cls.from_estimator(model, X, y, ax=ax)
        for name, cls in OF_ESTIMATOR.items()
    }
    | {
        name: lambda model, X, y, ax, cls=cls: cls.from_estimator(model, X, 0, y, ax=ax)
        for name, cls in ALONG_AN_INPUT.items()
    }
    | {
        "training": lambda model, X, y, ax: TrainingCurveDisplay(*CURVES).plot(ax),
        "joint": lambda model, X, y, ax: JointDensityDisplay.from_estimator(
            Branches(2), X, np.zeros((80, 2)), ax=ax
        ),
    }
)
each_picture = pytest.mark.parametrize("name", DRAW)


def drawn_texts(figure):
    """Every piece of text that is visible, with its box in pixels."""
    figure.canvas.draw()
    texts = list(figure.texts)
    for ax in figure.axes:
        if not ax.axison:
            continue
        texts += [ax.title, ax.xaxis.label, ax.yaxis.label]
        for axis, (low, high) in (
            (ax.xaxis, sorted(ax.get_xlim())),
            (ax.yaxis, sorted(ax.get_ylim())),
        ):
            labels = axis.get_ticklabels()  # none where a neighbour shows them
            labels = zip(labels, axis.get_ticklocs(), strict=False)
            texts += [label for label, at in labels if low <= at <= high]
        if ax.get_legend():
            texts += [ax.get_legend().get_title(), *ax.get_legend().get_texts()]
    return [
        (text.get_text(), text.get_window_extent())
        for text in texts
        if text.get_visible() and text.get_text()
    ]


def assert_readable(figure):
    boxes = drawn_texts(figure)
    assert boxes
    for text, box in boxes:
        inside = figure.bbox.padded(1)
        assert inside.x0 <= box.x0, text
        assert inside.y0 <= box.y0, text
        assert box.x1 <= inside.x1, text
        assert box.y1 <= inside.y1, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0
        assert apart, f"{one!r} overlaps {other!r}"


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# --- what all have in common ----------------------------------------------------------


@each_picture
@pytest.mark.parametrize("given", [False, True])
def test_texts_are_inside_and_apart_at_the_width_of_a_column(data, name, given):
    ax = None
    if given:
        size = (COLUMN[0], 4) if name == "components" else COLUMN
        plt.rcParams["font.size"] = 8
        _, ax = plt.subplots(figsize=size, layout="constrained")
    try:
        display = DRAW[name](*data, ax)
        assert display.figure_.get_figwidth() <= 4
        assert_readable(display.figure_)
    finally:
        plt.rcdefaults()


def test_the_check_of_overlap_can_fail():
    _, ax = plt.subplots(figsize=COLUMN)
    ax.set(xticks=[0, 0.01], xlim=(0, 1))
    with pytest.raises(AssertionError, match="overlaps"):
        assert_readable(ax.figure)


@each_picture
def test_axes_are_labelled_and_colours_explained(data, name):
    display = DRAW[name](*data, None)
    axes = getattr(display, "axes_", [display.ax_])
    assert all(ax.get_ylabel() for ax in axes)
    assert axes[-1].get_xlabel()
    assert axes[0].get_legend() is not None
    assert axes[0].get_title()
    assert display.figure_ is display.ax_.figure


@each_picture
def test_draws_into_given_axes_again_and_again(data, name):
    figure, axes = plt.subplots(1, 2)
    display = DRAW[name](*data, axes[0])
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert display.plot(ax=axes[1]) is display
    assert plt.get_fignums() == [figure.number]
    display.plot()
    assert len(plt.get_fignums()) == 2


@each_picture
def test_without_matplotlib_the_error_names_the_extra(data, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"skmdn\[plot\]"):
        DRAW[name](*data, None)


@pytest.mark.parametrize("name", ["conditional", "components", "fan", "rows", "pit"])
def test_several_outputs_need_a_target(two_outputs, name):
    with pytest.raises(ValueError, match="target must say which of the 2 outputs"):
        DRAW[name](*two_outputs, None)


def test_target_chooses_the_output(two_outputs):
    display = FanChartDisplay.from_estimator(*two_outputs, target=1)
    assert display.ax_.get_ylabel() == "width"
    np.testing.assert_array_equal(display.y_true, two_outputs[2]["width"])
    expected = Branches(2).predict_dist(two_outputs[1]).marginal(1)
    np.testing.assert_array_equal(display.dist.means, expected.means)
    with pytest.raises(ValueError, match="target must be None or 0"):
        FanChartDisplay.from_predictions(None, expected, target=1)


def test_several_panels_take_an_array_of_axes_of_the_right_length(data):
    model, X, y = data
    _, axes = plt.subplots(3, 1)
    display = ComponentDisplay.from_estimator(model, X, 0, y, ax=axes)
    assert list(display.axes_) == list(axes)
    with pytest.raises(ValueError, match="ax must hold 2 axes, got 3"):
        PITDisplay.from_estimator(model, X, y, ax=axes)
    with pytest.raises(ValueError, match="ax must come from subplots"):
        PITDisplay.from_estimator(model, X, y, ax=plt.figure().add_axes((0, 0, 1, 1)))


# --- over rows ------------------------------------------------------------------------


def test_fan_chart_orders_the_index_and_nests_the_intervals(data):
    model, X, y = data
    display = FanChartDisplay.from_estimator(
        model, X, y, index=X["age (years)"], coverages=(0.9, 0.5)
    )
    order = np.argsort(X["age (years)"].to_numpy())
    dist = model.predict_dist(X.iloc[order])
    assert display.ax_.get_xlabel() == "age (years)"
    assert display.ax_.get_ylabel() == "response (mm)"
    np.testing.assert_array_equal(display.median_line_.get_ydata(), dist.median())
    np.testing.assert_array_equal(
        display.scatter_.get_offsets()[:, 1], y.to_numpy()[order]
    )
    assert len(display.bands_) == 2
    for band, coverage in zip(display.bands_, (0.9, 0.5), strict=True):
        corners = band.get_paths()[0].vertices
        lower, upper = dist.interval(coverage)
        assert set(lower) | set(upper) <= set(corners[:, 1])
    assert legend_texts(display.ax_) == ["90 % interval", "50 %", "median", "observed"]


def test_fan_chart_over_a_column_in_any_order(data):
    model, X, y = data
    ages = np.sort(X["age (years)"])
    display = FanChartDisplay.from_estimator(model, X, y, index="age (years)")
    np.testing.assert_array_equal(display.median_line_.get_xdata(), ages)
    assert display.ax_.get_xlabel() == "age (years)"
    only = FanChartDisplay.from_estimator(model, X[["age (years)"]], y)
    np.testing.assert_array_equal(only.median_line_.get_xdata(), ages)
    direct = FanChartDisplay(model.predict_dist(X), X["age (years)"]).plot()
    np.testing.assert_array_equal(
        direct.median_line_.get_ydata(), display.median_line_.get_ydata()
    )


def test_fan_chart_over_dates_and_without_observations(data):
    model, X, _ = data
    dates = pd.date_range("2026-01-01", periods=80, name="day")
    dist = model.predict_dist(X)
    display = FanChartDisplay.from_predictions(None, dist, index=dates)
    assert display.scatter_ is None
    assert display.ax_.get_xlabel() == "day"
    with pytest.raises(ValueError, match="index has 79 rows, dist has 80"):
        FanChartDisplay.from_predictions(None, dist, index=dates[1:])
    with pytest.raises(ValueError, match="y_true has 3 rows"):
        FanChartDisplay.from_predictions(np.zeros(3), dist)
    with pytest.raises(ValueError, match="coverages must lie strictly"):
        FanChartDisplay(dist).plot(coverages=(0.5, 1))


def test_row_densities_show_density_region_and_observation(data):
    model, X, y = data
    display = RowDensityDisplay.from_estimator(
        model, X, y, rows=[3, 70, 800], coverage=0.8
    )
    ax = display.ax_
    assert [label.get_text() for label in ax.get_yticklabels()] == ["3", "70"]
    assert ax.get_xlabel() == "response (mm)"
    expected = ["density", "80 % highest density", "observed"]
    assert sorted(legend_texts(ax)) == sorted(expected)
    segments = display.observed_.get_segments()
    np.testing.assert_array_equal([s[0, 0] for s in segments], y.iloc[[3, 70]])
    for place, row in enumerate((3, 70)):
        dist, bottom = model.predict_dist(X.iloc[[row]]), 1 - place
        x, height = display.lines_[place].get_data()
        density = dist.pdf(x[None, :])[0]
        np.testing.assert_allclose(
            (height - bottom) / 0.85, density / density.max(), atol=1e-12
        )
        # Two branches far apart: two intervals, which hold 80 %.
        polygons = display.regions_[place].get_paths()
        assert len(polygons) == 2
        ends = [(p.vertices[:, 0].min(), p.vertices[:, 0].max()) for p in polygons]
        mass = sum((dist.cdf(high) - dist.cdf(low)).item() for low, high in ends)
        assert mass == pytest.approx(0.8, abs=2e-3)


def test_row_densities_without_rows(data):
    model, X, y = data
    with pytest.raises(ValueError, match="rows must hold numbers of rows, 0 to 79"):
        RowDensityDisplay.from_estimator(model, X, y, rows=[80])
    with pytest.raises(ValueError, match="y_true has 79 rows"):
        RowDensityDisplay.from_estimator(model, X, y[1:])
    display = RowDensityDisplay.from_estimator(model, X[:2])
    assert display.observed_ is None
    assert len(display.lines_) == 2


def test_pit_display_counts_with_weights_and_has_binomial_bands():
    rng = np.random.RandomState(0)
    pit, weight = rng.uniform(size=50), np.tile([0.0, 1.0, 2.0, 2.0, 5.0], 10)
    display = PITDisplay(pit, sample_weight=weight).plot(n_bins=4, confidence=0.8)
    heights, edges, _ = display.histogram_.get_data()
    for low, high, height in zip(edges[:-1], edges[1:], heights, strict=True):
        inside = naive.weighted_mean((low <= pit) & (pit < high), weight)
        assert height == pytest.approx(4 * inside)
    levels, shares = display.line_.get_data()
    for level, share in zip(levels, shares, strict=True):
        assert share == pytest.approx(naive.weighted_mean(pit <= level, weight))
    # 100^2 / 340: the weights are worth 29 equal ones.
    low, high = binom.interval(0.8, round(weight.sum() ** 2 / (weight @ weight)), 0.25)
    band = display.axes_[0].patches[0].get_extents()
    band = band.transformed(display.axes_[0].transData.inverted())
    n_rows = round(weight.sum() ** 2 / (weight @ weight))
    assert band.y0 == pytest.approx(4 * low / n_rows)
    assert band.y1 == pytest.approx(4 * high / n_rows)


@pytest.mark.parametrize("display", [PITDisplay, CoverageDisplay])
def test_targets_that_repeat_are_named_on_pictures_of_pit_values(data, display):
    model, X, y = data
    X, y = pd.concat([X] * 4), np.tile(y, 4) + np.arange(320) / 1e4
    assert "\n" not in display.from_estimator(model, X, y).ax_.get_title()
    y[:96] = 0.0
    drawn = display.from_estimator(model, X, y)
    assert "30 % of the targets are 0: not continuous" in drawn.ax_.get_title()
    assert_readable(drawn.figure_)
    drawn = display.from_estimator(model, X, np.rint(y))
    assert "the targets repeat" in drawn.ax_.get_title()


def test_bands_hold_calibrated_models_as_often_as_they_say():
    rng = np.random.RandomState(0)
    inside = []
    for _ in range(40):
        display = PITDisplay(rng.uniform(size=500)).plot()
        heights = display.histogram_.get_data().values
        band = display.axes_[0].patches[0].get_extents()
        band = band.transformed(display.axes_[0].transData.inverted())
        inside.append(np.mean((band.y0 <= heights) & (heights <= band.y1)))
        plt.close(display.figure_)
    # Binomial counts are discrete: a little more than 90 %.
    assert 0.88 < np.mean(inside) < 0.95


def test_coverage_display_is_the_coverage_of_central_intervals(data):
    model, X, y = data
    dist = model.predict_dist(X)
    display = CoverageDisplay.from_predictions(y, dist, target=0)
    nominal, observed = display.line_.get_data()
    for at in (10, 50, 90):
        lower, upper = dist.interval(nominal[at])
        expected = np.mean((lower <= y) & (y <= upper))
        assert observed[at] == pytest.approx(expected)
    with pytest.raises(ValueError, match="confidence must be a number strictly"):
        display.plot(confidence=1)


# --- training, joint density ----------------------------------------------------------


def test_training_curves_of_an_estimator_inside_others():
    rng = np.random.RandomState(0)
    X = rng.uniform(size=(150, 2))
    mdn = MDNRegressor(1, hidden_layer_sizes=4, max_iter=6, random_state=0)
    model = make_pipeline(StandardScaler(), mdn)
    model = GridSearchCV(model, {"mdnregressor__n_bins": [0]}, cv=2).fit(X, X[:, 0])
    display = TrainingCurveDisplay.from_estimator(model)
    fitted = model.best_estimator_[-1]
    epochs, training = display.training_line_.get_data()
    np.testing.assert_array_equal(epochs, np.arange(1, fitted.n_iter_ + 1))
    np.testing.assert_array_equal(training, -np.array(fitted.loss_curve_))
    np.testing.assert_array_equal(
        display.validation_line_.get_ydata(), fitted.validation_scores_
    )
    best = 1 + np.argmax(fitted.validation_scores_)
    assert display.best_marker_.get_xdata().item() == best
    with pytest.raises(TypeError, match="Branches has no loss_curve_"):
        TrainingCurveDisplay.from_estimator(Branches().fit(X, X))


def test_training_curve_of_every_fold(data):
    _, X, y = data
    mdn = MDNRegressorCV(
        1, cv=3, n_estimators=1, hidden_layer_sizes=4, max_iter=6, random_state=0
    )
    display = TrainingCurveDisplay.from_estimator(mdn.fit(X, y))
    epochs, training = display.training_line_.get_data()
    assert np.isnan(epochs).sum() == 2  # The gaps between three curves.
    np.testing.assert_array_equal(
        training[~np.isnan(training)], -np.concatenate(mdn.loss_curve_)
    )
    scores = display.validation_line_.get_ydata()
    np.testing.assert_array_equal(
        scores[~np.isnan(scores)], np.concatenate(mdn.validation_scores_)
    )
    best = [max(fold) for fold in mdn.validation_scores_]
    np.testing.assert_array_equal(display.best_marker_.get_ydata(), best)


def test_training_curve_without_validation():
    display = TrainingCurveDisplay([3.0, 2.0]).plot()
    assert display.validation_line_ is display.best_marker_ is None
    assert legend_texts(display.ax_) == ["training"]


def test_joint_density_regions_hold_their_mass(two_outputs):
    model, X, Y = two_outputs
    display = JointDensityDisplay.from_estimator(
        model, X, Y, row=4, coverages=(0.9, 0.5)
    )
    assert display.ax_.get_xlabel() == "length"
    assert display.ax_.get_ylabel() == "width"
    np.testing.assert_array_equal(
        np.ravel(display.observed_.get_data()), Y.to_numpy()[4]
    )
    draws = model.predict_dist(X.iloc[[4]]).sample(40_000, random_state=7)[0].T
    density = display.dist.pdf(draws[None])[0]
    for level, coverage in zip(display.levels_, (0.9, 0.5), strict=True):
        # Two samples, each with its own error: 4 standard errors of the difference.
        error = 4 * np.sqrt(coverage * (1 - coverage) * (1 / 40_000 + 1 / 50_000))
        assert np.mean(density >= level) == pytest.approx(coverage, abs=error)
    np.testing.assert_allclose(display.contours_.levels[:2], display.levels_)
    expected = ["90 %", "50 %", "observed"]
    assert legend_texts(display.ax_) == expected


def test_joint_density_of_outputs_in_another_order(two_outputs):
    model, X, _ = two_outputs
    display = JointDensityDisplay.from_estimator(model, X, targets=(1, 0))
    assert display.ax_.get_xlabel() == "y1"
    assert display.observed_ is None
    for bad in ((0, 0), (0, 2), (0,)):
        with pytest.raises(ValueError, match="targets must be two different outputs"):
            JointDensityDisplay.from_estimator(model, X, targets=bad)
    with pytest.raises(ValueError, match="row must be from 0 to 79"):
        JointDensityDisplay.from_estimator(model, X, row=80)


@pytest.mark.parametrize("display", [FanChartDisplay, PITDisplay, CoverageDisplay])
def test_recalibrated_distributions_can_be_drawn(data, display):
    model, X, y = data
    conformal = ConformalMDNRegressor(FrozenEstimator(model)).fit(X, y)
    drawn = display.from_estimator(conformal, X, y)
    if display is CoverageDisplay:
        nominal, observed = drawn.line_.get_data()
        # Calibrated on these very rows.
        np.testing.assert_allclose(observed, nominal, atol=0.03)


@pytest.mark.parametrize("name", ["conditional", "components", "rows", "joint"])
def test_recalibrated_distributions_have_no_density_to_draw(data, name):
    model, X, y = data
    conformal = ConformalMDNRegressor(FrozenEstimator(model)).fit(X, y)
    draw = DRAW[name]
    if name == "joint":

        def draw(model, X, y, ax):
            return JointDensityDisplay.from_estimator(model, X, y, ax=ax)

    with pytest.raises(TypeError, match="Display draws densities, and Conformal"):
        draw(conformal, X, y, None)
