# SPDX-License-Identifier: BSD-3-Clause
"""The head of the network: which outputs are logits, locations, log-scales, slopes.

Per row and member: K logits a_k, K x D locations m_kd, C x S log-scales s_cs and C x T
slopes b_cdj. The weights are softmax(a), the squared scales exp(2 s) + min_scale^2, so
that none is below the smallest one. Components have a shape each (C = K), with S = D
scales ("diag", "full") or one for all outputs ("spherical"); or they share one (C = 1,
"tied").

With slopes (T = D (D - 1) / 2, "full" and "tied") a component is a chain of
regressions, each output on those before it: the factors of the precision matrix that
Williams (1996, Neural Computation 8) gives a network, with a diagonal of their own
(Pourahmadi 1999, Biometrika 86):

    r_d = (y_d - m_d) - sum_{j<d} b_dj (y_j - m_j)
    Var r_d = exp(2 s_d) + min_scale_d^2

The network gives slopes in units of `SLOPE_UNIT`. They are free and scales bounded from
below, so no covariance is ever singular.
"""

from typing import NamedTuple

import numpy as np

LOG_SCALE_MIN, LOG_SCALE_MAX = -12.0, 6.0  # of targets of scale 1: exp never overflows
_INITIAL_LOG_SCALE = -0.5
# Steps of training move slopes by less than locations. Else they learn what locations
# lack at first: errors that are correlated, but no noise. On a table with little noise
# (energy2, one seed) 8 members gain 0.13 nats, elsewhere it changes little; the form of
# Williams, b_dj in units of the scale of r_d, is at most as good on most tables.
SLOPE_UNIT = 0.1
COVARIANCE_TYPES = ("diag", "spherical", "full", "tied")
_CORRELATED = ("full", "tied")


def check_covariance_type(covariance_type, family):
    """Refuse correlations of other components than Gaussians.

    Raises
    ------
    ValueError
        A linear combination of others is of no family.
    """
    if covariance_type in _CORRELATED and family != "gaussian":
        raise ValueError(
            f"covariance_type={covariance_type!r} is for family='gaussian' alone, or "
            f"choose covariance_type='diag' or 'spherical'; got family={family!r}."
        )


class Head(NamedTuple):
    """Sizes of the head, the same for every family."""

    n_components: int
    n_outputs: int
    n_scales: int  # of a shape
    n_shapes: int  # n_components, or 1 that they share
    n_slopes: int  # of a shape

    @classmethod
    def of(cls, n_components, n_outputs, covariance_type):
        """Return the head for a `covariance_type`, one of `COVARIANCE_TYPES`."""
        return cls(
            n_components,
            n_outputs,
            1 if covariance_type == "spherical" else n_outputs,
            1 if covariance_type == "tied" else n_components,
            n_outputs * (n_outputs - 1) // 2 if covariance_type in _CORRELATED else 0,
        )

    @property
    def is_chain(self):
        """Whether there are slopes, or a shape that components share."""
        return self.n_slopes > 0 or self.n_shapes < self.n_components

    @property
    def size(self):
        """Outputs of the network for one member."""
        n_shape = self.n_shapes * (self.n_scales + self.n_slopes)
        return self.n_components * (1 + self.n_outputs) + n_shape

    @property
    def log_scale_rows(self):
        """Which outputs are log-scales: those after the locations."""
        start = self.n_components * (1 + self.n_outputs)
        return slice(start, start + self.n_shapes * self.n_scales)

    def initial_bias(self, Y, sample_weight, rng):
        """Bias of the head: the network starts as a mixture of the targets alone.

        One output: locations at the quantiles (k + 1/2) / K of the targets. Several:
        k-means++ seeds (Arthur & Vassilvitskii 2007).
        """
        K = self.n_components
        if self.n_outputs == 1:
            order = np.argsort(Y[:, 0], kind="stable")
            share = np.cumsum(sample_weight[order]) / np.sum(sample_weight)
            rank = np.searchsorted(share, (np.arange(K) + 0.5) / K)
            locations = Y[order[np.minimum(rank, len(Y) - 1)]]
        else:
            pick = np.arange(K) % len(Y)
            if len(Y) > K:
                # Here, because it loads much more of scikit-learn: 0.1 s.
                from sklearn.cluster import kmeans_plusplus

                _, pick = kmeans_plusplus(
                    Y, K, sample_weight=sample_weight, random_state=rng
                )
            locations = Y[pick]
        scales = np.full(self.n_shapes * self.n_scales, _INITIAL_LOG_SCALE)
        slopes = np.zeros(self.n_shapes * self.n_slopes)
        return np.concatenate([np.zeros(K), locations.ravel(), scales, slopes])

    def unpack(self, raw, min_scale):
        """Turn head outputs into mixture parameters, in units of the scaled targets.

        Parameters
        ----------
        raw : ndarray of shape (n_members, size, n_samples), float64
        min_scale : ndarray of shape (n_scales,)

        Returns
        -------
        weights : ndarray of shape (n_samples, n_members * n_components)
        locations : ndarray of shape (n_samples, n_members * n_components, n_outputs)
        scales : ndarray of shape (n_samples, n_members * n_components, n_scales)
            With slopes those of every output given the ones before.
        slopes : ndarray of shape (n_samples, n_members * n_components, n_slopes), or \
                None
            Below the diagonal, row by row.
        """
        M, _, n = raw.shape
        K, D, S, C, T = self
        logits, locations = raw[:, :K], raw[:, K : K + K * D]
        # In place: for many rows most of the time goes to memory that is new.
        weights = logits - logits.max(axis=1, keepdims=True)
        np.exp(weights, out=weights)
        weights /= M * weights.sum(axis=1, keepdims=True)
        scales = np.clip(raw[:, self.log_scale_rows], LOG_SCALE_MIN, LOG_SCALE_MAX)
        np.exp(scales, out=scales)
        scales = scales.reshape(M, C, S, n)
        np.hypot(scales, min_scale[:, None], out=scales)
        slopes = SLOPE_UNIT * raw[:, self.log_scale_rows.stop :].reshape(M, C, T, n)
        if C < K:
            scales, slopes = (np.repeat(part, K, axis=1) for part in (scales, slopes))
        return (
            weights.reshape(M * K, n).T,
            locations.reshape(M * K, D, n).transpose(2, 0, 1),
            scales.reshape(M * K, S, n).transpose(2, 0, 1),
            slopes.reshape(M * K, T, n).transpose(2, 0, 1) if T else None,
        )
