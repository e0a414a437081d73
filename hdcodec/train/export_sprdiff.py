"""Runtime weights of the sprdiff family out of the checkpoints of its stages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from hdcodec import weights
from hdcodec.models import identify
from hdcodec.models.latent.transforms import Analysis
from hdcodec.models.sprdiff.config import SprdiffConfig
from hdcodec.models.sprdiff.graphs import INTEGER, TRAINING_ONLY
from hdcodec.models.sprdiff.model import SprdiffModel

from .checkpoint import averaged
from .export import coding_tensors, half, write_weights
from .restore import restore, restore_sprdiff

FAMILY = "sprdiff"


class Taken(NamedTuple):
    """A part of the model that a checkpoint has, the beginning of its names there, and how they go
    on where not all are wanted."""

    part: str
    prefix: str = ""
    wanted: tuple[str, ...] = ("",)


CHECKPOINTS = {
    "vae": (Taken("vae", wanted=("encoder.", "normalisation.")),),
    "semantic": (Taken("semantic", "encoder."),),
    "finish": (
        Taken("codec", "codec."),
        Taken("sampler", "sampler."),
        Taken("decoder", "decoder."),
    ),
}
"""By the names of options."""


def assembled(
    paths: Mapping[str, Path], analysis: Analysis, config: SprdiffConfig | None = None
) -> SprdiffModel:
    """The averaged networks of the checkpoints named in `CHECKPOINTS`, and the `analysis` of hdc
    that the codec was trained beside.

    Raises ValueError where the sizes of one are not those of `config`.
    """
    model = SprdiffModel(config or SprdiffConfig())
    for name, sources in CHECKPOINTS.items():
        state = averaged(paths[name])
        for source in sources:
            _fill(model.get_submodule(source.part), _taken(state, source), name)
    _fill(model.distortion, analysis.net[:-1].state_dict(), "analysis of hdc")
    return model


def renewed(folder: Path, finish: Path) -> SprdiffModel:
    """The networks of a folder of weights of sprdiff, with the averaged ones of a checkpoint of
    `finish` that went on from them. Raises ValueError where that does not fit."""
    model = restore_sprdiff(weights.read_folder(folder))
    for source in CHECKPOINTS["finish"]:
        state = _taken(averaged(finish), source)
        _fill(model.get_submodule(source.part), state, "finish")
    return model


def analysis_of(hdc: Path | None) -> Analysis:
    """The analysis of a folder of hdc's weights, by default of those that are landed."""
    found = weights.find(identify("hdc")) if hdc is None else weights.read_folder(hdc)
    return restore(found).lic.analysis


def _taken(state: Mapping[str, Tensor], source: Taken) -> dict[str, Tensor]:
    """Of a checkpoint's averaged tensors those of a part of the model, by their names there."""
    wanted = tuple(source.prefix + name for name in source.wanted)
    return {k.removeprefix(source.prefix): v for k, v in state.items() if k.startswith(wanted)}


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
