# SPDX-License-Identifier: BSD-3-Clause
"""The contract of a family of components, and the check that it is kept.

A family is one short file: a scalar function with its derivatives, the constant that it
leaves out, and the distribution of the standard component. Everything else is written
once around these: the head of the network and its start (`skmdn._families.head`), the
loops of training (`skmdn._engine`), the answers (`skmdn.distribution`).
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from skmdn._families.numerical import Numerical

# What the distribution of the standard component answers, arrays in, arrays out.
_CLOSED_FORMS = ("cdf", "sf", "ppf", "isf", "moment")


@dataclass(frozen=True)
class Family:
    """Components of one shape, moved by a location and stretched by a scale.

    Attributes
    ----------
    name : str
        What users write: ``MDNRegressor(family=name)``.
    log_density : callable
        ``log_density(distance, precision)`` for one output, where `distance` is y minus
        the location and `precision` is 1 / scale^2. Returns the log-density up to
        `log_normaliser`, its derivative by the location, and that by the logarithm of
        the scale. Nothing but arithmetic, comparisons, and exp, log and sqrt of
        `skmdn._jit.vector`, in the type of its arguments: the same source is
        compiled for loops on a CPU and for threads of a GPU, in float32 and float64.
    log_normaliser : float
        Logarithm of what the density is divided by.
    closed_form : object or None, default=None
        The component of location 0 and scale 1, with the methods `cdf`, `sf`, `ppf`,
        `isf` of arrays and ``moment(order)`` about 0: a distribution of `scipy.stats`.
        None: by quadrature and inversion.
    """

    name: str
    log_density: Callable
    log_normaliser: float
    closed_form: Any = None

    @property
    def standard(self):
        """The component of location 0 and scale 1."""
        return self.numerical if self.closed_form is None else self.closed_form

    @cached_property
    def numerical(self):
        """The same by quadrature, with partial moments as well."""
        return Numerical(self.log_density, self.log_normaliser)


def check_family(family):
    """Refuse a family that lacks a piece, or whose pieces do not fit together.

    Parameters
    ----------
    family : Family

    Returns
    -------
    family : Family

    Raises
    ------
    TypeError
        If a piece is missing: the sentence names it.
    ValueError
        If the log-density gives something else than three finite numbers, or a
        derivative that is not its derivative.
    """
    name = getattr(family, "name", None)
    if not isinstance(name, str) or not name.isidentifier():
        raise TypeError(
            f"A family must have a name, a Python identifier; got {name!r}."
        )
    log_density = getattr(family, "log_density", None)
    if not callable(log_density):
        raise TypeError(f"The family {name!r} lacks the function log_density.")
    if len(inspect.signature(log_density).parameters) != 2:
        raise TypeError(
            f"log_density of the family {name!r} must take (distance, precision)."
        )
    constant = getattr(family, "log_normaliser", None)
    if not isinstance(constant, int | float) or not math.isfinite(constant):
        raise TypeError(
            f"The family {name!r} lacks a finite number log_normaliser; got "
            f"{constant!r}."
        )
    closed_form = getattr(family, "closed_form", None)
    missing = [method for method in _CLOSED_FORMS if not hasattr(closed_form, method)]
    if closed_form is not None and missing:
        raise TypeError(
            f"closed_form of the family {name!r} lacks the method {missing[0]}."
        )
    _check_derivatives(name, log_density)
    _check_normaliser(family)
    return family


def _are_numbers(found):
    return (
        isinstance(found, tuple)
        and len(found) == 3
        and all(math.isfinite(number) for number in found)
    )


def _check_normaliser(family):
    """By the trapezoidal rule: enough to see a constant that is not the right one."""
    values = (family.log_density(0.25 * t, 1.0)[0] for t in range(-400, 401))
    total = 0.25 * sum(math.exp(value - family.log_normaliser) for value in values)
    if abs(total - 1) > 0.02:
        raise ValueError(
            f"The density of the family {family.name!r} integrates to {total:.3g}: its "
            "log_normaliser is not the logarithm of what it has to be divided by."
        )


def _check_derivatives(name, log_density):
    step = 1e-5
    for distance, log_scale in ((0.7, 0.3), (-1.9, -0.4), (4.0, 0.0)):

        def value(distance, log_scale):
            return log_density(distance, math.exp(-2 * log_scale))[0]

        found = log_density(distance, math.exp(-2 * log_scale))
        if not _are_numbers(found):
            raise ValueError(
                f"log_density of the family {name!r} must return three finite numbers; "
                f"got {found!r} at the distance {distance}."
            )
        # The distance falls where the location grows.
        expected = (
            (value(distance - step, log_scale) - value(distance + step, log_scale)),
            (value(distance, log_scale + step) - value(distance, log_scale - step)),
        )
        for what, got, difference in zip(
            ("location", "log-scale"), found[1:], expected, strict=True
        ):
            if abs(difference / (2 * step) - got) > 1e-6 * (1 + abs(got)):
                raise ValueError(
                    f"log_density of the family {name!r} returns {got} as its "
                    f"derivative by the {what} at the distance {distance}; differences "
                    f"give {difference / (2 * step)}."
                )
