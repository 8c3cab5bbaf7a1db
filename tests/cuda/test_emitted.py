# SPDX-License-Identifier: BSD-3-Clause
"""The code that numba.cuda emits, run on the CPU with 256 threads a block."""

import pytest

pytest.importorskip("numba_cuda", reason="needs numba-cuda")

import numpy as np
from cases import new_job
from emitted import Emitted
from trainings import train

from skmdn._engine.cpu.engine import Engine
from skmdn._engine.cuda import adapter
from skmdn._engine.cuda.kernels import make
from skmdn._engine.cuda.layout import TEAM, variant_of


def entry(variant, name, team):
    return adapter.make_kernel(make(variant, adapter.Target)[name], team)


@pytest.fixture(scope="module")
def gpu():
    return Emitted(entry, TEAM)


# Of two steps an epoch.
CASES = {
    "shared memory": {},
    "weights in L2, members": {
        "hidden_layer_sizes": (256, 256), "n_bins": 0, "n_estimators": 2,
        "activation": "gelu", "family": "laplace",
    },
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_fit_follows_the_cpu(gpu, case):
    job = new_job(**case)
    (result,) = train([job], gpu, variant_of(job, gpu))
    (trial,) = Engine(1).run([new_job(**case)])
    np.testing.assert_allclose(result.losses, trial.losses, rtol=1e-4)
    np.testing.assert_allclose(result.scores, trial.scores, rtol=1e-4)


def test_chunks_and_companions_change_no_bit(gpu):
    """Several shapes in one launch, which end at different times."""
    cases = (
        {"max_iter": 6, "activation": "silu"},
        {"max_iter": 5, "hidden_layer_sizes": (20, 7), "n_components": 5, "n_bins": 0},
        {"max_iter": 7, "hidden_layer_sizes": (), "batch_size": 33},
    )

    def jobs():
        return [new_job(**case) for case in cases]

    variant = variant_of(jobs()[0], gpu)
    together = train(jobs(), gpu, variant)
    chunks = train(jobs(), gpu, variant, chunk=2)
    alone = [train([job], gpu, variant)[0] for job in jobs()]
    for result, others in zip(together, zip(chunks, alone, strict=True), strict=True):
        assert np.isfinite(result.arrays).all()
        assert all(map(result.same_bits, others))
