# SPDX-License-Identifier: BSD-3-Clause
"""Versions, for bug reports."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

_DISTRIBUTIONS = (
    "skmdn",
    "scikit-learn",
    "numpy",
    "scipy",
    "numba",
    "llvmlite",
    "numba-cuda",
    "joblib",
    "threadpoolctl",
    "tqdm",
    "matplotlib",
    "pandas",
    "polars",
)


def show_versions() -> None:
    """Print the versions of Python, of skmdn and of what it stands on.

    Please copy the output into bug reports.

    Examples
    --------
    >>> import skmdn
    >>> skmdn.show_versions()  # doctest: +ELLIPSIS, +NORMALIZE_WHITESPACE
    <BLANKLINE>
    System:
        python: ...
    """
    _print_section("System", _system())
    _print_section("Packages", {name: _version(name) for name in _DISTRIBUTIONS})


def _system():
    """Interpreter and machine."""
    return {
        "python": sys.version.replace("\n", " "),
        "executable": sys.executable,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }


def _version(name):
    """Version from the installed metadata: nothing is imported for it."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _print_section(title, rows):
    width = max(map(len, rows))
    print(f"\n{title}:")
    for name, value in rows.items():
        print(f"{name:>{width + 4}}: {value}")
