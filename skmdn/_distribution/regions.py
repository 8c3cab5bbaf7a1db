# SPDX-License-Identifier: BSD-3-Clause
"""Methods of `MixtureDistribution`: modes and highest-density regions."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from skmdn._distribution import evaluate
from skmdn._distribution.checks import (
    check_integer,
    check_levels,
    check_open_unit,
    new_generator,
)
from skmdn._distribution.climb import modes_in_space
from skmdn._distribution.extrema import (
    highest_density_regions,
    highest_modes,
    modes_on_line,
)
from skmdn._distribution.joint import lower_triangles
from skmdn._distribution.quadrature import row_blocks
from skmdn._typing import FloatArray, Seed


class Regions:
    """Modes and highest-density regions.

    Abstract: the parameters are those of `MixtureDistribution`.
    """

    def mode(self) -> FloatArray:
        """Where the density is highest.

        Returns
        -------
        mode : ndarray of shape (n_rows,) or (n_rows, n_outputs)

        See Also
        --------
        MixtureDistribution.modes : All maxima.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[0.4, 0.6]], [[-3.0, 3.0]], [[0.5, 0.5]])
        >>> dist.mode().round(6)
        array([3.])
        """
        if self.n_outputs == 1:
            return highest_modes(self)
        locations = [found[0] for found in modes_in_space(self)[0]]
        return np.array(locations).reshape(len(self), self.n_outputs)

    def modes(self, *, return_mass: bool = False) -> Any:
        """All maxima of the density.

        One output: all sign changes of the derivative, to rounding. Several: what the
        means of the components climb to, by mean shift and Newton's method [1]_, and
        points of the ridgelines of any two of the dozen densest components [2]_;
        correlated components take about ten times as long, 2 ms a row of 8.

        Parameters
        ----------
        return_mass : bool, default=False
            Return the densities and masses as well.

        Returns
        -------
        locations : list of ndarray of shape (n_modes,) or (n_modes, n_outputs)
            One array a row; from left to right, for several outputs from the highest.
        densities : list of ndarray of shape (n_modes,)
            Densities there. Only if `return_mass`.
        masses : list of ndarray of shape (n_modes,)
            Probability between the minima on both sides; for several outputs the weight
            of the components whose means climb to the mode. Only if `return_mass`.

        References
        ----------
        .. [1] M. A. Carreira-Perpinan, "Mode-finding for mixtures of Gaussian
           distributions", IEEE Trans. Pattern Anal. Mach. Intell. 22, 2000.
        .. [2] S. Ray and B. G. Lindsay, "The topography of multivariate normal
           mixtures", Ann. Statist. 33, 2005.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[0.4, 0.6]], [[-3.0, 3.0]], [[0.5, 0.5]])
        >>> locations, densities, masses = dist.modes(return_mass=True)
        >>> locations[0].round(6), masses[0].round(6)
        (array([-3.,  3.]), array([0.4, 0.6]))
        """
        if self.n_outputs == 1:
            found = modes_on_line(self)
        else:
            found = modes_in_space(self)
        return found if return_mass else found[0]

    def hdr(self, coverage: float = 0.9) -> list[FloatArray]:
        """Highest-density regions: the shortest that hold the coverage; one output.

        The points where the density is above a level, found such that their probability
        is right to 1e-10 [1]_: a union of disjoint intervals, one or more modes each.
        Ends that fall between neighbouring float64 numbers where that matters, beside
        components narrower than these, are rounded outwards.

        Parameters
        ----------
        coverage : float, default=0.9
            Probability of the region, in (0, 1).

        Returns
        -------
        regions : list of ndarray of shape (n_intervals, 2)
            One array a row: lower and upper ends, from left to right.

        Raises
        ------
        ValueError
            If there are several outputs or `coverage` is not in (0, 1).

        References
        ----------
        .. [1] R. J. Hyndman, "Computing and graphing highest density regions", Am.
           Stat. 50, 1996.

        See Also
        --------
        MixtureDistribution.hdr_level : The region of several outputs, by its density.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[0.5, 0.5]], [[-3.0, 3.0]], [[0.5, 0.5]])
        >>> dist.hdr(0.95)[0].round(2)
        array([[-3.98, -2.02],
               [ 2.02,  3.98]])
        """
        self._check_one_output("hdr")
        return highest_density_regions(self, check_open_unit("coverage", coverage))

    def hdr_level(
        self,
        coverage: ArrayLike = 0.9,
        *,
        n_samples: int = 10_000,
        random_state: Seed = None,
    ) -> FloatArray:
        """Density at the edge of highest-density regions, of any number of outputs.

        The region that holds the coverage are the points where `pdf` is above it.

        Parameters
        ----------
        coverage : float or array-like, default=0.9
            Probability of the region, in (0, 1): a number, a list (m,) for every row,
            or a grid (n_rows, m).
        n_samples : int, default=10_000
            Draws of every row: the level is a quantile of the density at these [1]_,
            with a standard error of the coverage of ``sqrt(coverage * (1 - coverage) /
            n_samples)``. A single Gaussian component needs none.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws.

        Returns
        -------
        level : ndarray of shape (n_rows,) for a number, else (n_rows, m)
            Per unit of y (product of the units of several outputs).

        Raises
        ------
        ValueError
            If `coverage` has another shape or is not in (0, 1), or `n_samples` is not
            a positive integer.

        References
        ----------
        .. [1] R. J. Hyndman, "Computing and graphing highest density regions", Am.
           Stat. 50, 1996, section 3.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[1.0]], [[[0.0, 0.0]]], [[[1.0, 1.0]]])
        >>> level = dist.hdr_level(0.5)
        >>> level.round(6), dist.pdf([1.0, 1.0]) >= level
        (array([0.079577]), array([False]))
        """
        levels, shape = check_levels("coverage", coverage, len(self), inside=True)
        n_samples = check_integer("n_samples", n_samples, 1)
        if self.n_components == 1 and evaluate.is_gaussian(self):
            means = self.means[:, 0]
            half_square = 0.5 * special.chdtri(self.n_outputs, 1 - levels)
            return np.exp(self.logpdf(means)[:, None] - half_square).reshape(shape)
        rng = new_generator(random_state)
        found = np.empty((len(self), levels.shape[1]))
        for rows in row_blocks(len(self), n_samples * self.n_outputs):
            part = self[rows]
            draws = part.sample(n_samples, random_state=rng)
            if self.n_outputs > 1:
                draws = np.swapaxes(draws, 1, 2)
            heights = np.sort(part.logpdf(draws), axis=1)
            at = (1 - (levels if len(levels) == 1 else levels[rows])) * (n_samples - 1)
            at = np.broadcast_to(np.round(at).astype(int), found[rows].shape)
            found[rows] = np.take_along_axis(heights, at, axis=1)
        return np.exp(found).reshape(shape)

    def ellipses(self, coverage: float = 0.9, *, n_points: int = 64) -> FloatArray:
        """Outlines of the components of two outputs, for drawing; Gaussians.

        Parameters
        ----------
        coverage : float, default=0.9
            Probability of each component that is within, in (0, 1).
        n_points : int, default=64
            Points of an outline, the last of which is the first.

        Returns
        -------
        outlines : ndarray of shape (n_rows, n_components, n_points, 2)

        Raises
        ------
        ValueError
            If there are not two outputs, the family is another than Gaussians, or an
            argument is not as described.

        Examples
        --------
        >>> from skmdn import MixtureDistribution
        >>> dist = MixtureDistribution([[1.0]], [[[0.0, 1.0]]], [[[1.0, 2.0]]])
        >>> dist.ellipses(n_points=5)[0, 0].round(2)
        array([[ 2.15,  1.  ],
               [ 0.  ,  5.29],
               [-2.15,  1.  ],
               [-0.  , -3.29],
               [ 2.15,  1.  ]])
        """
        if self.n_outputs != 2 or not evaluate.is_gaussian(self):
            raise ValueError(
                f"ellipses is for two outputs and Gaussians, this distribution has "
                f"{self.n_outputs} of the family {self.family!r}: choose two with "
                "marginal([i, j])."
            )
        coverage = check_open_unit("coverage", coverage)
        turn = np.linspace(0, 2 * np.pi, check_integer("n_points", n_points, 2))
        circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
        circle *= np.sqrt(-2 * np.log1p(-coverage))
        outlines = np.einsum("nkij,qj->nkqi", lower_triangles(self), circle)
        return self.means[:, :, None] + outlines
