"""Reading what stages leave, and what others made: files of torch."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn


def read(path: Path) -> dict[str, Any]:
    """What a file holds by name, on the CPU; raises ValueError where it is none of torch's."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder, where a checkpoint is needed")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} holds no weights that torch can read") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} is not a checkpoint")
    return found


def averaged(path: Path) -> dict[str, Any]:
    """The state of a checkpoint's averaged model; raises ValueError."""
    found = read(path).get("average")
    if not isinstance(found, dict):
        raise ValueError(f"{path} is not a checkpoint")
    return found


def load_average(model: nn.Module, path: Path) -> None:
    """Fill a model from a checkpoint of its stage; raises ValueError where that is of another."""
    try:
        model.load_state_dict(averaged(path))
    except RuntimeError as error:
        kind = type(model).__name__
        raise ValueError(f"{path} is a checkpoint of other networks than {kind}'s") from error
