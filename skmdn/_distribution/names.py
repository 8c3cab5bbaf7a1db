# SPDX-License-Identifier: BSD-3-Clause
"""Names of the outputs of a distribution."""

import numbers


def check_output_names(names, n_outputs):
    """Validate the names of all outputs; None stays None."""
    if names is None:
        return None
    listed = [names] if isinstance(names, str) else list(names)
    if not all(isinstance(name, str) for name in listed):
        raise TypeError(f"output_names must be strings or None; got {names!r}.")
    if len(listed) != n_outputs or len(set(listed)) != n_outputs:
        raise ValueError(
            f"output_names must be {n_outputs} different names, one an output; got "
            f"{names!r}."
        )
    return [str(name) for name in listed]


def find_outputs(j, n_outputs, names):
    """Numbers of the outputs that `j` names: a number, a name or a list of these."""
    try:
        listed = [j] if is_one_output(j) else list(j)
    except TypeError:
        raise ValueError(_not_an_output(j, n_outputs, names)) from None
    found = [_find_output(i, n_outputs, names) for i in listed]
    if not found or len(set(found)) != len(found):
        raise ValueError(f"j must name different outputs; got {j!r}.")
    return found


def is_one_output(j):
    """Whether `j` is the number or name of an output, not a list of them."""
    return isinstance(j, (str, numbers.Integral))


def _find_output(j, n_outputs, names):
    if isinstance(j, str) and j in (names or ()):
        return names.index(j)
    if isinstance(j, numbers.Integral) and not isinstance(j, bool):
        if -n_outputs <= j < n_outputs:
            return int(j) % n_outputs
    raise ValueError(_not_an_output(j, n_outputs, names))


def _not_an_output(j, n_outputs, names):
    known = f", or one of the names {', '.join(names)}" if names else ""
    return (
        f"j must be an integer, {-n_outputs} to {n_outputs - 1}{known}, or a list of "
        f"these; got {j!r}."
    )
