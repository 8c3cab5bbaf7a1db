# SPDX-License-Identifier: BSD-3-Clause
"""Settings of all tests."""

import importlib.util
import os
import re
import signal
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Without a deadline, because the first example may compile; derandomized, so that a
# failure on one machine is a failure on every machine.
settings.register_profile(
    "skmdn",
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("skmdn")

# Before anything imports matplotlib: pictures are drawn without a screen.
os.environ["MPLBACKEND"] = "Agg"


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    """The families of the package, and the one of CONTRIBUTING.rst."""
    text = Path(__file__).parents[1].joinpath("CONTRIBUTING.rst").read_text("utf-8")
    block = re.search(r"code-block:: python\n\n((?:    .*\n|\n)+)", text).group(1)
    path = tmp_path_factory.mktemp("family") / "hypsecant.py"
    path.write_text(re.sub(r"(?m)^    ", "", block), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("hypsecant", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["hypsecant"] = module
    spec.loader.exec_module(module)  # It registers the family.
    from skmdn._families import FAMILIES

    yield FAMILIES
    del FAMILIES["hypsecant"], sys.modules["hypsecant"]


@pytest.fixture
def ctrl_c():
    """Let Ctrl-C arrive: a shell's background jobs, and all they start, ignore it."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals reach the main thread only")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
