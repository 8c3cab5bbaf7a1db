# SPDX-License-Identifier: BSD-3-Clause
"""What all pictures share: colours, axes and legends.

The colours are those of M. Okabe and K. Ito, "Color universal design", 2008
(https://jfly.uni-koeln.de/color/), told apart with every kind of colour vision. Figures
are made a little wider than a column of a paper, so that text stays readable there.
"""

import textwrap

import numpy as np

BLACK, ORANGE, SKY_BLUE, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
# Order for groups without a meaning of their own; yellow is too faint for thin lines.
CYCLE = (BLUE, ORANGE, GREEN, VERMILLION, SKY_BLUE, PURPLE, BLACK)
GREY = "#999999"

WIDTH, HEIGHT = 4.0, 3.0  # inches


def import_pyplot():
    """Import matplotlib at the first picture.

    Raises
    ------
    ImportError
        If it is not installed; the message names the extra that brings it.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'Pictures need matplotlib. Install it with: pip install "skmdn[plot]"'
        ) from error
    return plt


def one_axes(ax, height=HEIGHT):
    """Return `ax`, or the axes of a new figure for None."""
    plt = import_pyplot()
    if ax is None:
        _, ax = plt.subplots(figsize=(WIDTH, height), layout="constrained")
    return ax


def several_axes(ax, n_rows, n_cols, *, height=HEIGHT, sharex=False):
    """Return an array of axes of shape (n_rows * n_cols,).

    Parameters
    ----------
    ax : None, Axes or array-like of Axes
        None makes a figure; one Axes made by ``subplots`` gives its place to the
        panels; an array holds the panels.

    Raises
    ------
    ValueError
        If the axes cannot be divided, or are too few or too many.
    """
    plt = import_pyplot()
    if ax is None:
        _, axes = plt.subplots(
            n_rows,
            n_cols,
            figsize=(WIDTH, height),
            layout="constrained",
            sharex=sharex,
            squeeze=False,
        )
        return axes.ravel()
    if isinstance(ax, plt.Axes):
        place = ax.get_subplotspec()
        if place is None:
            raise ValueError(
                "ax must come from subplots, or be an array of "
                f"{n_rows * n_cols} axes; this one has no place in a grid."
            )
        ax.set_axis_off()
        grid = place.subgridspec(n_rows, n_cols)
        return grid.subplots(sharex=sharex, squeeze=False).ravel()
    axes = np.asarray(ax, dtype=object).ravel()
    if len(axes) != n_rows * n_cols:
        raise ValueError(f"ax must hold {n_rows * n_cols} axes, got {len(axes)}.")
    return axes


def tint(color, amount):
    """Mix a colour with white; `amount` 1 is the colour itself."""
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return tuple(1 - amount * (1 - channel) for channel in (red, green, blue))


def legend_above(ax, handles=None, n_cols=2, **kwargs):
    """Put the legend above the axes, where it hides no data; return its height."""
    if handles is None:
        handles = ax.get_legend_handles_labels()[0]
    if not handles:
        return 0.0
    legend = ax.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=n_cols,
        frameon=False,
        fontsize="small",
        title_fontsize="small",
        alignment="left",
        borderaxespad=0.2,
        borderpad=0.1,
        **({"handlelength": 1.6, "columnspacing": 1.2} | kwargs),
    )
    return legend.get_window_extent().height / ax.figure.dpi * 72  # points


def title_above(ax, title, above=0.0, note=""):
    """Put a title above the legend of that height, with a note in smaller lines."""
    lines = textwrap.wrap(note, 52, max_lines=3, placeholder=" ...")
    ax.set_title(
        "\n".join([title, *lines]), fontsize="small", x=0, ha="left", pad=above + 4
    )


def scale_axis(ax, values):
    """Make the y axis logarithmic, with plain numbers, if values span a decade."""
    from matplotlib import ticker

    low, high = np.nanmin(values), np.nanmax(values)
    if high < 10 * low:
        return
    ax.set_yscale("log")
    subs = (1, 3) if high < 100 * low else (1,)
    ax.yaxis.set_major_locator(ticker.LogLocator(subs=subs, numticks=5))
    ax.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(ticker.NullFormatter())


def percent(levels):
    """Text for a list of probabilities: "5, 50, 95 %"."""
    return ", ".join(f"{100 * level:.4g}" for level in levels) + " %"
