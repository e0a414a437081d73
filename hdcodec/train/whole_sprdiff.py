"""The stage `whole-sprdiff`, the last of the sprdiff family: everything but its three encoders
learns from pictures what a file is to say and what is made of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hdcodec.models.hdc.config import QUALITIES
from hdcodec.models.hdc.lic import MSE_WEIGHT, Synthesis, common, trade_off, uniform, weighed
from hdcodec.models.sprdiff.codec import LatentCodec
from hdcodec.models.sprdiff.config import DiffusionConfig
from hdcodec.models.sprdiff.diffusion import Reconstructed, Sampler
from hdcodec.perceptual import DISTS, LPIPS

from .checkpoint import load_average
from .codec import SEMANTIC_WEIGHT, SHOWN_QUALITIES, Encoders, in_tiles, load_codec, load_encoders
from .coded import Coded, start_sampler
from .data import Crops
from .diffuse import denoising_error, plain_loss, random_time, texture_loss
from .draws import normal, random_map
from .figures import Figures, mean, psnr
from .loop import Loss
from .losses import WHOLE_POWER, bits_per_pixel
from .semantic import cosine_distance
from .terms import LPIPS_WEIGHT, perceived, squared_error

TRADE_OFF = (0.0025, 0.07)
"""Bits per pixel against distortion at the lowest and the highest quality: for about .002 to .03
bits per pixel."""

TEXTURES = 0.5
"""Part of a batch whose textures are judged: VGG takes longer than all else."""

PICTURES = 0.25
"""Part of a batch of which coarse pictures are made."""

ESTIMATE_WEIGHT = 0.1
"""Of what the stage `codec` asks of latents, without its coarse picture."""

DENOISING_WEIGHT = 0.1
"""Of the denoiser's error at all times but the start."""


class PictureCodec(nn.Module):
    """All that learns: the codec behind the encoders, the sampler and the VAE's decoder."""

    def __init__(self, codec: LatentCodec, sampler: Sampler, decoder: Synthesis) -> None:
        super().__init__()
        self.codec, self.sampler, self.decoder = codec, sampler, decoder

    def sampled(self, given: Reconstructed, noise: Tensor) -> Tensor:
        """The picture of one step from `noise`, N x vae x H/16 x W/16: N x 3 x H x W, not
        clipped."""
        picture: Tensor = self.decoder(self.sampler.sample(given, noise))[0]
        return picture

    def coarse(self, given: Reconstructed) -> Tensor:
        """The coarse picture, N x 3 x H x W, not clipped."""
        return self.codec.reconstruction.picture(given)


class Begun(Coded):
    """The frozen encoders, and what the stage begins with if it has no checkpoint of its own: the
    codec behind them, the VAE's decoder, and the checkpoint of a diffusion or none."""

    def __init__(self, encoders: Encoders, codec: LatentCodec, diffusion: Path | None) -> None:
        super().__init__(encoders, codec)
        self.diffusion = diffusion


class Wanted(NamedTuple):
    """Originals N x 3 x H x W in [0, 1], and what is lost of them counts: `worth` N for each, and
    of that `relative` N x H/64 x W/64 for its tiles."""

    x: Tensor
    worth: Tensor
    relative: Tensor

    def some(self, part: float) -> Wanted:
        """This part of them, at least one."""
        count = max(1, round(part * len(self.x)))
        return Wanted(*(value[:count] for value in self))


def whole_sprdiff_loss(model: PictureCodec, lpips: LPIPS, dists: DISTS, frozen: Begun) -> Loss:
    """The rate, what pictures of one step and coarse pictures lose, and with small weights what the
    stages `codec` and `diffuse` ask for. Always the same."""

    def loss(x: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
        seen, qindex = frozen.encoders.encode(x), random_map(x, generator)
        factor = trade_off(qindex.float(), TRADE_OFF)
        coded, rebuilt = model.codec(seen, qindex)
        given, bpp = rebuilt.given, bits_per_pixel(coded)
        counting = factor ** (1 + WHOLE_POWER)
        wanted = Wanted(x, *common(counting))
        sampled, figures = sampled_loss(model, lpips, dists, given, wanted, generator)
        coarse, more = coarse_loss(model, lpips, given, wanted, generator)
        missed = ((given.coarse - seen.vae).square() * model.codec.felt[:, None, None]).mean(1)
        apart = cosine_distance(rebuilt.semantic, seen.semantic)
        estimate = missed + SEMANTIC_WEIGHT * model.codec.used[3] * apart
        time = random_time(seen.vae, generator, 0.0)
        noisy = denoising_error(model.sampler, given.detach(), seen.vae, time, generator)
        total = (factor**WHOLE_POWER * bpp).mean() + sampled + coarse
        total = total + ESTIMATE_WEIGHT * in_tiles(estimate, counting).mean()
        low = qindex.float().mean((1, 2)) < QUALITIES // 2
        return total + DENOISING_WEIGHT * noisy.mean(), {
            "bpp_low": mean(bpp.mean((1, 2)), low),
            "bpp_high": mean(bpp.mean((1, 2)), ~low),
            **figures,
            **more,
            "felt": mean(missed),
            "cosine": 1 - mean(apart),
            "denoising": mean(noisy),
        }

    return loss


def sampled_loss(
    model: PictureCodec,
    lpips: LPIPS,
    dists: DISTS,
    given: Reconstructed,
    wanted: Wanted,
    generator: torch.Generator,
) -> tuple[Tensor, Figures]:
    """What pictures of one step lose, as in the stage `finish`; a part of them in textures."""
    noise = normal(wanted.x, tuple(given.coarse.shape), generator)
    picture = weighed(model.sampled(given, noise), wanted.relative)
    plain, figures = plain_loss(lpips, picture, wanted.x, generator)
    judged = wanted.some(TEXTURES)
    textures, more = texture_loss(dists, picture[: len(judged.x)], judged.x, generator)
    total = (wanted.worth * plain).mean() + (judged.worth * textures).mean()
    return total, figures | more


def coarse_loss(
    model: PictureCodec,
    lpips: LPIPS,
    given: Reconstructed,
    wanted: Wanted,
    generator: torch.Generator,
) -> tuple[Tensor, Figures]:
    """What coarse pictures of a part of the batch lose, weighed as hdc's LIC images."""
    x, worth, relative = wanted.some(PICTURES)
    picture = weighed(model.coarse(given.some(len(x))), relative)
    mse, seen = squared_error(picture, x), perceived(lpips, picture, x, generator)
    total = (worth * (MSE_WEIGHT * mse + LPIPS_WEIGHT[1] * seen)).mean()
    return model.codec.used[4] * total, {"coarse_db": psnr(mse), "coarse_lpips": mean(seen)}


def load_begun(
    vae: Path, semantic: Path, codec: Path, diffusion: Path | None, device: str
) -> Begun:
    """The landed weights of hdc and the networks of three checkpoints, and where to find a fourth,
    if any."""
    frozen = Begun(load_encoders(vae, semantic, device), load_codec(codec), diffusion)
    frozen.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return frozen


def start_picture(
    path: Path | None, config: DiffusionConfig | None, crops: Crops, frozen: Begun
) -> PictureCodec:
    """The averaged model of a checkpoint, or one of the networks it is to begin with: without a
    diffusion among them a sample is the coarse estimate. `config` are the sizes of the sampler."""
    diffusion = frozen.diffusion if path is None else None
    model = PictureCodec(
        copy.deepcopy(frozen.codec),
        start_sampler(diffusion, config, crops, frozen),
        copy.deepcopy(frozen.vae.decoder),
    )
    if path is not None:
        load_average(model, path)
    return model


def picture_views(model: PictureCodec, x: Tensor, frozen: Begun) -> list[Tensor]:
    """A picture, N x 3 x H x W, at three qualities: the coarse picture, and a sample of one
    step."""
    views, seen = [], frozen.encoders.encode(x)
    draws = torch.Generator().manual_seed(0)
    noise = torch.randn(seen.vae.shape, generator=draws).to(x.device)
    for quality in SHOWN_QUALITIES:
        qindex = uniform(torch.tensor([quality], device=x.device), x)
        latent = model.codec.written(model.codec.encode(seen, qindex), qindex).latent
        given = model.codec.decode(latent, qindex).given
        views += [model.coarse(given), model.sampled(given, noise)]
    return views
