# SPDX-License-Identifier: BSD-3-Clause
"""From the units of the targets to the network's and back; targets that repeat.

The logarithm of the scale is the Jacobian of the density.
"""

from typing import NamedTuple

import numpy as np

from skmdn._engine.limits import CLIP, LARGEST_SCALED
from skmdn._fit.statistics import center_and_spread

# Spread of y below this part of its magnitude cannot be resolved in float64.
RESOLUTION = 1e4 * np.finfo(float).eps
# Squares of the scale must not underflow.
SMALLEST = 1e-150
# Nor may those of the farthest target, counted in the narrowest scales, overflow.
FARTHEST = 1e100


class TargetScaling(NamedTuple):
    """Affine map between the targets and what the network is trained on.

    Attributes
    ----------
    center : ndarray of shape (n_outputs,)
    scale : ndarray of shape (n_outputs,)
        Never zero. Its sign makes the longer tail of the scaled targets point up: a
        fit to ``-y`` is the mirrored fit to ``y``.
    """

    center: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, Y, sample_weight, held_out=None):
        """Measure the targets `Y` of shape (n_samples, n_outputs).

        Those that are held out, (m, n_outputs), only bound the scale from below.
        """
        statistics = [center_and_spread(column, sample_weight) for column in Y.T]
        center, scale = np.array(statistics, dtype=float).T.copy()
        # A constant says nothing of its accuracy but by its magnitude.
        scale = np.where(scale > 0, scale, np.where(center == 0, 1.0, np.abs(center)))
        scale = np.maximum(scale, np.maximum(RESOLUTION * np.abs(center), SMALLEST))
        known = Y if held_out is None else np.concatenate([Y, held_out])
        scale = np.maximum(scale, np.abs(known - center).max(axis=0) / FARTHEST)
        tails = sample_weight @ np.clip((Y - center) / scale, -CLIP, CLIP) ** 3
        return cls(center, np.where(tails < 0, -scale, scale))

    @property
    def log_jacobian(self):
        """Log-density of the scaled targets minus log-density of the targets."""
        return float(np.log(np.abs(self.scale)).sum())

    def transform(self, Y):
        """Scaled targets, cut at a million: beyond, float32 could not square them."""
        return np.clip((Y - self.center) / self.scale, -LARGEST_SCALED, LARGEST_SCALED)

    def inverse_components(self, means, scales, factors=None):
        """Components in the targets' units.

        Parameters
        ----------
        means, scales : ndarray of shape (..., n_outputs)
        factors : ndarray of shape (..., n_outputs, n_outputs) or None
            Of the correlations: they change their signs as the outputs do.
        """
        if factors is not None:
            signs = np.sign(self.scale)
            factors = factors * (signs[:, None] * signs)
        return self.center + self.scale * means, np.abs(self.scale) * scales, factors


def atom_spacing(Y, sample_weight):
    """Spacing of target values that repeat; 0 where the target is continuous.

    A density that is free to shrink around values that repeat grows without bound, and
    says nothing: the spacing bounds it from below. Values repeat if each of them holds
    2 % of the weight in at least three rows, all of them together most of it, or
    if few distinct values lie on a regular grid.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_outputs)
    sample_weight : ndarray of shape (n_samples,)

    Returns
    -------
    ndarray of shape (n_outputs,)
    """
    return np.array([_atom_spacing(y, sample_weight) for y in Y.T])


def _atom_spacing(y, sample_weight):
    values, inverse, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(values) < 2:
        return 0.0
    share = np.bincount(inverse.ravel(), weights=sample_weight) / sample_weight.sum()
    atoms = (share >= 0.02) & (counts >= 3)
    if atoms.sum() > 1 and share[atoms].sum() >= 0.8:
        return float(np.median(np.diff(values[atoms])))
    gaps = np.diff(values)
    ratio = gaps / gaps.min()
    on_grid = np.all(np.abs(ratio - np.round(ratio)) < 1e-3 * ratio)
    if on_grid and len(values) < 0.2 * len(y):
        return float(np.median(gaps))
    return 0.0
