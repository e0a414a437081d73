"""How many processes, on which devices, with how many threads each."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from hdcodec._errors import DeviceError
from hdcodec.models.devices import ONNX, cgroup, choose_backend, has_driver, usable_cores
from hdcodec.models.options import MEMORY


@dataclass(frozen=True)
class Layout:
    """The device of each worker, and the threads that each may use."""

    devices: tuple[str, ...]
    threads: int

    @property
    def environment(self) -> dict[str, str]:
        """What a worker must find in its environment before it imports numpy or torch."""
        threads = str(self.threads)
        return {
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": "1",  # numpy runs the integer networks, too small for threads
            "OMP_WAIT_POLICY": "PASSIVE",
        }


def layout(
    device: str, workers: int | None, files: int, memory: int = MEMORY, backend: str = "auto"
) -> Layout:
    """Spread `files` over the machine, where each process takes `memory` bytes.

    device: "auto", "cpu", "cuda" (all GPUs) or a list "cuda:0,cuda:1". On GPUs there is one worker
    for each, on the CPU one for each core as far as memory goes, unless `workers` says otherwise;
    never more than files. The cores are shared out evenly. Warns of more processes than cores;
    raises DeviceError.
    """
    on_cpu = device == "auto" and choose_backend(backend, device) == ONNX
    names = ["cpu"] if on_cpu else _devices(device)
    cores = usable_cores()
    wanted = workers or (min(cores, _room_for(memory)) if names == ["cpu"] else len(names))
    count = max(1, min(wanted, files))
    if count > cores and names == ["cpu"]:
        warnings.warn(
            f"{count} processes on {cores} {'core' if cores == 1 else 'cores'} take longer than "
            f"{cores}: --workers",
            stacklevel=2,
        )
    return Layout(tuple(names[i % len(names)] for i in range(count)), max(1, cores // count))


def _devices(device: str) -> Sequence[str]:
    if device == "cpu":
        return ["cpu"]
    gpus = [f"cuda:{index}" for index in range(_gpu_count())]
    if device == "auto":
        return gpus or ["cpu"]
    names = gpus if device == "cuda" else device.split(",")
    for name in names or ["cuda"]:
        if name not in gpus:
            raise DeviceError(f"device {name!r} is not there")
    return names


def _gpu_count() -> int:
    """GPUs for torch, which takes over a second to import and is left alone without a driver."""
    if not has_driver() or find_spec("torch") is None:
        return 0
    import torch

    return torch.cuda.device_count()


def _room_for(memory: int) -> int:
    """Processes of so many bytes for which this machine or control group has memory."""
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names:
        return usable_cores()
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = cgroup("memory.max")
    return max(1, min(whole, int(limit) if limit.isdigit() else whole) // memory)
