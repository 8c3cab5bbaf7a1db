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


def find_family(name):
    """Return the family of a name."""
    if not isinstance(name, str) or name not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}; got {name!r}.")
    return FAMILIES[name]


register(GAUSSIAN)
register(LAPLACE)
register(LOGISTIC)
