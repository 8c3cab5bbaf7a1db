# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of the demo, drawn with `skmdn.inspection`."""

import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.figure import Figure

from skmdn import predict_dist
from skmdn.inspection import (
    ComponentDisplay,
    ConditionalDensityDisplay,
    FanChartDisplay,
    RowDensityDisplay,
)
from skmdn.inspection._style import GREEN, GREY, ORANGE, PURPLE, VERMILLION


def _panels(width, height, *widths):
    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    return figure.subplots(1, len(widths), width_ratios=widths)


def _save(figure, title, path):
    figure.suptitle(title, fontsize=10, fontweight="bold")
    figure.savefig(path)
    return path


def draw_iris(fitted, path):
    """Draw the density over sepal width, and what it says at three widths."""
    problem, search = fitted.problem, fitted.search
    left, right = _panels(9.5, 4.2, 3, 2)
    display = ConditionalDensityDisplay.from_estimator(
        search, problem.X, 0, ax=left, quantiles=()
    )
    for group, marker, colour in zip(
        range(3), "os^", [PURPLE, GREEN, VERMILLION], strict=True
    ):
        x, y = problem.X[problem.group == group, 0], problem.y[problem.group == group]
        style = {"s": 22, "marker": marker, "edgecolors": "white", "linewidths": 0.4}
        left.scatter(x, y, color=colour, label=problem.group_names[group], **style)
    left.set(xlabel=problem.x_label, ylabel=problem.y_label, ylim=(0, None))
    left.legend(fontsize="small", loc="center right")
    left.title.set_text("Which species it is, the model never learns")
    widths = np.array([[2.5], [3.0], [3.5]])
    display = RowDensityDisplay(
        predict_dist(search, widths),
        labels=[f"{width:.1f} cm" for width in widths[:, 0]],
        target_name=problem.y_label,
    ).plot(right)
    right.set_ylabel("sepal width")
    return _save(display.figure_, "Iris: petal length given sepal width", path)


def draw_diabetes(fitted, path):
    """Draw the densities of all test patients in order, and of some of them."""
    problem, search = fitted.problem, fitted.search
    X, y = problem.X[fitted.test], problem.y[fitted.test]
    order = np.argsort(search.predict(X))
    X, y = X[order], y[order]
    left, right = _panels(9.5, 4.2, 3, 2)
    FanChartDisplay.from_estimator(search, X, y, ax=left)
    left.set(xlabel="test patients, in order of the predicted mean")
    rows = np.quantile(np.arange(len(y)), [0.1, 0.3, 0.5, 0.7, 0.9]).astype(int)
    RowDensityDisplay.from_estimator(search, X, y, rows=rows, ax=right)
    left.set_ylabel(problem.y_label)
    right.set(xlabel=problem.y_label, ylabel="patient")
    return _save(left.figure, "Diabetes: patients that were never seen", path)


def draw_inverse(solved, path):
    """Draw the density, and what the data, its samples and squared error look like."""
    problem, X, y = solved.problem, solved.X, solved.y
    left, right = _panels(9.5, 4.2, 1, 1)
    ConditionalDensityDisplay.from_estimator(solved.mdn, X, 0, ax=left, mean=False)
    left.set(xlabel=problem.x_label, ylabel=problem.y_label)
    right.scatter(X[:, 0], y, s=8, color=GREY, linewidths=0, label="data")
    style = {"s": 8, "color": ORANGE, "marker": "^", "linewidths": 0, "alpha": 0.6}
    right.scatter(X[:, 0], solved.samples, label="samples of the mixture", **style)
    x_grid = np.linspace(X.min(), X.max(), 400)
    mean = solved.mlp.predict(x_grid[:, None])
    right.plot(x_grid, mean, color=VERMILLION, lw=2, label="squared-error network")
    right.set(xlabel=problem.x_label, ylim=left.get_ylim())
    right.legend(fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    title = f"{problem.name}: several answers to one question".capitalize()
    return _save(left.figure, title, path)


def draw_components(solved, path):
    """Draw weights, means and scales of the components over the input."""
    axes = _panels(7.0, 6.0, 1)
    display = ComponentDisplay.from_estimator(
        solved.mdn, solved.X, 0, solved.y, ax=axes
    )
    display.axes_[-1].set_xlabel(solved.problem.x_label)
    return _save(display.figure_, solved.problem.name.capitalize(), path)


def animate_training(solved, frames, path, *, seconds=8):
    """Write an animated GIF of the density during the training."""
    problem, X, y = solved.problem, solved.X, solved.y
    figure = Figure(figsize=(5.5, 4.2), dpi=90, layout="constrained")
    writer = PillowWriter(fps=max(1, round(len(frames) / seconds)))
    with writer.saving(figure, path, dpi=90):
        for frame in frames:
            figure.clear()
            display = ConditionalDensityDisplay(
                frame.values,
                frame.dist,
                feature_name=problem.x_label,
                target_name=problem.y_label,
                x_data=X[:, 0],
                y_data=y,
            ).plot(
                figure.subplots(),
                modes=False,
                quantiles=(),
                mesh_kwargs={"shading": "nearest"},  # much faster to draw
            )
            display.ax_.set_ylim(y.min(), y.max())
            display.ax_.title.set_text(f"{problem.name}, epoch {frame.epoch}")
            writer.grab_frame()
        for _ in range(2 * writer.fps):
            writer.grab_frame()
    return path
