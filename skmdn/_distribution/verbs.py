# SPDX-License-Identifier: BSD-3-Clause
"""Methods of `MixtureDistribution`: new distributions from given ones."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skmdn._distribution import evaluate
from skmdn._distribution.checks import SMALLEST_SCALE, check_finite, check_weights
from skmdn._distribution.factors import block_diagonal, joined
from skmdn._distribution.names import check_output_names

# Components that `independent` makes of a row, at most: more are hardly meant.
_MOST_PRODUCTS = 10_000


class Verbs:
    """Rows and components of several distributions put together, scaled, reweighted.

    The arrays of a distribution are valid: what is made of them is not checked again.

    Abstract: the parameters are those of `MixtureDistribution`.
    """

    @classmethod
    def concatenate(cls, parts: Sequence[Any]) -> Self:
        """Rows of several distributions, one after the other.

        Parameters
        ----------
        parts : list of MixtureDistribution
            Of as many outputs and of one family. Where one has fewer components than
            another, its last one is repeated with weight 0. Where one has correlations,
            the others get those of independent outputs.

        Returns
        -------
        distribution : MixtureDistribution
            With the output names that all parts share.

        Raises
        ------
        TypeError
            If a part is no MixtureDistribution.
        ValueError
            If there is no part, or the numbers of outputs or the families differ.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[0.5, 0.5]], [[0.0, 2.0]], [[1.0, 1.0]])
        >>> MixtureDistribution.concatenate([dist, dist.reduce(1)]).mean()
        array([1., 1.])
        """
        parts = cls._check_parts(parts)
        most = max(part.n_components for part in parts)
        arrays = [_padded(part, most) for part in parts]
        return cls._joined(arrays, 0, parts)

    @classmethod
    def mix(cls, parts: Sequence[Any], weights: ArrayLike) -> Self:
        """Mixture of several distributions of the same rows.

        Parameters
        ----------
        parts : list of MixtureDistribution
            Of as many rows and outputs, and of one family.
        weights : array-like of shape (n_parts,)
            Not negative, with the sum 1 (within 1e-5, and divided by it).

        Returns
        -------
        mixture : MixtureDistribution
            Its density is the weighted mean of those of the parts. It has the
            components of all of them, with their correlations, and the output names
            that they share.

        Raises
        ------
        TypeError
            If a part is no MixtureDistribution.
        ValueError
            If there is no part, the numbers of rows or outputs or the families differ,
            or the weights are not as described.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> a = MixtureDistribution([[1.0]], [[0.0]], [[1.0]])
        >>> b = MixtureDistribution([[1.0]], [[4.0]], [[1.0]])
        >>> MixtureDistribution.mix([a, b], [0.75, 0.25]).mean()
        array([1.])
        """
        parts = cls._check_parts(parts)
        _check_same_rows(parts)
        weights = check_finite("weights", weights)
        if weights.shape != (len(parts),):
            raise ValueError(
                f"weights must have the shape ({len(parts)},), one for each part; got "
                f"{weights.shape}."
            )
        weights = check_weights(weights[None])[0]
        arrays = [
            (part.weights * weight, part.means, part.scales, part._factors)
            for part, weight in zip(parts, weights, strict=True)
        ]
        return cls._joined(arrays, 1, parts)

    @classmethod
    def independent(cls, parts: Sequence[Any]) -> Self:
        """Joint distribution of outputs that are independent given the row.

        Parameters
        ----------
        parts : list of MixtureDistribution
            Of as many rows and of one family; one output or several each.

        Returns
        -------
        joint : MixtureDistribution
            The outputs of all parts, in order. It has a component for every choice of
            one component of each part; output names where all parts have them. Outputs
            of one part keep their correlations, those of two have none in a component.

        Raises
        ------
        TypeError
            If a part is no MixtureDistribution.
        ValueError
            If there is no part, the numbers of rows or the families differ, two outputs
            have the same name, or there would be more than 10 000 components: `reduce`
            the parts.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> a = MixtureDistribution([[0.5, 0.5]], [[0.0, 2.0]], [[1.0, 1.0]])
        >>> b = MixtureDistribution([[1.0]], [[3.0]], [[2.0]])
        >>> joint = MixtureDistribution.independent([a, b])
        >>> joint.mean(), joint.std()[0].round(4)
        (array([[1., 3.]]), array([1.4142, 2.    ]))
        """
        parts = cls._check_parts(parts, same_outputs=False)
        _check_same_rows(parts)
        counts = [part.n_components for part in parts]
        if np.prod(counts, dtype=float) > _MOST_PRODUCTS:
            raise ValueError(
                f"parts of {counts} components would be more than {_MOST_PRODUCTS} "
                "components together: reduce(k) the parts first."
            )
        choices = np.indices(counts).reshape(len(parts), -1)
        weights, means, scales, factors = 1.0, [], [], []
        for part, choice in zip(parts, choices, strict=True):
            w, m, s = part._with_axis_of_outputs()
            weights = weights * w[:, choice]
            means.append(m[:, choice])
            scales.append(s[:, choice])
            own = part._factors
            is_shared = own is None or own.shape[1] == 1
            factors.append(own if is_shared else own[:, choice])
        joint = np.concatenate(means, axis=2), np.concatenate(scales, axis=2)
        if joint[0].shape[2] == 1:
            joint = joint[0][..., 0], joint[1][..., 0]
        names = [part.output_names for part in parts]
        names = None if None in names else [name for part in names for name in part]
        names = check_output_names(names, sum(part.n_outputs for part in parts))
        return parts[0]._replace(
            weights=weights,
            means=joint[0],
            scales=joint[1],
            factors=block_diagonal(factors, [m.shape for m in means]),
            output_names=names,
        )

    def affine(self, scale: ArrayLike, shift: ArrayLike = 0.0) -> Self:
        """Distribution of ``scale * Y + shift``.

        Parameters
        ----------
        scale : float or array-like of shape (n_outputs,)
            Not 0; may be negative.
        shift : float or array-like of shape (n_outputs,), default=0.0
            In the units of the result.

        Returns
        -------
        distribution : MixtureDistribution
            With the same output names. Correlations stay, but for signs.

        See Also
        --------
        MixtureDistribution.linear : Combinations of several outputs.

        Raises
        ------
        ValueError
            If a shape does not fit, something is not finite or a scale is 0, also in
            the result (in float64), or a scale is negative and the family not
            symmetric.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> celsius = MixtureDistribution([[1.0]], [[20.0]], [[5.0]])
        >>> fahrenheit = celsius.affine(1.8, 32)
        >>> fahrenheit.mean(), fahrenheit.std()
        (array([68.]), array([9.]))
        """
        pair = check_finite("scale", scale), check_finite("shift", shift)
        for name, value in zip(("scale", "shift"), pair, strict=True):
            if value.shape not in ((), (self.n_outputs,)):
                raise ValueError(
                    f"{name} must be a number or have the shape ({self.n_outputs},), "
                    f"one for each output; got {value.shape}."
                )
        if np.any(pair[0] < 0) and not evaluate.is_symmetric(self):
            raise ValueError(
                f"scale must be positive for the family {self.family!r}, which is not "
                f"symmetric; got {scale!r}."
            )
        with np.errstate(over="ignore", under="ignore"):
            means = self.means * pair[0] + pair[1]
            scales = self.scales * np.abs(pair[0])
        if not (np.isfinite(means).all() and np.isfinite(scales).all()):
            raise ValueError(f"scale * Y + shift is not finite for scale={scale!r}.")
        if not np.all(scales >= SMALLEST_SCALE):
            raise ValueError(
                f"scale must leave the scales at least {SMALLEST_SCALE:.3g}; got "
                f"{scale!r}."
            )
        sign = np.where(pair[0] < 0, -1.0, 1.0) * np.ones(self.n_outputs)
        factors = self._factors
        if factors is not None:
            factors = factors * sign[:, None] * sign
        return self._replace(means=means, scales=scales, factors=factors)

    def reweight(self, weights: ArrayLike) -> Self:
        """Same components with other weights.

        Parameters
        ----------
        weights : array-like of shape (n_rows, n_components)
            Not negative; every row sums to 1 (within 1e-5, and is divided by its sum).

        Returns
        -------
        distribution : MixtureDistribution
            With the same output names.

        Raises
        ------
        ValueError
            If `weights` are not as described.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[0.5, 0.5]], [[0.0, 2.0]], [[1.0, 1.0]])
        >>> dist.reweight([[1.0, 0.0]]).mean()
        array([0.])
        """
        weights = check_finite("weights", weights)
        if weights.shape != self.weights.shape:
            raise ValueError(
                f"weights must have the shape {self.weights.shape}; got "
                f"{weights.shape}."
            )
        return self._replace(weights=check_weights(weights))

    @classmethod
    def _check_parts(cls, parts, *, same_outputs=True):
        parts = list(parts)
        if not parts:
            raise ValueError("parts must hold a distribution; got none.")
        for part in parts:
            if not isinstance(part, cls):
                raise TypeError(
                    f"parts must be MixtureDistributions; got {type(part).__name__}."
                )
        families = sorted({part.family for part in parts})
        if len(families) > 1:
            raise ValueError(f"parts must be of one family; got {families}.")
        numbers = sorted({part.n_outputs for part in parts})
        if same_outputs and len(numbers) > 1:
            raise ValueError(f"parts must have as many outputs; got {numbers}.")
        return parts

    @classmethod
    def _joined(cls, arrays, axis, parts):
        """Arrays of every part, concatenated along an axis."""
        weights, means, scales, factors = map(list, zip(*arrays, strict=True))
        if len({a.shape[2:] for a in scales}) > 1:  # some the same for all outputs
            scales = [
                np.broadcast_to(s, m.shape) for s, m in zip(scales, means, strict=True)
            ]
        names = parts[0].output_names
        if any(part.output_names != names for part in parts):
            names = None
        shapes = [(*w.shape, parts[0].n_outputs) for w in weights]
        return parts[0]._replace(
            weights=np.concatenate(weights, axis=axis),
            means=np.concatenate(means, axis=axis),
            scales=np.concatenate(scales, axis=axis),
            factors=joined(factors, shapes, axis),
            output_names=names,
        )


def _padded(part, n_components):
    """Arrays of a distribution with components of weight 0 behind its own."""
    missing = n_components - part.n_components
    arrays = [part.means, part.scales, part._factors]
    if not missing:
        return part.weights, *arrays
    for i, a in enumerate(arrays):
        if a is not None and (i < 2 or a.shape[1] > 1):
            arrays[i] = np.concatenate([a, np.repeat(a[:, -1:], missing, 1)], axis=1)
    return np.pad(part.weights, ((0, 0), (0, missing))), *arrays


def _check_same_rows(parts):
    numbers = sorted({len(part) for part in parts})
    if len(numbers) > 1:
        raise ValueError(f"parts must have as many rows; got {numbers}.")
