# SPDX-License-Identifier: BSD-3-Clause
"""Which modules of this folder can be imported."""

from importlib.util import find_spec

# Tests that need the extra skip themselves; these are no tests, but pytest looks for
# examples in them.
collect_ignore = []
if find_spec("numba_cuda") is None:
    collect_ignore += ["emitted.py", "offline.py", "sass.py"]
