# SPDX-License-Identifier: BSD-3-Clause
"""Methods that give the same result under whatever `np.errstate` their caller has."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np

_Class = TypeVar("_Class", bound=type)
_Method = TypeVar("_Method", bound=Callable[..., Any])


def own_errstate(
    methods: Sequence[str] | None = None, **errstate: Any
) -> Callable[[_Class], _Class]:
    """Class decorator: run methods under an errstate of their own.

    Underflow to 0, and in closed forms overflow to infinity and the logarithm of 0, are
    steps on the way to a finite result: the caller's ``np.errstate(all="raise")`` must
    not turn them into errors.

    Parameters
    ----------
    methods : sequence of str, default=None
        None: `__init__` and all public ones.
    **errstate
        As for `np.errstate`.
    """

    def decorate(cls: _Class) -> _Class:
        public = [name for name in dir(cls) if not name.startswith("_")]
        for name in ["__init__", *public] if methods is None else methods:
            member = inspect.getattr_static(cls, name)
            if inspect.isfunction(member):
                setattr(cls, name, under(**errstate)(member))
            elif isinstance(member, classmethod):
                setattr(cls, name, classmethod(under(**errstate)(member.__func__)))
        return cls

    return decorate


def under(**errstate: Any) -> Callable[[_Method], _Method]:
    """Decorator of one method, as `own_errstate` of all."""

    def decorate(method: _Method) -> _Method:
        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            with np.errstate(**errstate):
                return method(*args, **kwargs)

        return cast(_Method, call)

    return decorate
