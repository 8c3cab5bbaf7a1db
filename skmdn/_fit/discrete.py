# SPDX-License-Identifier: BSD-3-Clause
"""Targets that repeat: when to say so, and what to say.

A density that is free to shrink around values that repeat has a likelihood without
bound. The bound of the scales (`atom_spacing`) keeps it finite, and no more than that.
"""

import warnings

import numpy as np

from skmdn._fit.targets import TargetScaling, atom_spacing

# Fewer rows are no evidence: anything on a grid repeats.
_FEWEST_ROWS = 200
# Finer grids, in units of the targets' scale, are rounding: some hundred values.
_FINEST = 0.05
# A point mass holds this share of the weight, in this many rows, and in this many times
# the rows of a typical value.
_MASS_SHARE, _MASS_ROWS, _MASS_RATIO = 0.01, 10, 10
_MASSES_SHOWN = 4
_MASSES = (
    "The target has point masses: single values that hold much of the weight, like "
    "zeros or a cap. There the log-likelihood has no upper bound: it rewards narrow "
    "spikes, and a search takes the smallest min_scale. The score to read is the CRPS: "
    "skmdn.metrics.crps_loss, or neg_crps_scorer in searches."
)
# What was said in this process.
_told: set[str] = set()


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


def point_masses(y, sample_weight):
    """Single values that hold much of the weight, among others that hardly repeat.

    A target whose values all repeat is discrete, or rounded, and has none.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
    sample_weight : ndarray of shape (n_samples,)

    Returns
    -------
    values : ndarray of shape (n_masses,)
    shares : ndarray of shape (n_masses,)
        Of the weight.
    """
    values, inverse, counts = np.unique(y, return_inverse=True, return_counts=True)
    shares = np.bincount(inverse.ravel(), weights=sample_weight) / sample_weight.sum()
    often = counts >= np.maximum(_MASS_ROWS, _MASS_RATIO * np.median(counts))
    masses = often & (shares >= _MASS_SHARE)
    return values[masses], shares[masses]


def point_masses_message(values, shares):
    """Sentence for the user about what `point_masses` found in a target."""
    listed = ", ".join(
        f"{value:.6g} ({100 * share:.1f} % of the rows)"
        for value, share in zip(values[:_MASSES_SHOWN], shares, strict=False)
    )
    more = ", ..." if len(values) > _MASSES_SHOWN else ""
    return (
        f"The target has point masses: {listed}{more}. No density has: there it "
        "spikes, and the log-likelihood rewards the narrowest spike without bound. "
        "Read the CRPS, or let a classifier predict these values and a density the "
        "others."
    )


def warn_if_discrete(Y, sample_weight, *, once):
    """Warn before a fit to targets that repeat, all of them or one value alone.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_outputs)
    sample_weight : ndarray of shape (n_samples,)
    once : bool
        Whether this fit is one of many, of which the first is to warn. Python's filters
        forget what they have shown as soon as anybody changes them, which happens in
        every fit.
    """
    outputs = discrete_outputs(Y, sample_weight)
    if len(outputs):
        message = discrete_message(outputs, Y.shape[1])
    elif len(Y) >= _FEWEST_ROWS and any(
        len(point_masses(y, sample_weight)[0]) for y in Y.T
    ):
        message = _MASSES  # Without numbers: the same for every part of a table.
    else:
        return
    if once and message in _told:
        return
    _told.add(message)
    warnings.warn(message, UserWarning, stacklevel=2)
