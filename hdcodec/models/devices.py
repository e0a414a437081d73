"""Where the networks run, and what is fast there."""

from __future__ import annotations

import torch

from hdcodec._errors import DeviceError


def pick_device(name: str) -> torch.device:
    """ "auto", "cpu", "cuda" or "cuda:n" -> device; raises DeviceError."""
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


def chosen_bfloat16(device: torch.device, precision: str) -> bool:
    """Whether to compute in bfloat16: as `precision` says, with "auto" where that is fastest."""
    if precision not in ("auto", "float32", "bfloat16"):
        raise ValueError("precision must be one of auto, float32, bfloat16")
    return has_bfloat16(device) if precision == "auto" else precision == "bfloat16"


def has_bfloat16(device: torch.device) -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; False on any other device."""
    asked = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and asked is not None and bool(asked())
