# SPDX-License-Identifier: BSD-3-Clause
"""What "auto" means: every rule that depends on the number of rows, in one place.

`n` is the number of distinct training rows. Small tables take many epochs at a high
learning rate that falls to zero: clean ones gain to the last, and noisy ones are
stopped early. Larger tables are served better by larger networks and batches.
"""

import numpy as np

# Rows up to which a line holds: hidden units of the two layers, batch size, epochs,
# noise of the inputs.
_BY_ROWS = (
    (500, 64, 32, 400, 0.03),
    (3_000, 64, 64, 400, 0.03),
    (10_000, 128, 128, 200, 0.0),
    (50_000, 128, 256, 100, 0.0),
    (200_000, 256, 1024, 40, 0.0),
    (np.inf, 256, 4096, 20, 0.0),
)
# Epochs are added to small tables until they make this many steps.
_FEWEST_STEPS = 1000
# Without held-out rows networks over-fit without bound: the log-likelihood of new rows
# falls by tens of nats. Even two are worth their absence from training; below these
# many rows there is nothing to learn anyway.
_ROWS_TO_HOLD_OUT = 5
_HELD_OUT, _FEWEST_HELD_OUT, _MOST_HELD_OUT = 0.1, 30, 0.3
# Noisy tables are best early in the schedule, clean ones at its end: waiting longer
# than this part of it has not paid.
_PATIENCE = 0.25
# Smooth functions want few bins, and steps many: each loses 0.1 nats and more to the
# other where it is at home. Few bins need no noise against over-fitting; where targets
# depend on the last digits of inputs, noise costs a nat.
_FEW_BINS = 4
N_BINS = (_FEW_BINS, 16)
# Members with shared weights are best on most tables. Where there is almost no noise
# and much to learn they under-fit: a network of its own, deeper, is better there.
N_ESTIMATORS = 8
SINGLE_BINS = 8
_SINGLE_LAYERS, _SINGLE_UNITS = 3, 128
# A component narrower than this part of the targets' scale is an artefact; one that
# is narrower than this part of the spacing of repeated values adds nothing to them.
_MIN_SCALE, _MIN_SCALE_PER_SPACING = 1e-3, 0.05


def _line(n):
    return next(line for line in _BY_ROWS if n <= line[0])


def hidden_layer_sizes(n):
    """Two layers; deeper or much wider ones gain nothing at these numbers of rows."""
    units = _line(n)[1]
    return (units, units)


def single_layer_sizes(n):
    """Hidden layers of a network without shared members: one more, and wider."""
    return (max(_SINGLE_UNITS, _line(n)[1]),) * _SINGLE_LAYERS


def learning_rate_init(sizes):
    """0.01 for 64 units, falling with the width: wider layers sum more updates."""
    return 0.01 * min(1.0, 64 / max(sizes, default=64))


def batch_size(n):
    """Small batches for small tables: the number of steps counts there."""
    return _line(n)[2]


def max_iter(n, batch_size):
    """Epochs of the cosine schedule."""
    steps_per_epoch = -(-n // batch_size)
    return max(_line(n)[3], -(-_FEWEST_STEPS // steps_per_epoch))


def early_stopping(n):
    """Hold rows out only where enough remain."""
    return n >= _ROWS_TO_HOLD_OUT


def validation_fraction(n):
    """A tenth of the rows, but 30 of them, as far as that is no more than 0.3."""
    return max(_HELD_OUT, min(_FEWEST_HELD_OUT / n, _MOST_HELD_OUT))


def input_noise(n, n_bins):
    """Noise on the inputs of small tables, if their bins are narrow."""
    return _line(n)[4] if n_bins > _FEW_BINS else 0.0


def n_iter_no_change(max_iter):
    """Epochs without a better validation score before training stops."""
    return max(1, round(_PATIENCE * max_iter))


def min_scale(spacing, scale):
    """Lower bound of the component scales of every output, in scaled units."""
    return np.maximum(_MIN_SCALE, _MIN_SCALE_PER_SPACING * spacing / np.abs(scale))
