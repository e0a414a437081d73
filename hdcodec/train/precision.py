"""The number format that training computes in."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from hdcodec.models.devices import has_bfloat16


def compute_type(device: torch.device | str) -> torch.dtype:
    """bfloat16 on a GPU and on CPUs that multiply it in hardware; float32 on other CPUs, where
    imitated bfloat16 is several times slower."""
    where = torch.device(device)
    half = where.type == "cuda" or has_bfloat16(where.type)
    return torch.bfloat16 if half else torch.float32


def autocast(device: torch.device | str) -> AbstractContextManager[None]:
    """Mixed precision with `compute_type` on `device`."""
    kind = compute_type(device)
    where = torch.device(device).type
    return torch.autocast(where, torch.bfloat16, enabled=kind == torch.bfloat16)
