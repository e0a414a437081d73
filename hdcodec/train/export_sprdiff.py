"""Runtime weights of the sprdiff family out of the checkpoints of its stages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hdcodec import weights
from hdcodec.models import identify
from hdcodec.models.hdc.lic import Analysis
from hdcodec.models.sprdiff.config import SprdiffConfig
from hdcodec.models.sprdiff.graphs import INTEGER, TRAINING_ONLY
from hdcodec.models.sprdiff.model import SprdiffModel

from .export import coding_tensors, half, write_weights
from .restore import restore

FAMILY = "sprdiff"

STAGES = {"vae": "vae", "semantic": "semantic", "codec": "codec", "diffusion": "sampler"}
"""Checkpoints, by the names of options, to the part of the model that each is of."""

ELSEWHERE = {"semantic": "encoder.", "diffusion": ("denoiser.", "sigma")}
"""What of a checkpoint the model takes, where it is not all of it."""


def assembled(checkpoints: Mapping[str, Path], config: SprdiffConfig | None = None) -> SprdiffModel:
    """The averaged networks of the checkpoints named in `STAGES`, and hdc's landed analysis.

    Raises ValueError where the sizes of a checkpoint are not those of `config`.
    """
    model = SprdiffModel(config or SprdiffConfig())
    for name, part in STAGES.items():
        _fill(model.get_submodule(part), _taken(name, checkpoints[name]), name)
    _fill(model.distortion, landed_analysis().net[:-1].state_dict(), "weights of hdc")
    return model


def landed_analysis() -> Analysis:
    """The analysis of hdc's landed weights."""
    return restore(weights.find(identify("hdc"))).lic.analysis


def _taken(name: str, checkpoint: Path) -> dict[str, Tensor]:
    """The averaged tensors of a checkpoint that the model has, by their names there."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["average"]
    wanted = ELSEWHERE.get(name, "")
    prefix = wanted if isinstance(wanted, str) else ""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(wanted)}


def _fill(part: nn.Module, state: dict[str, Tensor], source: str) -> None:
    try:
        part.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"the {source} does not fit the model: {error}") from error


def export_sprdiff(model: SprdiffModel, folder: Path, model_id: int, notes: dict[str, Any]) -> None:
    """Write the weights and their `manifest.json` into `folder`, as `hdcodec.train.export.export`
    does for hdc; raises ValueError as it does."""
    apart = (*TRAINING_ONLY, *INTEGER)
    tensors = {
        "entropy.safetensors": coding_tensors(model.codec.entropy),
        "networks.safetensors": half(model, lambda name: not name.startswith(apart)),
        "training.safetensors": half(model, lambda name: name.startswith(TRAINING_ONLY)),
    }
    write_weights(folder, FAMILY, model_id, model.cfg, tensors, notes)
