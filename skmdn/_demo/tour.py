# SPDX-License-Identifier: BSD-3-Clause
"""The order of the demo: what is fitted, drawn and printed."""

import sys
import time

import numpy as np
from tqdm.auto import tqdm

from skmdn import datasets
from skmdn._demo import inverse, pictures, real_data, report

INVERSE_SINE = inverse.Inverse(
    "inverse sine", datasets.make_inverse_sine, "x (the input)", "y (the answer)"
)
FLIPPED_WAVE = inverse.Inverse(
    "flipped wave",
    datasets.make_flipped_wave,
    "wave (the input)",
    "time t (the answer)",
)


def run(folder, *, quick, random_state):
    """Do all the work, with a progress bar, and print the tables.

    Parameters
    ----------
    folder : Path
        Where the pictures go; it exists.
    quick : bool
        Whether to try fewer candidates, folds, epochs and frames.
    random_state : int
        Seed of everything.
    """
    started = time.perf_counter()
    with tqdm(total=5, unit="part", file=sys.stderr) as bar:
        fitted, paths = _real_data(folder, quick, random_state, bar)
        solved, more_paths = _inverse_problems(folder, quick, random_state, bar)
    print(report.summary_table(fitted, solved))
    print("\nPictures:", *(f"  {path}" for path in paths + more_paths), sep="\n")
    print(f"\n{time.perf_counter() - started:.0f} seconds")


def _real_data(folder, quick, random_state, bar):
    """Search, tabulate and draw the real data sets."""
    n_components, n_splits = ([1, 2, 3], 3) if quick else ([1, 2, 3, 5, 8], 5)
    fitted, paths = [], []
    for problem, hidden_layer_sizes, draw in [
        (real_data.diabetes(), (16,), pictures.draw_diabetes),
        # No hidden layer: a mixture of straight lines.
        (real_data.iris(), (), pictures.draw_iris),
    ]:
        bar.set_description(problem.name)
        result = real_data.fit(
            problem,
            n_components=n_components,
            n_splits=n_splits,
            random_state=random_state,
            hidden_layer_sizes=hidden_layer_sizes,
            # For a few hundred rows: several members, more noise, no encoding.
            n_estimators=8,
            n_bins=0,
            input_noise=0.2,
        )
        bar.write(report.search_table(result))
        paths.append(draw(result, folder / f"{problem.name}.png"))
        fitted.append(result)
        bar.update()
    return fitted, paths


def _inverse_problems(folder, quick, random_state, bar):
    """Solve and draw the inverse problems, and animate the second one."""
    n_epochs, n_frames = (250, 8) if quick else (800, 56)
    recorder = inverse.Recorder(
        np.linspace(-15, 15, 150), inverse.spread_epochs(n_epochs, n_frames)
    )
    # All rows in every step: a calm training, good to watch.
    watched = {
        "max_iter": n_epochs,
        "batch_size": 1000,
        "learning_rate_init": 0.003,
        "callback": recorder,
    }
    solved, paths = [], []
    for problem, settings in [(INVERSE_SINE, {}), (FLIPPED_WAVE, watched)]:
        bar.set_description(problem.name)
        result = inverse.solve(
            problem, n_components=5, random_state=random_state, **settings
        )
        name = problem.name.replace(" ", "_")
        paths.append(pictures.draw_inverse(result, folder / f"{name}.png"))
        path = folder / f"{name}_components.png"
        paths.append(pictures.draw_components(result, path))
        solved.append(result)
        bar.update()
    bar.set_description("animation")
    path = folder / f"{name}_training.gif"
    paths.append(pictures.animate_training(result, recorder.frames, path))
    bar.update()
    return solved, paths
