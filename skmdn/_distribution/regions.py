# SPDX-License-Identifier: BSD-3-Clause
"""Methods of `MixtureDistribution`: modes and highest-density regions."""


class Regions:
    """Modes and regions. Abstract."""
