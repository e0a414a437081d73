"""The stages `tokens-latents` and `tokens-features` of hdc: tokens at 1/32 learn to say what
latents leave open, by the finished picture's losses and their bits; hdc itself stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hdcodec import weights
from hdcodec.models import identify
from hdcodec.models.hdc.drv import sample
from hdcodec.models.hdc.lic import MSE_WEIGHT, trade_off, uniform
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.hdc.residual import (
    FeatureTokens,
    LatentTokens,
    Named,
    ResidualTokens,
    TokenConfig,
)
from hdcodec.perceptual import DISTS, LPIPS

from .checkpoint import load_average
from .data import Crops
from .draws import normal, random_fidelity, random_qindex
from .figures import Figures, mean, psnr
from .loop import Loss
from .losses import WHOLE_POWER
from .realism import DISTS_WEIGHT
from .restore import restore
from .terms import LPIPS_WEIGHT, perceived, squared_error
from .vae import resemblance

QUALITIES = 121
"""Quality indices that learn, those below: up to about .04 bits per pixel."""

WORTH = 0.8
"""What the loss of a picture counts beside bits, of hdc's trade-off: by this, a bit of tokens is
worth about as much as one of latents, at fidelity 0 a little more, at 1 a little less."""

SEEN = 0.25
"""Part of a batch, the least faithful, that DISTS sees."""

COMMITMENT = 0.1

SHOWN = 60
"""Quality index of the pictures in a sheet of samples."""


class Spoken(NamedTuple):
    """A picture, N x 3 x H x W, with tokens, and what they are; hdc's bits of it, N."""

    picture: Tensor
    named: Named
    bits: Tensor


def tokens_loss(model: ResidualTokens, lpips: LPIPS, dists: DISTS, frozen: HdcModel) -> Loss:
    """Bits of the tokens' soft choice, and what the finished picture loses; always the same."""

    def loss(x: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
        qindex = random_qindex(x, generator, QUALITIES)
        fidelity = random_fidelity(x, generator)
        shape = (len(x), 2 * frozen.cfg.drv, x.shape[2] // 32, x.shape[3] // 32)
        noise = normal(x, shape, generator)
        picture, named, _ = spoken(model, frozen, x, uniform(qindex, x), fidelity, noise)
        w = fidelity.flatten()
        mse, seen = squared_error(picture, x), perceived(lpips, picture, x, generator)
        low, high = LPIPS_WEIGHT
        total = MSE_WEIGHT * (0.1 + 0.9 * w) * mse + (low + w * (high - low)) * seen
        chosen = w.argsort()[: max(1, round(SEEN * len(x)))]
        alike = resemblance(dists, picture[chosen], x[chosen], generator)
        factor = trade_off(qindex.float())
        pulled = ((1 - w) * factor ** (1 + WHOLE_POWER))[chosen] * DISTS_WEIGHT * alike
        lost = (factor ** (1 + WHOLE_POWER) * total).mean() + pulled.sum() / len(x)
        pixels = x.shape[2] * x.shape[3]
        soft = named.soft_bits.sum((1, 2, 3)) / pixels
        rate = (factor**WHOLE_POWER * soft).mean()
        return rate + WORTH * model.worth * lost + COMMITMENT * named.commitment, {
            "out_db": psnr(mse),
            "out_lpips": mean(seen),
            "dists": mean(alike),
            "token_bits": mean(named.bits),
            "soft_bits": mean(named.soft_bits),
            "sent_percent": 100 * mean(named.indices > 0),
        }

    return loss


def spoken(
    model: ResidualTokens,
    hdc: HdcModel,
    x: Tensor,
    qindex: Tensor,
    fidelity: Tensor,
    noise: Tensor,
    silent: bool = False,
) -> Spoken:
    """Pixels N x 3 x H x W in [0, 1], `qindex` N x H/64 x W/64, `fidelity` N x 1 x 1 x 1, `noise`
    N x 2 drv x H/32 x W/32; with `silent` all indices are 0, which is hdc without tokens."""
    with torch.no_grad():
        seen = hdc.lic.analysis.features(x)
        y = hdc.lic.analysis.net[-1](seen) * hdc.lic.gain(qindex)
        coded = hdc.lic.written(y, qindex)
    known = model.known(coded.latent, coded.hyper)
    named = model.named(model.whitened(seen, known), known)
    latent, told = coded.latent / hdc.lic.gain(qindex), None
    vectors = torch.zeros_like(named.vectors) if silent else named.vectors
    if isinstance(model, LatentTokens):
        latent = latent + model.changes(known, vectors)
    elif isinstance(model, FeatureTokens):
        told = model.changes(known, vectors)
    bits = (coded.y_bits + coded.z_bits).sum((1, 2))
    return Spoken(decoded(hdc, latent, fidelity, noise, told), named, bits)


def decoded(
    hdc: HdcModel,
    latent: Tensor,
    fidelity: Tensor,
    noise: Tensor,
    told: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """hdc's picture of latents without gain, no index sent, DRVs in one step; what is `told` comes
    to the LIC stream's features at 1/8 and 1/16."""
    base, features = hdc.lic.synthesis(latent)
    condition = hdc.condition(features)
    drvs = [
        sample(denoiser, condition, part, 1)  # type: ignore[arg-type]
        for denoiser, part in zip(hdc.denoisers, noise.chunk(2, 1), strict=True)
    ]
    x_lic = hdc.enhancer(base, features, drvs[0])
    eighth, sixteenth = hdc.lic_features(x_lic, features)
    if told is not None:
        eighth, sixteenth = eighth + told[0], sixteenth + told[1]
    kept = torch.zeros_like(latent[:, :1], dtype=torch.bool)
    codes = hdc.complete(kept[:, 0].long(), kept, sixteenth, drvs[1])
    picture: Tensor = hdc.vq_decoder(codes, (x_lic, eighth, sixteenth), fidelity, noise)
    return picture


def load_landed(device: str) -> HdcModel:
    """The landed weights."""
    hdc = restore(weights.find(identify("hdc"))).eval().requires_grad_(False)
    hdc.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return hdc


def starting(kind: type[ResidualTokens]) -> Callable[..., nn.Module]:
    """What makes tokens of a kind from a checkpoint, or untrained ones."""

    def start(
        path: Path | None, config: TokenConfig | None, _: Crops, frozen: HdcModel
    ) -> ResidualTokens:
        return load_tokens(kind, path, frozen, config)

    return start


def load_tokens(
    kind: type[ResidualTokens], path: Path | None, hdc: HdcModel, config: TokenConfig | None = None
) -> ResidualTokens:
    """The averaged tokens of a checkpoint, or untrained ones."""
    model = kind(config or TokenConfig(), hdc.cfg)
    if path is not None:
        load_average(model, path)
    return model


def tokens_views(model: ResidualTokens, x: Tensor, frozen: HdcModel) -> list[Tensor]:
    """A picture, N x 3 x H x W, at fidelity 0 without tokens and with them."""
    qindex = uniform(torch.tensor([SHOWN], device=x.device), x)
    shape = (len(x), 2 * frozen.cfg.drv, x.shape[2] // 32, x.shape[3] // 32)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(x.device)
    natural = torch.zeros_like(x[:, :1, :1, :1])
    return [
        spoken(model, frozen, x, qindex, natural, noise, silent).picture for silent in (True, False)
    ]
