"""The models that stages train: what each begins with, which networks lie around it, frozen, and
what a sheet of samples shows of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hdcodec.models.hdc.config import Config
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.hdc.residual import FeatureTokens, LatentTokens
from hdcodec.models.latent.blocks import Block
from hdcodec.models.sprdiff.codec import used
from hdcodec.weights import read_folder

from .checkpoint import averaged
from .codec import codec_views, load_encoders, start_codec
from .coded import load_coded, sampler_views, start_sampler
from .data import Crops
from .finish import landed_begun, load_begun, picture_views, start_picture
from .restore import restore
from .samples import hdc_views
from .semantic import semantic_views, start_semantic
from .stages import STAGES
from .teacher import load_teacher
from .tokens import load_beside, starting, tokens_views
from .vae import start_vae, vae_views


class Trained(NamedTuple):
    """A model: what its training begins with, given a checkpoint or a folder of weights (or none),
    sizes (or none) and crops; what a sheet of samples shows of a picture; and how the networks are
    loaded that are frozen around it, where there are such: both functions are given them, too.
    `landed` loads these out of the folder of weights that training begins with, if it does."""

    start: Callable[..., nn.Module]
    views: Callable[..., list[Tensor]]
    frozen: Callable[..., nn.Module] | None = None
    landed: Callable[..., nn.Module] | None = None


NEEDED = {
    "vae": "the checkpoint of a VAE",
    "semantic": "the checkpoint of a semantic encoder",
    "codec": "the checkpoint of a codec",
    "teacher": "the weights of a teacher",
}
"""What frozen networks are loaded from, by the names of options."""


@dataclass(frozen=True)
class Given:
    """What a stage is given beside photos, by the names of options.

    `config` are the sizes of the networks, those of the stage's model by default. The files are
    what stages load that name them in `needs` or `takes`. `sigma` is the noise that samples of a
    diffusion begin with; `worth` multiplies what distortion counts for a codec or for tokens; a
    codec is trained `without` some of its parts.
    """

    config: Any = None
    vae: Path | None = None
    semantic: Path | None = None
    codec: Path | None = None
    diffusion: Path | None = None
    teacher: Path | None = None
    sigma: float | None = None
    worth: float | None = None
    without: tuple[str, ...] = ()

    def buffers(self) -> dict[str, Tensor]:
        """By the last part of a name the buffers of a model that are not to be what it begins
        with."""
        chosen = {"sigma": self.sigma, "worth": self.worth}
        found = {name: torch.tensor(v) for name, v in chosen.items() if v is not None}
        return found | ({"used": used(self.without)} if self.without else {})


def networks_around(
    stage: str, given: Given, device: str, init: Path | None = None
) -> dict[str, Any]:
    """By the name `frozen` the networks around a stage, where it has any; raises ValueError where
    it lacks what it needs, unless a folder of weights, `init`, has all of it."""
    plan = STAGES[stage]
    landed, load = MODELS[plan.model].landed, MODELS[plan.model].frozen
    if landed and init is not None and init.is_dir():
        return {"frozen": landed(init, device)}
    for name in plan.needs:
        if getattr(given, name) is None:
            raise ValueError(f"the stage {stage} needs {NEEDED[name]}")
    files = (getattr(given, name) for name in (*plan.needs, *plan.takes))
    return {"frozen": load(*files, device)} if load else {}


def begun(
    stage: str, origin: Path | None, given: Given, crops: Crops, around: Mapping[str, nn.Module]
) -> nn.Module:
    """The model of a stage, on the CPU or where the networks `around` it are, as it begins with
    `origin`, a checkpoint or a folder of weights, or without any."""
    model = MODELS[STAGES[stage].model].start(origin, given.config, crops, **around)
    chosen = given.buffers()
    for name, buffer in model.named_buffers():
        if (value := chosen.get(name.rpartition(".")[2])) is not None:
            buffer.copy_(value)
    return model


def start_hdc(path: Path | None, config: Config | None, _: Crops | None = None) -> HdcModel:
    """The model of a folder of weights, the averaged one of a checkpoint, else an untrained one;
    grown to `config`."""
    if path is None:
        return HdcModel(config or Config())
    if path.is_dir():
        return grown(restore(read_folder(path)).state_dict(), config)
    return load_hdc(path, config)


def load_hdc(checkpoint: Path, config: Config | None = None) -> HdcModel:
    """The averaged model of a checkpoint, grown to `config`; raises ValueError where that is of
    another model."""
    try:
        return grown(averaged(checkpoint), config)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{checkpoint} is not a checkpoint of hdc") from error


def grown(state: Mapping[str, Tensor], config: Config | None = None) -> HdcModel:
    """A model of any depth from the state of a shallower one: blocks it lacks pass on what they
    get, other parts it lacks stay untrained. Raises ValueError where it has none of them."""
    model = HdcModel(config or Config())
    if state.keys().isdisjoint(model.state_dict()):
        raise ValueError("the state is of another model")
    missing = set(model.load_state_dict(state, strict=False).missing_keys)
    for name, module in model.named_modules():
        if isinstance(module, Block) and f"{name}.leave.weight" in missing:
            module.pass_on()
    return model


MODELS = {
    "hdc": Trained(start_hdc, hdc_views),
    "latent-tokens": Trained(starting(LatentTokens), tokens_views, load_beside),
    "feature-tokens": Trained(starting(FeatureTokens), tokens_views, load_beside),
    "vae": Trained(start_vae, vae_views),
    "codec": Trained(start_codec, codec_views, load_encoders),
    "sampler": Trained(start_sampler, sampler_views, load_coded),
    "semantic": Trained(start_semantic, semantic_views, load_teacher),
    "picture-codec": Trained(start_picture, picture_views, load_begun, landed_begun),
}
