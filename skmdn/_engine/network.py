# SPDX-License-Identifier: BSD-3-Clause
"""The network: its start, and named views of its flat parameters."""

from typing import NamedTuple

import numpy as np

from skmdn._engine.layout import (
    BIAS,
    COLUMN,
    N_IN,
    N_OUT,
    N_PAD,
    OWN_BIAS,
    OWN_WEIGHT,
    ROW,
    SHARED,
    WEIGHT,
    make_layout,
)
from skmdn._families.base import Family
from skmdn._families.head import Head
from skmdn._jit.memory import aligned

_HEAD_GAIN = 0.1  # Small last weights: the network starts as the marginal mixture.


class Network(NamedTuple):
    """A perceptron with `n_estimators` members and a head of mixture parameters.

    Parameters
    ----------
    n_features : int
        Scaled inputs.
    n_inputs : int
        Columns of the input encoding, ``InputEncoding.n_features_out``.
    hidden_layer_sizes : tuple of int
        May be empty: then the mixture is one of linear experts.
    head : Head
    family : Family
    n_estimators : int
    activation : str, a key of `ACTIVATIONS`
    """

    n_features: int
    n_inputs: int
    hidden_layer_sizes: tuple
    head: Head
    family: Family
    n_estimators: int
    activation: str

    @property
    def layout(self):
        """Where the parameters lie, see `skmdn._engine.layout`."""
        return make_layout(*self[:4], self.n_estimators)

    def initialise(self, head_bias, rng):
        """Draw the start of training.

        Weights are normal with variance 1 / fan-in (LeCun et al. 1998; twice that for
        relu, He et al. 2015), biases uniform within 1 / sqrt(fan-in). Members differ
        by random signs of the first layer's inputs, by their biases and their heads
        (Gorishniy, Kotelnikov & Babenko 2025, section 3.3).

        Parameters
        ----------
        head_bias : ndarray of shape (n_head,)
        rng : numpy.random.RandomState

        Returns
        -------
        params : ndarray of shape (n_params,), float32
        """
        layout = self.layout
        params = aligned(layout.n_params, np.float32)
        gain = np.sqrt(2.0) if self.activation == "relu" else 1.0
        for i, layer in enumerate(layout.layers[:-1]):
            n_in, n_out = layer[N_IN], layer[N_OUT]
            offset = layer[SHARED] if layout.n_members > 1 else layer[WEIGHT]
            weight = _matrix(params, offset, layer)
            weight[:] = rng.standard_normal((n_out, n_in)) * (gain / np.sqrt(n_in))
            for own, bias in self._own(params, layout, layer):
                bias[:] = rng.uniform(-1, 1, n_out) / np.sqrt(n_in)
                if own is not None:
                    signs = rng.choice([-1.0, 1.0], n_in) if i == 0 else 1.0
                    own[layer[ROW] : layer[ROW] + n_in] = signs
                    own[layer[COLUMN] : layer[COLUMN] + n_out] = 1.0
        head = layout.layers[-1]
        n_in = head[N_IN]
        for weight, bias in self._heads(params, layout):
            weight[:] = rng.standard_normal(weight.shape) * (_HEAD_GAIN / np.sqrt(n_in))
            bias[:] = head_bias
        return params

    def _own(self, params, layout, layer):
        """Yield (a member's own part or None, its bias of a hidden layer)."""
        for m in range(layout.n_members):
            own, offset = None, layer[BIAS]
            if layout.n_members > 1:
                own = params[layout.shared_size + m * layout.own_size :]
                offset = layout.shared_size + m * layout.own_size + layer[OWN_BIAS]
            yield own, params[offset : offset + layer[N_OUT]]

    def _heads(self, params, layout):
        """Yield (weight, bias) of every member's head."""
        layer = layout.layers[-1]
        for m in range(layout.n_members):
            start, weight, bias = 0, layer[WEIGHT], layer[BIAS]
            if layout.n_members > 1:
                start = layout.shared_size + m * layout.own_size
                weight, bias = layer[OWN_WEIGHT], layer[OWN_BIAS]
            first = start + bias
            yield (
                _matrix(params, start + weight, layer),
                params[first : first + layer[N_OUT]],
            )

    def log_scale_biases(self, params):
        """Yield the part of every member's last bias that the log-scales have."""
        for _, bias in self._heads(params, self.layout):
            yield bias[self.head.log_scale_rows]

    def widened(self, params, log_factor):
        """Copy of the parameters for scales that are ``exp(log_factor)`` times wider.

        But for their lower bounds: then the factor is smaller.
        """
        params = aligned_copy(params, params.dtype)
        for log_scales in self.log_scale_biases(params):
            log_scales += log_factor
        return params

    def decay_mask(self):
        """1 where weight decay applies: the weights, not biases nor scaling vectors."""
        layout = self.layout
        mask = aligned(layout.n_params, np.float32)
        for layer in layout.layers[:-1]:
            offset = layer[SHARED] if layout.n_members > 1 else layer[WEIGHT]
            _matrix(mask, offset, layer)[:] = 1
        for weight, _ in self._heads(mask, layout):
            weight[:] = 1
        return mask

    def layers(self, params):
        """Name the parts of the parameter vector; all are views of it.

        Returns
        -------
        coefs : list of ndarray of shape (n_in, n_out)
            Hidden layers (shared by the members), then the heads, one a member.
        intercepts : list of ndarray of shape (n_out,)
            Layer by layer, within a layer member by member.
        """
        layout = self.layout
        coefs, intercepts = [], []
        for layer in layout.layers[:-1]:
            offset = layer[SHARED] if layout.n_members > 1 else layer[WEIGHT]
            coefs.append(_matrix(params, offset, layer).T)
            intercepts += [bias for _, bias in self._own(params, layout, layer)]
        for weight, bias in self._heads(params, layout):
            coefs.append(weight.T)
            intercepts.append(bias)
        return coefs, intercepts

    def members(self, params):
        """Plain parameter vectors of the members, one after the other (fold)."""
        layout = self.layout
        if layout.n_members == 1:
            return params
        plain = aligned(layout.n_members * layout.member_size, params.dtype)
        for i, layer in enumerate(layout.layers[:-1]):
            weight = _matrix(params, layout.layers[i, SHARED], layer)
            for m, (own, bias) in enumerate(self._own(params, layout, layer)):
                start = m * layout.member_size
                row = own[layer[ROW] : layer[ROW] + layer[N_IN]]
                column = own[layer[COLUMN] : layer[COLUMN] + layer[N_OUT]]
                target = _matrix(plain, start + layer[WEIGHT], layer)
                target[:] = weight * column[:, None] * row
                first = start + layer[BIAS]
                plain[first : first + layer[N_OUT]] = bias
        head = layout.layers[-1]
        for m, (weight, bias) in enumerate(self._heads(params, layout)):
            start = m * layout.member_size
            _matrix(plain, start + head[WEIGHT], head)[:] = weight
            first = start + head[BIAS]
            plain[first : first + head[N_OUT]] = bias
        return plain


def _matrix(flat, offset, layer):
    """View of a layer's weights without their padding, shape (n_out, n_in)."""
    n_out, n_pad = layer[N_OUT], layer[N_PAD]
    rows = flat[offset : offset + n_out * n_pad].reshape(n_out, n_pad)
    return rows[:, : layer[N_IN]]


def aligned_copy(values, dtype):
    """Copy to memory that starts at a cache line."""
    copy = aligned(values.size, dtype).reshape(values.shape)
    copy[...] = values
    return copy
