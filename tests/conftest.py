# SPDX-License-Identifier: BSD-3-Clause
"""Settings of all tests."""

import os

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
