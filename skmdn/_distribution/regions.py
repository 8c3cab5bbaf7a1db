# SPDX-License-Identifier: BSD-3-Clause
"""Methods of `MixtureDistribution`: modes and highest-density regions."""

from typing import Any

import numpy as np

from skmdn._distribution.checks import check_open_unit
from skmdn._distribution.climb import modes_in_space
from skmdn._distribution.extrema import (
    highest_density_regions,
    highest_modes,
    modes_on_line,
)
from skmdn._typing import FloatArray


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
        points of the ridgelines of any two of the dozen densest components [2]_.

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
