# SPDX-License-Identifier: BSD-3-Clause
"""Trains networks: jobs in, trials out, on a CPU or on another device."""


def get_engine(device, n_jobs):
    """Return the engine of a device; ``engine.run(jobs)`` yields their trials.

    Parameters
    ----------
    device : {"cpu", "cuda", "auto"}
        "auto": the GPU for what it can do, if there is one, and else the CPU.
    n_jobs : int
        Threads on a CPU.

    Raises
    ------
    ValueError
        If the device is not available.
    """
    from skmdn._engine.cpu import engine as cpu  # It loads its kernels.

    on_cpu = cpu.Engine(n_jobs)
    if device == "cpu":
        return on_cpu
    from skmdn._engine.cuda.device import Unavailable, open_gpu

    try:
        gpu = open_gpu()
    except Unavailable:
        if device == "auto":
            return on_cpu
        raise
    from skmdn._engine.cuda import engine as cuda

    return cuda.Engine(gpu, n_jobs, fallback=on_cpu if device == "auto" else None)
