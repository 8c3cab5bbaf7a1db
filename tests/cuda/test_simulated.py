# SPDX-License-Identifier: BSD-3-Clause
"""The simulator of numba.cuda, which Numba has even without the extra."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from oracle_course import oracle_course
from simulated import make_job


def test_twenty_steps_follow_the_oracle():
    """In float32, and a process of its own: Numba reads the setting once."""
    here = Path(__file__).parent
    paths = [
        *map(str, (here.parents[1], here.parent)),
        os.environ.get("PYTHONPATH", ""),
    ]
    done = subprocess.run(
        [sys.executable, str(here / "simulated.py")],
        env=os.environ
        | {"NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = np.array(done.stdout.split(), dtype=float)
    losses, scores = oracle_course(make_job())
    print("largest relative difference", np.abs(found / [*losses, *scores] - 1).max())
    np.testing.assert_allclose(found, [*losses, *scores], rtol=1e-4)
