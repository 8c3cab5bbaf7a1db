# SPDX-License-Identifier: BSD-3-Clause
"""A training in the simulator of numba.cuda; a program, run with NUMBA_ENABLE_CUDASIM.

Prints the losses and the scores of 20 steps.
"""

from cases import make_table, new_job
from host_device import HostDevice

PARAMETERS = {
    "n_components": 2, "hidden_layer_sizes": (5, 4), "n_bins": 2, "batch_size": 4,
    "max_iter": 5,
}  # fmt: skip
TEAM, ROWS = 4, 4


def make_job():
    """Four steps of an epoch, each less than a tile."""
    return new_job(make_table(n=20, n_features=2), n_held=4, **PARAMETERS)


class Simulated(HostDevice):
    """Runs kernels in the simulator."""

    def launch(self, variant, name, n_blocks, shared_bytes, tables, n):
        from skmdn._engine.cuda import adapter
        from skmdn._engine.cuda.kernels import make

        assert adapter.SIMULATED
        kernel = adapter.make_kernel(make(variant, adapter.Target)[name], TEAM)
        adapter.cuda.jit(kernel)[n_blocks, TEAM, 0, shared_bytes](tables, n)


if __name__ == "__main__":
    from trainings import train

    from skmdn._engine.cuda.layout import variant_of

    job, device = make_job(), Simulated()
    variant = variant_of(job, device)._replace(rows=ROWS)
    (result,) = train([job], device, variant)
    print(*result.losses, *result.scores)
