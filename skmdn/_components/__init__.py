# SPDX-License-Identifier: BSD-3-Clause
"""What a component is: one class per family, one line of the registry per kind."""

from skmdn._components.gaussian import Gaussian

COMPONENTS = {"diag": Gaussian.diagonal, "spherical": Gaussian.spherical}
