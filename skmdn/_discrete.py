# SPDX-License-Identifier: BSD-3-Clause
"""Targets that repeat: when to say so, and what to say.

A density that is free to shrink around values that repeat has a likelihood without
bound. The bound of the scales (`atom_spacing`) keeps it finite, and no more than that.
"""

import warnings

import numpy as np

from skmdn._scaling import TargetScaling, atom_spacing

# Fewer rows are no evidence: anything on a grid repeats.
_FEWEST_ROWS = 200
# Finer grids, in units of the targets' scale, are rounding: some hundred values.
_FINEST = 0.05


def discrete_outputs(Y, sample_weight):
    """Which outputs are discrete, beyond doubt.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_outputs)
    sample_weight : ndarray of shape (n_samples,)

    Returns
    -------
    outputs : ndarray of int
    """
    if len(Y) < _FEWEST_ROWS:
        return np.empty(0, dtype=int)
    spacing = atom_spacing(Y, sample_weight)
    outputs = np.flatnonzero(spacing)
    if len(outputs):  # Sorting large tables once more only then.
        scale = np.abs(TargetScaling.fit(Y[:, outputs], sample_weight).scale)
        outputs = outputs[spacing[outputs] >= _FINEST * scale]
    return outputs


def discrete_message(outputs, n_outputs):
    """Sentence for the user about the outputs that `discrete_outputs` found."""
    where = "" if n_outputs == 1 else f" in output {', '.join(map(str, outputs))}"
    return (
        f"The target is discrete{where}: its values repeat. There the log-likelihood "
        "has no upper bound and rewards narrow spikes at these values. The score to "
        "read is the CRPS: skmdn.metrics.crps_loss, or neg_crps_scorer in searches."
    )


def warn_if_discrete(Y, sample_weight):
    """Warn before a fit to targets that `discrete_outputs` finds."""
    outputs = discrete_outputs(Y, sample_weight)
    if len(outputs):
        # The location of the caller: a search shows the warning once.
        warnings.warn(discrete_message(outputs, Y.shape[1]), UserWarning, stacklevel=2)
