# SPDX-License-Identifier: BSD-3-Clause
"""Trains networks: jobs in, trials out, on a CPU or on another device."""


def get_engine(device, n_jobs):
    """Return the engine of a device; ``engine.run(jobs)`` yields their trials.

    Parameters
    ----------
    device : {"cpu", "cuda"}
    n_jobs : int
        Threads on a CPU.

    Raises
    ------
    ValueError
        If the device is not available.
    """
    if device == "cuda":
        raise ValueError(
            "device='cuda' is not available in this version: it will come with the "
            "extras 'cu12' and 'cu13'. Use device='cpu'."
        )
    from skmdn._engine.cpu.engine import Engine  # It loads its kernels.

    return Engine(n_jobs)
