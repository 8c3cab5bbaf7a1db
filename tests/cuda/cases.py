# SPDX-License-Identifier: BSD-3-Clause
"""Jobs of real estimators, for engines to run."""

import numpy as np

from skmdn import MDNRegressor
from skmdn._engine.job import State
from skmdn._fit.job import Prepared, make_job, start_model, training_options
from skmdn._fit.rows import Rows

DEFAULTS = {
    "n_components": 3,
    "hidden_layer_sizes": (12, 20),
    "n_bins": 4,
    "n_estimators": 1,
    "batch_size": 80,
    "max_iter": 10,
    "input_noise": 0.03,
    "n_iter_no_change": None,
    "alpha": 0.1,
}


def make_table(n=190, n_features=3, n_outputs=1, weighted=False, seed=5):
    """Return X, Y, weights."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, n_features))
    noise = rng.normal(size=(n, n_outputs))
    Y = np.sin(2 * X[:, np.arange(n_outputs) % n_features]) + 0.3 * noise
    return X, Y, rng.uniform(0.5, 2, n) if weighted else np.ones(n)


def new_job(table=None, n_held=40, seed=5, on_epoch=None, **parameters):
    """Return the job of an estimator; the last rows of the table are held out."""
    X, Y, weight = make_table() if table is None else table
    estimator = MDNRegressor(**{**DEFAULTS, **parameters})
    rows = Rows.of(X, Y, weight)
    cut = len(X) - n_held
    held_out = rows.take(slice(cut, None)) if n_held else None
    prepared = Prepared(rows.take(slice(0, cut)), held_out)
    rng = np.random.RandomState(seed)
    model = start_model(estimator, prepared, rng)
    options = training_options(estimator, model, n=cut)
    state = State.start(model.params)
    data = prepared.data, prepared.validation
    return make_job(model, *data, options, state, rng, on_epoch)
