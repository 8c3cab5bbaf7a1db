# SPDX-License-Identifier: BSD-3-Clause
"""What compilers make of the kernels: registers, memory, instructions of the loops.

Each kernel is compiled by the optimisers of NVIDIA for three architectures.
"""

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="needs numba-cuda")

from concurrent.futures import ThreadPoolExecutor

from cases import make_table, new_job
from host_device import HostDevice
from offline import compile_kernel
from sass import assemble

from skmdn import MDNRegressor
from skmdn._engine.cuda import adapter, answers
from skmdn._engine.cuda.group import Group
from skmdn._engine.cuda.kernels import make
from skmdn._engine.cuda.layout import TEAM, variant_of
from skmdn._engine.training import Course
from skmdn._families import FAMILIES

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


@pytest.mark.parametrize("width", [64, 128, 256])
def test_fit_of_large_data(width, tmp_path):
    job, device = (
        new_job(make_table(n=5000), hidden_layer_sizes=(width, width), batch_size=4096),
        Recorder(),
    )
    Group([job], [Course(job)], variant_of(job, device), device).run(2)
    ((variant, name, tables),) = device.launches
    assert name == "fit_large"
    for report in reports(variant, name, tables, tmp_path):
        assert report.faults == {}
        assert report.registers <= MOST_REGISTERS
        assert report.ffma_share >= 0.70


def test_predictions(tmp_path, monkeypatch):
    device = Recorder()
    monkeypatch.setattr(answers, "open_gpu", lambda: device)
    monkeypatch.setattr(answers, "_FEWEST_ROWS", 1)
    X, Y, _ = make_table(n=300)
    estimator = MDNRegressor(
        8, hidden_layer_sizes=(64, 64), max_iter=1, random_state=0
    ).fit(X, Y[:, 0])
    estimator.set_params(device="cuda")
    with np.errstate(all="ignore"):  # Nothing is computed.
        estimator.logpdf(X, Y[:, 0])
        estimator.predict(X, return_std=True)
        estimator.predict(X, output_type="quantiles", quantiles=[0.5])
        estimator.sample(X, 2, random_state=0)
    kernels = {name: (variant, tables) for variant, name, tables in device.launches}
    kernels["predict_cdf"] = kernels["predict_logpdf"]
    assert len(kernels) == 5
    families = {name: ["gaussian"] for name in kernels}
    families["predict_cdf"] += ["laplace"]
    families["predict_draws"] += ["logistic"]
    families["predict_logpdf"] += ["logistic"]
    families["predict_quantiles"] += ["laplace"]
    for name, (variant, tables) in kernels.items():
        for family in families[name]:
            variant = variant._replace(family=FAMILIES[family])
            for report in reports(variant, name, tables, tmp_path):
                assert report.faults == {}
                assert report.ffma_share >= 0.80
