# SPDX-License-Identifier: BSD-3-Clause
"""Methods that give the same result under whatever `np.errstate` their caller has."""

import functools
import inspect

import numpy as np


def own_errstate(cls):
    """Run the methods of a class under an errstate of their own.

    Underflow to 0, overflow to infinity and the logarithm of 0 are part of the formulas
    on the way to a finite result: a caller's ``np.errstate(all="raise")`` must not turn
    them into errors.
    """
    for name in dir(cls):
        if name.startswith("_") and name not in ("__init__", "__getitem__"):
            continue
        member = inspect.getattr_static(cls, name)
        if inspect.isfunction(member):
            setattr(cls, name, _quiet(member))
        elif isinstance(member, classmethod):
            setattr(cls, name, classmethod(_quiet(member.__func__)))
    return cls


def _quiet(method):
    @functools.wraps(method)
    def quiet(*args, **kwargs):
        with np.errstate(all="ignore"):
            return method(*args, **kwargs)

    return quiet
