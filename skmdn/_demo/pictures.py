# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of the demo."""

import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from skmdn import predict_dist

# Okabe and Ito's colours, told apart with every common colour vision.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
VERMILION, SKY, YELLOW, BLACK = "#D55E00", "#56B4E9", "#F0E442", "#000000"
COMPONENT_COLOURS = [BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY, BLACK, YELLOW]
GREY = "#BBBBBB"
_DOTS = {"s": 9, "linewidths": 0, "rasterized": True}
_DPI = 130


def _figure(width, height):
    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def _save(figure, path):
    figure.savefig(path)
    return path


def _plain_log_axis(axis):
    """Label 1, 2 and 5 of every decade with plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _density_image(axes, density, extent):
    """Draw a density (n_y, n_x), every column on a scale of its own."""
    relative = density / density.max(axis=0)
    return axes.imshow(
        relative,
        cmap="Blues",
        aspect="auto",
        origin="lower",
        extent=extent,
        vmin=0,
        vmax=1.25,  # the darkest blue would swallow the dots
        interpolation="bilinear",
    )


def _densities_at(model, X, y_grid):
    """Conditional densities on a grid of answers: (n_grid, n_rows)."""
    return predict_dist(model, X).pdf(y_grid[None, :]).T


def draw_iris(fitted, path):
    """Draw the density over sepal width, and what it says at three widths."""
    problem, search = fitted.problem, fitted.search
    x, y = problem.X[:, 0], problem.y
    x_grid = np.linspace(x.min() - 0.1, x.max() + 0.1, 200)
    y_grid = np.linspace(0, y.max() + 0.7, 300)
    figure = _figure(9.5, 4.2)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])

    extent = [x_grid[0], x_grid[-1], y_grid[0], y_grid[-1]]
    image = _density_image(left, _densities_at(search, x_grid[:, None], y_grid), extent)
    markers = [("o", ORANGE), ("s", GREEN), ("^", VERMILION)]
    for index, (marker, colour) in enumerate(markers):
        rows = problem.group == index
        style = {"edgecolors": "white", "linewidths": 0.4, "s": 26, "marker": marker}
        label = problem.group_names[index]
        left.scatter(x[rows], y[rows], color=colour, label=label, **style)
    mean = search.predict(x_grid[:, None])
    left.plot(x_grid, mean, color=BLACK, ls="--", lw=1.3, label="mean of the mixture")
    left.set(xlabel=problem.x_label, ylabel=problem.y_label, ylim=extent[2:])
    left.set_title("Iris: density of petal length given sepal width", fontsize=10)
    left.legend(fontsize=7.5, loc="center right", framealpha=0.9)
    bar = figure.colorbar(image, ax=left, pad=0.01)
    bar.set_label("density, relative to its maximum at that width", fontsize=8)
    bar.ax.set_ylim(0, 1)

    widths = np.array([2.5, 3.0, 3.5])
    densities = _densities_at(search, widths[:, None], y_grid)
    for width, density, colour, dash in zip(
        widths, densities.T, [BLUE, PURPLE, BLACK], ["-", "--", "-."], strict=True
    ):
        right.plot(y_grid, density, color=colour, ls=dash, label=f"{width:.1f} cm")
    right.set(xlabel=problem.y_label, ylabel="density (1/cm)", ylim=(0, None))
    right.set_xlim(y_grid[0], y_grid[-1])
    right.set_title("Densities at three sepal widths", fontsize=10)
    right.legend(title="sepal width", fontsize=8, title_fontsize=8)
    return _save(figure, path)


def draw_diabetes(fitted, path):
    """Draw the densities of all test patients in order, and of three of them."""
    problem, search = fitted.problem, fitted.search
    X, y = problem.X[fitted.test], problem.y[fitted.test]
    order = np.argsort(search.predict(X))
    X, y = X[order], y[order]
    y_grid = np.linspace(0, problem.y.max() + 30, 300)
    densities = _densities_at(search, X, y_grid)
    figure = _figure(9.5, 4.2)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])

    rank = np.arange(1, len(y) + 1)
    extent = [0.5, len(y) + 0.5, y_grid[0], y_grid[-1]]
    image = _density_image(left, densities, extent)
    mixture = predict_dist(search, X)
    for q, dash in [(0.05, ":"), (0.5, "-"), (0.95, ":")]:
        label = {0.05: "5 % and 95 % quantiles", 0.5: "median"}.get(q)
        left.plot(rank, mixture.ppf(q), color=BLACK, lw=1, ls=dash, label=label)
    style = {"s": 16, "edgecolors": "white", "linewidths": 0.4}
    left.scatter(rank, y, color=VERMILION, label="observed", zorder=3, **style)
    left.set(xlabel="test patients, in order of the predicted mean")
    left.set(ylabel=problem.y_label, ylim=extent[2:])
    left.set_title("Diabetes: densities of patients never seen", fontsize=10)
    left.legend(fontsize=7.5, loc="upper left", framealpha=0.9)
    bar = figure.colorbar(image, ax=left, pad=0.01)
    bar.set_label("density, relative to its maximum for the patient", fontsize=8)
    bar.ax.set_ylim(0, 1)

    for row, colour, dash in zip(
        np.quantile(np.arange(len(y)), [0.1, 0.5, 0.9]).astype(int),
        [BLUE, ORANGE, GREEN],
        ["-", "--", "-."],
        strict=True,
    ):
        label = f"patient {rank[row]}"
        right.plot(y_grid, densities[:, row], color=colour, ls=dash, label=label)
        height = np.interp(y[row], y_grid, densities[:, row])
        right.plot([y[row]], [height], "o", color=colour, ms=7, mec="white")
    right.plot([], [], "o", color=GREY, label="observed")
    right.set(xlabel=problem.y_label, ylabel="density")
    right.set(xlim=(y_grid[0], y_grid[-1]), ylim=(0, None))
    right.set_title("Three of them", fontsize=10)
    right.legend(fontsize=8)
    return _save(figure, path)


def draw_inverse(solved, path):
    """Draw data, output of the squared-error network, samples of the mixture."""
    problem, X, y = solved.problem, solved.X, solved.y
    figure = _figure(10.5, 3.7)
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    panels[0].scatter(X[:, 0], y, color=BLUE, **_DOTS)
    panels[0].set_title(f"{problem.name}: {len(y)} rows of data", fontsize=10)
    x_grid = np.linspace(X.min(), X.max(), 400)
    panels[1].scatter(X[:, 0], y, color=GREY, **_DOTS)
    panels[1].plot(x_grid, solved.mlp.predict(x_grid[:, None]), color=BLACK, lw=2)
    panels[1].set_title("MLPRegressor (line): the average answer", fontsize=10)
    panels[2].scatter(X[:, 0], y, color=GREY, **_DOTS)
    panels[2].scatter(X[:, 0], solved.samples, color=VERMILION, **_DOTS)
    panels[2].set_title("MDNRegressor: samples on every branch", fontsize=10)
    for axes in panels:
        axes.set_xlabel(problem.x_label)
    panels[0].set_ylabel(problem.y_label)
    return _save(figure, path)


def draw_components(solved, path):
    """Draw weights, means and scales of the components along the input."""
    problem, X, y = solved.problem, solved.X, solved.y
    x_grid = np.linspace(X.min(), X.max(), 600)
    mixture = solved.mdn.predict_dist(x_grid[:, None])
    figure = _figure(7.5, 7.5)
    weights, means, scales = figure.subplots(3, 1, sharex=True)
    means.scatter(X[:, 0], y, color=GREY, **_DOTS)
    for k in range(mixture.n_components):
        colour = COMPONENT_COLOURS[k % len(COMPONENT_COLOURS)]
        weight = mixture.weights[:, k]
        weights.plot(x_grid, weight, color=colour, lw=1.8, label=f"{k + 1}")
        for axes, values in [(means, mixture.means), (scales, mixture.scales)]:
            points = np.column_stack([x_grid, values[:, k]])
            _fading_line(axes, points, colour, weight)
    spread = np.ptp(y)
    means.set_ylim(y.min() - 0.1 * spread, y.max() + 0.1 * spread)
    scales.set_yscale("log")
    used = mixture.scales[mixture.weights > 0.05]
    scales.set_ylim(used.min() / 1.5, used.max() * 1.5)
    weights.set(ylabel="weight", ylim=(-0.03, 1.03))
    means.set_ylabel("mean, over the data")
    scales.set(ylabel="scale (log axis)", xlabel=problem.x_label)
    _plain_log_axis(scales.yaxis)
    scales.set_xlim(x_grid[0], x_grid[-1])
    weights.set_title(
        f"{problem.name}: the components (pale where their weight is small)",
        fontsize=10,
    )
    weights.legend(
        title="component",
        fontsize=8,
        title_fontsize=8,
        loc="center left",
        bbox_to_anchor=(1, 0.5),
    )
    return _save(figure, path)


def _fading_line(axes, points, colour, weight):
    """Draw a line as opaque as the component is heavy."""
    segments = np.stack([points[:-1], points[1:]], axis=1)
    alpha = np.clip((weight[1:] + weight[:-1]) / 0.4, 0.08, 1)
    colours = np.column_stack([np.tile(to_rgb(colour), (len(alpha), 1)), alpha])
    lines = LineCollection(segments, colors=colours, linewidths=2, capstyle="round")
    axes.add_collection(lines)


def animate_training(solved, frames, path, *, seconds=8):
    """Write an animated GIF of the samples and the typical scale, frame by frame."""
    problem, X, y = solved.problem, solved.X, solved.y
    figure = Figure(figsize=(8.5, 3.9), dpi=90, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    left.scatter(X[:, 0], y, color=GREY, **_DOTS)
    moving = left.scatter(X[:, 0], frames[0].samples, color=VERMILION, **_DOTS)
    spread = np.ptp(y)
    left.set_ylim(y.min() - 0.3 * spread, y.max() + 0.3 * spread)
    left.set(xlabel=problem.x_label, ylabel=problem.y_label)
    title = left.set_title(" ", fontsize=10)

    epochs = [frame.epoch for frame in frames]
    scales = [frame.scale for frame in frames]
    right.plot(epochs, scales, color=GREY, lw=1.5)
    (trace,) = right.plot([], [], color=BLUE, lw=2)
    (point,) = right.plot([], [], "o", color=BLUE)
    right.set(xscale="log", yscale="log", xlabel="epoch (log axis)")
    right.set(ylabel="geometric mean of the scales (log axis)")
    right.set_title("scales: wide at first, then tight", fontsize=10)
    right.set_ylim(min(scales) / 1.5, max(scales) * 1.5)
    _plain_log_axis(right.yaxis)
    right.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))

    # Arranged once: doing it anew for every frame takes longer than drawing.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    pace = max(1, round(len(frames) / seconds))
    writer = PillowWriter(fps=pace)
    with writer.saving(figure, path, dpi=90):
        for index, frame in enumerate([*frames, *[frames[-1]] * 2 * pace]):
            moving.set_offsets(np.column_stack([X[:, 0], frame.samples]))
            title.set_text(
                f"{problem.name}, epoch {frame.epoch}: data (grey), samples (orange)"
            )
            trace.set_data(epochs[: index + 1], scales[: index + 1])
            point.set_data([frame.epoch], [frame.scale])
            writer.grab_frame()
    return path
