"""Where the networks run, what computes them, and what is fast there. Imports torch when asked to
look for a GPU."""

from __future__ import annotations

import os
import shutil
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hdcodec._errors import DeviceError

if TYPE_CHECKING:
    import torch

ONNX, TORCH = "onnx", "torch"
BACKENDS = ("auto", ONNX, TORCH)
VARIABLE = "HDC_BACKEND"
"""Of the environment: the backend where "auto" is asked for."""

SMALL = 1 << 20
"""Pixels up to which onnxruntime is done first, also on a CPU that multiplies bfloat16: there torch
decodes so many in half a second less, but takes a second to start."""

MOST_THREADS = 256
"""More are asked for by mistake."""

_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
_CGROUP = Path("/sys/fs/cgroup")
_CPU = Path("/proc/cpuinfo")


def choose_backend(backend: str, device: str, pixels: int | None = None) -> str:
    """ "onnx" or "torch" for a backend that may be "auto", on "auto", "cpu" or "cuda[:n]".

    `pixels` is how many there are to work on, if that is known. onnxruntime works on the CPU, in
    float32, and starts at once: it is taken unless a GPU is there or asked for, or the CPU
    multiplies bfloat16 and there is more than a little to do. Raises DeviceError.
    """
    asked = backend if backend != "auto" else set_backend() or "auto"
    if asked not in BACKENDS:
        raise DeviceError(f"unknown backend {asked!r}; use {', '.join(BACKENDS)}")
    if asked != "auto":
        return asked
    if device not in ("auto", "cpu") or find_spec("onnxruntime") is None:
        return TORCH
    if find_spec("torch") is None:
        return ONNX
    if device == "auto" and has_driver():
        return TORCH
    much = pixels is None or pixels > SMALL
    return TORCH if much and has_bfloat16("cpu") else ONNX


def set_backend() -> str | None:
    """The backend that the environment asks for, if any."""
    return os.environ.get(VARIABLE, "").strip().lower() or None


def pick_device(name: str) -> torch.device:
    """ "auto", "cpu", "cuda" or "cuda:n" -> device; raises DeviceError."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"unknown device {name!r}") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"device {name!r} is not there")
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"device {name!r} is not supported; use cpu or cuda")
    return device


def chosen_bfloat16(device: str, precision: str) -> bool:
    """Whether to compute in bfloat16: as `precision` says, with "auto" where that is fastest."""
    if precision not in ("auto", "float32", "bfloat16"):
        raise ValueError("precision must be one of auto, float32, bfloat16")
    return has_bfloat16(device) if precision == "auto" else precision == "bfloat16"


def has_bfloat16(device: str) -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; False on any other device. Where torch is
    not loaded, as far as Linux tells."""
    if device != "cpu":
        return False
    torch = sys.modules.get("torch")
    asked = getattr(torch and torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(asked()) if asked else "avx512_bf16" in _flags()


@lru_cache(maxsize=1)
def _flags() -> frozenset[str]:
    try:
        lines = _CPU.read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").split())


def has_driver() -> bool:
    """Whether there may be a GPU: torch, which takes over a second to import, need not look where
    there is no driver."""
    return any(map(os.path.exists, _DRIVERS)) or shutil.which("nvidia-smi") is not None


def usable_cores() -> int:
    """Cores that this process may use, by its affinity and its control group."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota, _, period = cgroup("cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        cores = min(cores, -(-int(quota) // int(period)))
    return max(1, cores)


def usable_threads() -> int:
    """Threads for the networks: as many as OMP_NUM_THREADS says, else one for each usable core."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    wanted = int(asked) if asked.isascii() and asked.isdecimal() else 0
    return min(wanted, MOST_THREADS) or usable_cores()


def cgroup(name: str) -> str:
    """What a file of this process's control group says, nothing where there is none."""
    try:
        return (_CGROUP / name).read_text().strip()
    except OSError:
        return ""
