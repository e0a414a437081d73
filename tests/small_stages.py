"""Small networks of the sprdiff family that no one has trained, and stages of a step or two."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.latent.sizes import DecoderConfig
from hdcodec.models.sprdiff.codec import LatentCodec
from hdcodec.models.sprdiff.config import (
    DiffusionConfig,
    DistortionConfig,
    LatentCodecConfig,
    SemanticConfig,
    SprdiffConfig,
    VaeConfig,
)
from hdcodec.models.sprdiff.semantic import SemanticEncoder
from hdcodec.models.sprdiff.vae import Vae
from hdcodec.train.codec import Encoders
from hdcodec.train.loop import Loss
from hdcodec.train.run import train

VAE_SIZES = VaeConfig(8, 8, 1, 16, 1, 8, 1, 1)
SIZES = LatentCodecConfig(
    latent=16,
    hyper=4,
    context=8,
    vae=8,
    distortion=72,
    semantic=8,
    width=16,
    deep=16,
    depth=1,
    between=8,
    trunk_width=16,
    trunk_depth=1,
    detail_width=8,
    detail_depth=1,
    head_depth=1,
)
STUDENT = SemanticConfig(features=8, width=8, depth=1)
SAMPLER_SIZES = DiffusionConfig(
    latent=8, trunk_width=16, width=16, depth=1, deep_width=16, deep_depth=1, embedding=16
)
DECODER = DecoderConfig(
    vectors=8, seen=8, sixteenth=12, width=16, depth=1, detail=8, detail_depth=1, head_depth=1
)
ALL_SIZES = SprdiffConfig(VAE_SIZES, DistortionConfig(8, 1), STUDENT, SIZES, SAMPLER_SIZES, DECODER)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def checkpoint(path: Path) -> dict[str, Any]:
    return dict(torch.load(path, weights_only=True))


def small_encoders(hdc: HdcModel) -> Encoders:
    torch.manual_seed(1)
    return Encoders(hdc.lic, Vae(VAE_SIZES), SemanticEncoder(STUDENT))


def small_codec() -> LatentCodec:
    """One whose last layers are not zero."""
    torch.manual_seed(2)
    model = LatentCodec(SIZES)
    torch.nn.init.normal_(model.reconstruction.coarse.weight, std=0.1)
    torch.nn.init.normal_(model.level)
    return model


def beside(encoders: Encoders, hdc: HdcModel, patch: pytest.MonkeyPatch) -> None:
    """Have stages load these encoders, and begin with this model of hdc."""
    patch.setattr("hdcodec.train.codec.restore", lambda _: hdc)
    patch.setattr("hdcodec.train.codec.load_vae", lambda _: encoders.vae)
    student = SimpleNamespace(encoder=encoders.semantic)
    patch.setattr("hdcodec.train.codec.load_student", lambda _: student)


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """The parts of a model, by the first words of names, of which some tensor differs."""
    return {name.split(".")[0] for name in after if not torch.equal(after[name], before[name])}


def losses(model: torch.nn.Module, loss: Loss, batch: Tensor, steps: int, lr: float) -> list[float]:
    """Before each of some steps of AdamW that see the same batch and the same random numbers."""
    optimizer, found = torch.optim.AdamW(model.parameters(), lr), []
    for _ in range(steps):
        torch.manual_seed(0)
        total, figures = loss(batch, 0.5, generator(1))
        found.append(float(total.detach()))
        assert all(bool(value.isfinite()) for value in figures.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return found


def resumed(stage: str, options: dict[str, Any], **first: Any) -> tuple[dict[str, Any], ...]:
    """The checkpoints of a stage after one step, with what is asked of it then, and after a second
    one in another run."""
    path, found = options["out"] / f"{stage}.pt", []
    for steps, more in ((1, first), (2, {"resume": True})):
        train(stage, **options | more | {"max_steps": steps})
        found.append(checkpoint(path))
    assert [state["step"] for state in found] == [1, 2]
    return tuple(found)
