# SPDX-License-Identifier: BSD-3-Clause
"""Methods of `MixtureDistribution`: random draws."""

import numpy as np
from numpy.typing import ArrayLike

from skmdn._distribution import evaluate
from skmdn._distribution.checks import check_integer, check_positive, new_generator
from skmdn._distribution.draws import draw_by_inversion
from skmdn._distribution.kernels import sampling
from skmdn._typing import FloatArray, Seed


class Sampling:
    """Random draws. Abstract: the parameters are those of `MixtureDistribution`."""

    def sample(
        self,
        n_samples: int | None = None,
        random_state: Seed = None,
        *,
        temperature: ArrayLike = 1.0,
    ) -> FloatArray:
        """Draw from every row, several outputs together with their correlations.

        Parameters
        ----------
        n_samples : int, default=None
            Draws of every row; None: one, without an axis for it.
        random_state : int, RandomState instance or None, default=None
            Seed, or generator to take one from. The draws of a row depend on it, on
            `n_samples` and on the number of the row.
        temperature : float or pair of floats, default=1.0
            Below 1 sharpens, above 1 flattens: weights to the power of
            ``1 / temperature``, variances times `temperature` [1]_; correlations within
            the components stay. A pair: that of the weights and that of the variances.

        Returns
        -------
        samples : ndarray of shape (n_rows[, n_outputs][, n_samples])
            The axis of outputs only for several.

        Raises
        ------
        ValueError
            If `n_samples` is not an integer or `temperature` not positive.

        References
        ----------
        .. [1] D. Ha and D. Eck, "A neural representation of sketch drawings", ICLR
           2018, equation 8.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[0.5, 0.5]], [[-3.0, 3.0]], [[0.1, 0.1]])
        >>> dist.sample(1000, random_state=0).shape
        (1, 1000)
        """
        n_draws = 1 if n_samples is None else check_integer("n_samples", n_samples, 0)
        pair = temperature if isinstance(temperature, (tuple, list)) else [temperature]
        for_weights, for_scales = pair[0], pair[-1]
        if len(pair) > 2:
            raise ValueError(f"temperature must be one or two numbers; got {pair}.")
        for_weights = check_positive("temperature", for_weights)
        for_scales = check_positive("temperature", for_scales)
        seed = new_seed(random_state)
        draws = self._tempered(for_weights, for_scales)._draw(n_draws, seed)
        return draws[..., 0] if n_samples is None else draws

    def _tempered(self, for_weights, for_scales):
        """Weights and variances at other temperatures; 1 leaves them."""
        parts = {}
        if for_weights != 1:
            most = self.weights.max(axis=1, keepdims=True)
            weights = (self.weights / most) ** (1 / for_weights)
            parts["weights"] = weights / weights.sum(axis=1, keepdims=True)
        if for_scales != 1:
            parts["scales"] = self.scales * np.sqrt(for_scales)
        return self._replace(**parts)

    def _draw(self, n_draws, seed, first_row=0):
        """Draw from every row.

        Parameters
        ----------
        n_draws : int
        seed : numpy.uint64
            From `new_seed`.
        first_row : int
            Number of the first row, where these rows are a part of others.

        Returns
        -------
        draws : ndarray of shape (n_rows[, n_outputs], n_draws)
        """
        draws = np.empty((len(self), self.n_outputs, n_draws))
        if evaluate.is_gaussian(self):
            factors = self._factors
            if factors is None:
                factors = np.empty((len(self), 0, self.n_outputs, self.n_outputs))
            sampling.sample(
                *(*evaluate.parameters(self), factors),
                *(seed, first_row * n_draws, draws),
                np.empty(self.n_components),
                np.empty((1 + self.n_outputs, sampling.LANES)),
            )
        else:
            draw_by_inversion(self, seed, first_row * n_draws, draws)
        return draws[:, 0] if self.means.ndim == 2 else draws


def new_seed(random_state):
    """Draw the seed of a stream."""
    high, low = new_generator(random_state).randint(2**32, size=2, dtype=np.uint64)
    return (high << np.uint64(32)) | low
