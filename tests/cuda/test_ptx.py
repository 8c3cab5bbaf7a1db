# SPDX-License-Identifier: BSD-3-Clause
"""What compilers make of the kernels: registers, memory, instructions of the loops.

Each kernel is compiled by the optimisers of NVIDIA for three architectures.
"""

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="needs numba-cuda")

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from cases import new_job
from host_device import HostDevice
from offline import compile_kernel
from sass import assemble

from skmdn._engine.cuda import adapter
from skmdn._engine.cuda.group import Group
from skmdn._engine.cuda.kernels import make
from skmdn._engine.cuda.layout import TEAM, variant_of
from skmdn._engine.training import Course

ARCHITECTURES = (8, 0), (9, 0), (10, 0)
# Of a thread: what lets a multiprocessor, with 65536, hold so many blocks of 256.
MOST_REGISTERS = 65536 // (256 * 2)


class Recorder(HostDevice):
    """Notes what it is to launch, and launches nothing."""

    def __init__(self):
        self.launches = []

    def launch(self, variant, name, n_blocks, shared_bytes, tables, n):
        self.launches.append((variant, name, tables))


def reports(variant, name, tables, folder):
    """`Report`s of a kernel for the architectures."""
    kernel = adapter.make_kernel(make(variant, adapter.Target)[name], TEAM)
    library = compile_kernel(kernel, tables, launch_bounds=(TEAM, adapter.RESIDENT))
    with ThreadPoolExecutor(len(ARCHITECTURES)) as pool:
        found = list(
            pool.map(
                lambda cc: assemble(library.get_asm_str(cc=cc), folder), ARCHITECTURES
            )
        )
    for (major, minor), report in zip(ARCHITECTURES, found, strict=True):
        print(f"{name} {_named(variant)} sm_{major}{minor}: {report}")
    return found


def _named(variant):
    return " ".join(map(str, variant._replace(family=variant.family.name)))


# Every tiling, with and without members; every activation and family once.
FITS = {
    "64 units": {"hidden_layer_sizes": (64, 64)},
    "128 units": {"hidden_layer_sizes": (128, 128), "activation": "gelu"},
    "256 units": {"hidden_layer_sizes": (256, 256), "family": "laplace"},
    "512 units": {"hidden_layer_sizes": (512, 512), "activation": "tanh"},
    "64 units, members": {
        "hidden_layer_sizes": (64, 64), "n_estimators": 2, "activation": "relu",
    },
    "128 units, members": {
        "hidden_layer_sizes": (128, 128), "n_estimators": 2, "family": "logistic",
    },
    "256 units, members": {"hidden_layer_sizes": (256, 256), "n_estimators": 2},
    "512 units, members": {
        "hidden_layer_sizes": (512, 512), "n_estimators": 2, "activation": "identity",
    },
}  # fmt: skip


@pytest.mark.parametrize("case", FITS.values(), ids=FITS)
def test_fit(case, tmp_path):
    job, device = new_job(n_components=8, n_bins=0, **case), Recorder()
    Group([job], [Course(job)], variant_of(job, device), device).run(2)
    for report in reports(*device.launches[0], tmp_path):
        assert report.faults == {}
        assert report.registers <= MOST_REGISTERS
        assert report.ffma_share >= 0.70


class Pair(NamedTuple):
    x: np.ndarray
    y: np.ndarray


def test_faults_are_seen(tmp_path):
    """A double, and an array of a thread that does not fit into its registers."""
    cuda = adapter.cuda

    def faulty(tables, n):
        own = cuda.local.array(64, adapter.float32)
        for i in range(64):
            own[i * n % 64] = tables.x[i]
        tables.y[0] = own[n] * 0.1

    tables = Pair(*np.zeros((2, 64), np.float32))
    library = compile_kernel(faulty, tables)
    report = assemble(library.get_asm_str(cc=(9, 0)), tmp_path)
    assert {".f64", "local memory", "stack"} <= set(report.faults)
    assert report.ffma_share == 0
