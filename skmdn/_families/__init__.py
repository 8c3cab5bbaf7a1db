# SPDX-License-Identifier: BSD-3-Clause
"""What a component is: one file for every family, and one line here."""

from skmdn._families.base import check_family
from skmdn._families.gaussian import GAUSSIAN
from skmdn._families.laplace import LAPLACE
from skmdn._families.logistic import LOGISTIC

FAMILIES = {}


def register(family):
    """Make a family available as ``family=family.name``; see `check_family`."""
    FAMILIES[check_family(family).name] = family


register(GAUSSIAN)
register(LAPLACE)
register(LOGISTIC)
