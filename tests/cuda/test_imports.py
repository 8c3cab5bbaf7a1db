# SPDX-License-Identifier: BSD-3-Clause
"""What is loaded, and what the driver is asked, when nobody has asked for a GPU."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

LOADED = """
import sys
import skmdn
from skmdn import MDNRegressor
MDNRegressor()
print([name for name in sys.modules if name.startswith(("numba.cuda", "cuda"))])
"""

ASKED = """
from numba.cuda.cudadrv import driver

def refuse(self):
    raise AssertionError("the driver is asked")

driver.Driver.ensure_initialized = refuse
import skmdn
import skmdn._engine.cuda.adapter
print(driver.driver.pid)  # of the process that started it
"""


def run(code):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_loads_no_cuda():
    assert run(LOADED) == "[]"


@pytest.mark.skipif(find_spec("numba_cuda") is None, reason="needs numba-cuda")
def test_import_of_the_adapter_asks_no_driver():
    assert run(ASKED) == "None"
