# SPDX-License-Identifier: BSD-3-Clause
"""What trainings and predictions need of a device, and whether this machine has one."""

from typing import Any, Protocol

# What the kernels were checked for: Ampere and later.
_LEAST_CAPABILITY = (8, 0)
_INSTALL = "pip install 'skmdn[cu13]', or 'skmdn[cu12]' for a driver of CUDA 12"
_INSTEAD = "Use device='cpu'."


class Unavailable(ValueError):
    """There is no GPU to use, or not for this; the message says what to do."""


class OutOfMemory(MemoryError):
    """The device has not as much memory as was asked for."""


class Device(Protocol):
    """Memory and launches; a handle is an array on the device, as kernels take it."""

    shared_bytes: int  # that a block may have, at most
    n_blocks: int  # that run at the same time

    def free_bytes(self) -> int:
        """Memory that nobody uses."""

    def put(self, array: Any) -> Any:
        """Copy an array to the device.

        Raises
        ------
        OutOfMemory
        """

    def empty(self, n: int, dtype: Any) -> Any:
        """Reserve memory for n numbers.

        Raises
        ------
        OutOfMemory
        """

    def copy(self, handle: Any) -> Any:
        """Copy an array from the device, when all launches have ended."""

    def fill(self, handle: Any, array: Any) -> None:
        """Copy an array to where another is, when all launches have ended."""

    def launch(self, variant, name, n_blocks, shared_bytes, tables, n) -> None:
        """Start a kernel; those of different variants may run side by side."""

    def wait(self) -> None:
        """Wait until all launches have ended."""


def open_gpu():
    """Return the `Device` of this process.

    Raises
    ------
    Unavailable
        With a sentence for what is missing.
    """
    try:
        from skmdn._engine.cuda import adapter
    except ImportError as error:
        raise Unavailable(
            f"device='cuda' needs an extra: {_INSTALL} ({error})."
        ) from error
    if not adapter.has_compiler():
        raise Unavailable(
            f"device='cuda' needs the compiler that comes with an extra: {_INSTALL}."
        )
    if adapter.is_forked():
        raise Unavailable(
            "device='cuda' cannot be used in a process that was forked from one that "
            "has used the GPU: start processes with joblib's 'loky' or with 'spawn'."
        )
    error = adapter.driver_error()
    if error is not None:
        raise Unavailable(
            f"device='cuda' finds no NVIDIA driver that works ({error}). {_INSTEAD}"
        )
    if not adapter.n_gpus():
        raise Unavailable(
            "device='cuda' finds a driver but no GPU; CUDA_VISIBLE_DEVICES may hide "
            f"it. {_INSTEAD}"
        )
    gpu = adapter.get_gpu()
    if gpu.compute_capability < _LEAST_CAPABILITY:
        least, found = (
            f"{major}.{minor}"
            for major, minor in (_LEAST_CAPABILITY, gpu.compute_capability)
        )
        raise Unavailable(
            f"device='cuda' needs a GPU of compute capability {least} or higher, but "
            f"{gpu.name} has {found}. {_INSTEAD}"
        )
    return gpu


def ran_out(error):
    """Return the error for memory that is gone in the middle of a training."""
    return Unavailable(
        f"device='cuda' ran out of memory while it trained ({error}): another program "
        "may have taken it. Try again, or use device='cpu'."
    )


def too_large(needed, free):
    """Return the error for a network that does not fit, alone as it is."""
    return Unavailable(
        f"device='cuda' has too little memory: a network with its data needs "
        f"{needed:,} bytes, {free:,} are free. {_INSTEAD}"
    )
