"""What stages ask of a device, tried on one that computes nothing: a step that is recorded on a GPU
may neither wait for a number nor take one from outside."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from small_stages import DECODER, SAMPLER_SIZES, STUDENT, VAE_SIZES
from small_stages import SIZES as CODEC_SIZES
from test_train_semantic import lite0
from torch import Tensor, nn

from hdcodec.models.hdc.config import Config
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.hdc.residual import FeatureTokens, LatentTokens, TokenConfig
from hdcodec.models.sprdiff.codec import LatentCodec
from hdcodec.models.sprdiff.decoder import PictureDecoder
from hdcodec.models.sprdiff.diffusion import Sampler
from hdcodec.models.sprdiff.vae import Vae
from hdcodec.train.codec import Encoders
from hdcodec.train.coded import Coded
from hdcodec.train.finish import Begun, PictureCodec
from hdcodec.train.loop import Settings
from hdcodec.train.run import prepare
from hdcodec.train.semantic import Student
from hdcodec.train.stages import STAGES
from hdcodec.train.teacher import Teacher
from hdcodec.train.tokens import Beside

BATCH, SIDE = 4, 64
RECORDED = [name for name, stage in STAGES.items() if stage.steady]


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """torch's device `meta`, with random numbers of its own as a GPU has, and no autocast, which it
    does not know; nor are weights looked at before the first step."""
    known = torch.autocast
    monkeypatch.setattr(
        torch, "autocast", lambda d, *a, **k: nullcontext() if d == "meta" else known(d, *a, **k)
    )
    monkeypatch.setattr("hdcodec.train.draws._source", lambda like, generator: None)
    monkeypatch.setattr("hdcodec.train.draw.wake", lambda model: None)
    return torch.device("meta")


class Nothing:
    """Batches that are never asked for."""

    batch = BATCH

    def __call__(self, step: int) -> Tensor:
        raise NotImplementedError


def networks(kind: str, hdc: Config) -> tuple[nn.Module, nn.Module | None]:
    """Small ones of a stage's model, and what lies around them."""
    vae, lic = Vae(VAE_SIZES), HdcModel(hdc).lic
    if kind == "hdc":
        return HdcModel(hdc), None
    if kind == "vae":
        return vae, None
    if kind.endswith("-tokens"):
        tokens = LatentTokens if kind == "latent-tokens" else FeatureTokens
        return tokens(TokenConfig(16, 4, 8, 2), hdc), Beside(HdcModel(hdc))
    student = Student(STUDENT)
    if kind == "semantic":
        return student, Teacher(lite0())
    codec, encoders = LatentCodec(CODEC_SIZES), Encoders(lic, vae, student.encoder)
    if kind == "codec":
        return codec, encoders
    if kind == "sampler":
        return Sampler(SAMPLER_SIZES), Coded(encoders, codec)
    picture_codec = PictureCodec(codec, Sampler(SAMPLER_SIZES), PictureDecoder(DECODER))
    return picture_codec, Begun(encoders, LatentCodec(CODEC_SIZES), None)


@pytest.mark.parametrize("stage", RECORDED)
def test_a_step_that_is_recorded_keeps_to_its_device(
    stage: str, nowhere: torch.device, random_weights: Path, tiny_config: Config, tmp_path: Path
) -> None:
    plan = STAGES[stage]
    model, frozen = networks(plan.model, tiny_config)
    around = {"frozen": frozen.to(nowhere)} if frozen is not None else {}
    settings = Settings(out=tmp_path, minutes=1, device="meta", optimizer="muon")
    trainer = prepare(stage, model.to(nowhere), Nothing(), settings, random_weights, around=around)
    batch = torch.rand(BATCH, 3, SIDE, SIDE, device=nowhere)
    if plan.latents:
        batch = around["frozen"].kept(batch).permute(0, 3, 1, 2)
    figures: dict[str, Any] = dict(trainer._update(batch, torch.Generator().manual_seed(0)))
    assert {value.device for value in figures.values()} == {nowhere}


def test_what_a_recorded_step_must_not_do_is_noticed(nowhere: torch.device) -> None:
    x = torch.rand(4, device=nowhere)
    for fault in (lambda: float(x.sum()), lambda: x[x > 0], lambda: x + torch.ones(4)):
        with pytest.raises((RuntimeError, NotImplementedError)):
            fault()
