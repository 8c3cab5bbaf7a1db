# SPDX-License-Identifier: BSD-3-Clause
"""The head of the network: which outputs are logits, locations, log-scales.

Per row and member: K logits a_k, K x D locations m_kd, K x S log-scales s_ks, where S
is D ("diag") or 1 ("spherical"). The weights are softmax(a), the squared scales
exp(2 s) + min_scale^2, so that none is below the smallest one.
"""

from typing import NamedTuple

import numpy as np

LOG_SCALE_MIN, LOG_SCALE_MAX = -12.0, 6.0  # of targets of scale 1: exp never overflows
_INITIAL_LOG_SCALE = -0.5
# Scales of a component, by the number of outputs.
COVARIANCE_TYPES = {"diag": lambda n_outputs: n_outputs, "spherical": lambda _: 1}


class Head(NamedTuple):
    """Sizes of the head, the same for every family."""

    n_components: int
    n_outputs: int
    n_scales: int

    @classmethod
    def of(cls, n_components, n_outputs, covariance_type):
        """Return the head for a `covariance_type`, a key of `COVARIANCE_TYPES`."""
        n_scales = COVARIANCE_TYPES[covariance_type](n_outputs)
        return cls(n_components, n_outputs, n_scales)

    @property
    def size(self):
        """Outputs of the network for one member."""
        return self.n_components * (1 + self.n_outputs + self.n_scales)

    @property
    def log_scale_rows(self):
        """Which outputs are log-scales: the last ones."""
        return slice(self.n_components * (1 + self.n_outputs), None)

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
        scales = np.full(K * self.n_scales, _INITIAL_LOG_SCALE)
        return np.concatenate([np.zeros(K), locations.ravel(), scales])

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
        """
        M, _, n = raw.shape
        K, D, S = self
        logits, locations = raw[:, :K], raw[:, K : K + K * D]
        # In place: for many rows most of the time goes to memory that is new.
        weights = logits - logits.max(axis=1, keepdims=True)
        np.exp(weights, out=weights)
        weights /= M * weights.sum(axis=1, keepdims=True)
        scales = np.clip(raw[:, self.log_scale_rows], LOG_SCALE_MIN, LOG_SCALE_MAX)
        np.exp(scales, out=scales)
        scales = scales.reshape(M, K, S, n)
        np.hypot(scales, min_scale[:, None], out=scales)
        return (
            weights.reshape(M * K, n).T,
            locations.reshape(M * K, D, n).transpose(2, 0, 1),
            scales.reshape(M * K, S, n).transpose(2, 0, 1),
        )
