"""The stage `finish`, the last of the sprdiff family: everything but its three encoders
learns from pictures what a file is to say and what is made of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hdcodec import weights
from hdcodec.models import identify
from hdcodec.models.latent.coding import uniform
from hdcodec.models.latent.distortion import MSE_WEIGHT, common, trade_off, weighed
from hdcodec.models.latent.qualities import QUALITIES
from hdcodec.models.latent.sizes import DecoderConfig
from hdcodec.models.sprdiff.codec import LatentCodec, Rebuilt, TripleFeatures
from hdcodec.models.sprdiff.config import TRADE_OFF, SprdiffConfig
from hdcodec.models.sprdiff.decoder import PictureDecoder
from hdcodec.models.sprdiff.diffusion import Reconstructed, Sampler
from hdcodec.models.sprdiff.vae import Vae
from hdcodec.perceptual import DISTS, LPIPS, patterns

from .checkpoint import load_average
from .codec import (
    ESTIMATE_WEIGHT,
    NOISE,
    SEMANTIC_WEIGHT,
    SHOWN_QUALITIES,
    Encoders,
    in_tiles,
    load_codec,
    load_encoders,
)
from .coded import Coded, start_sampler
from .data import Crops
from .diffuse import denoising_error, plain_loss, random_time, sample_loss, texture_loss
from .draws import normal, random_map
from .figures import Figures, mean, psnr
from .from_hdc import decoder_of
from .loop import Loss
from .losses import PATTERN_WEIGHT, WHOLE_POWER, bits_per_pixel
from .restore import restore, restore_sprdiff
from .semantic import cosine_distance
from .terms import LPIPS_WEIGHT, perceived, squared_error

TEXTURES = 0.5
"""Part of a batch whose textures are judged: VGG takes longer than all else."""

KNOWN = 0.25
"""Part of a batch whose latents are those of the original, with noise."""

COARSE_WEIGHT = 0.25
"""Of what coarse pictures lose."""

BEGUN = 16
"""Crops from which the decoder learns to take the VAE's latents for codewords."""

DENOISING_WEIGHT = 0.1
"""Of the denoiser's error and of the samples' energy score."""


class PictureCodec(nn.Module):
    """All that learns: the codec behind the encoders, the sampler and the decoder."""

    def __init__(self, codec: LatentCodec, sampler: Sampler, decoder: PictureDecoder) -> None:
        super().__init__()
        self.codec, self.sampler, self.decoder = codec, sampler, decoder

    def pictures(self, given: Reconstructed, z: Tensor) -> tuple[Tensor, Tensor]:
        """The coarse picture, and that of the VAE's latents `z`, N x vae x H/16 x W/16: both N x 3
        x H x W, not clipped."""
        base, features = self.codec.reconstruction.detailed(given)
        coarse = self.decoder.refinement(base, features)
        return coarse, self.decoder(coarse, features, z)


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


def finish_loss(model: PictureCodec, lpips: LPIPS, dists: DISTS, frozen: Begun) -> Loss:
    """The rate, what pictures of one step and coarse pictures lose, and with small weights what the
    stages `codec` and `diffuse` ask for. The same in every step.

    Samples learn from the energy score alone, so that none of what pictures lose can take their
    noise from them. A part of each batch has the original's latents with noise in the place of a
    sample: what a decoder learns by to have need of them.
    """

    def loss(x: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
        seen, qindex = frozen.encoders.encode(x), random_map(x, generator)
        factor = trade_off(qindex.float(), TRADE_OFF)
        coded, rebuilt = model.codec(seen, qindex)
        bpp, counting = bits_per_pixel(coded), factor ** (1 + WHOLE_POWER)
        hidden, z, told = latent_loss(model, seen, rebuilt, counting, generator)
        wanted = Wanted(x, *common(counting))
        shown, more = picture_loss(model, lpips, dists, rebuilt.given, z, wanted, generator)
        low = qindex.float().mean((1, 2)) < QUALITIES // 2
        return (factor**WHOLE_POWER * bpp).mean() + shown + hidden, {
            "bpp_low": mean(bpp.mean((1, 2)), low),
            "bpp_high": mean(bpp.mean((1, 2)), ~low),
            **more,
            **told,
        }

    return loss


def latent_loss(
    model: PictureCodec,
    seen: TripleFeatures,
    rebuilt: Rebuilt,
    counting: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Figures]:
    """What the coarse estimate and the semantic features lose, each tile as much as it is
    `counting`, N x H/64 x W/64; what the sampler loses; and latents for `PictureDecoder`."""
    own = seen.vae
    missed = ((rebuilt.given.coarse - own).square() * model.codec.felt[:, None, None]).mean(1)
    apart = cosine_distance(rebuilt.semantic, seen.semantic)
    estimate = ESTIMATE_WEIGHT * missed + SEMANTIC_WEIGHT * model.codec.used[3] * apart
    given, time = rebuilt.given.detach(), random_time(own, generator)
    drawn, samples, spread = sample_loss(model.sampler, given, own, generator)
    noisy = denoising_error(model.sampler, given, own, time, generator)
    total = in_tiles(estimate, counting).mean() + DENOISING_WEIGHT * (noisy + drawn).mean()
    figures = {"felt": mean(missed), "cosine": 1 - mean(apart), "denoising": mean(noisy)}
    return total, known_or_sampled(samples, own, generator), figures | spread


def picture_loss(
    model: PictureCodec,
    lpips: LPIPS,
    dists: DISTS,
    given: Reconstructed,
    z: Tensor,
    wanted: Wanted,
    generator: torch.Generator,
) -> tuple[Tensor, Figures]:
    """What both pictures lose, and textures a part of those of the latents `z`."""
    coarse, picture = (weighed(p, wanted.relative) for p in model.pictures(given, z))
    plain, figures = plain_loss(lpips, picture, wanted.x, generator)
    judged = wanted.some(TEXTURES)
    textures, more = texture_loss(dists, picture[: len(judged.x)], judged.x, generator)
    faithful, others = coarse_loss(lpips, coarse, wanted.x, generator)
    total = (wanted.worth * (plain + model.codec.used[4] * faithful)).mean()
    return total + (judged.worth * textures).mean(), {**figures, **more, **others}


def known_or_sampled(samples: Tensor, z: Tensor, generator: torch.Generator) -> Tensor:
    """The samples; in the place of the last, a part of `KNOWN`, the original's latents `z` with
    noise: textures are judged in the first (`TEXTURES`)."""
    drawn = len(z) - round(KNOWN * len(z))
    known = z + NOISE * normal(z, tuple(z.shape), generator)
    return torch.cat([samples[:drawn], known[drawn:]])


def coarse_loss(
    lpips: LPIPS, picture: Tensor, x: Tensor, generator: torch.Generator
) -> tuple[Tensor, Figures]:
    """What each coarse picture loses, N, weighed as hdc's LIC images."""
    mse, seen = squared_error(picture, x), perceived(lpips, picture, x, generator)
    lost = COARSE_WEIGHT * (MSE_WEIGHT * mse + LPIPS_WEIGHT[1] * seen)
    lost = lost + PATTERN_WEIGHT * patterns(picture, x)
    return lost, {"coarse_db": psnr(mse), "coarse_lpips": mean(seen)}


def load_begun(
    vae: Path, semantic: Path, codec: Path, diffusion: Path | None, device: str
) -> Begun:
    """The landed weights of hdc and the networks of three checkpoints, and where to find a fourth,
    if any."""
    encoders = load_encoders(vae, semantic, device)
    return _placed(Begun(encoders, load_codec(codec), diffusion), device)


def landed_begun(folder: Path, device: str) -> Begun:
    """The networks of a folder of weights of sprdiff; its VAE has no decoder, none is needed."""
    model = restore_sprdiff(weights.read_folder(folder))
    vae = Vae(model.cfg.vae)
    vae.load_state_dict(model.vae.state_dict(), strict=False)
    lic = restore(weights.find(identify("hdc"))).lic
    lic.analysis.net[:-1].load_state_dict(model.distortion.state_dict())
    return _placed(Begun(Encoders(lic, vae, model.semantic), model.codec, None), device)


def _placed(frozen: Begun, device: str) -> Begun:
    frozen.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return frozen


def start_picture(
    path: Path | None, config: SprdiffConfig | None, crops: Crops, frozen: Begun
) -> PictureCodec:
    """The averaged model of a checkpoint, that of a folder of weights of sprdiff, or one of the
    networks it is to begin with: without a diffusion among them a sample is the coarse estimate.
    `config` are sizes of all networks, of which those of sampler and decoder count."""
    if path is not None and path.is_dir():
        landed = restore_sprdiff(weights.read_folder(path))
        return PictureCodec(landed.codec, landed.sampler, landed.decoder)
    sizes = config or SprdiffConfig()
    if path is None:
        sampler = start_sampler(frozen.diffusion, sizes.diffusion, crops, frozen)
        decoder = begun_decoder(sizes.decoder, crops, frozen)
    else:
        sampler, decoder = Sampler(sizes.diffusion), PictureDecoder(sizes.decoder)
    model = PictureCodec(copy.deepcopy(frozen.codec), sampler, decoder)
    if path is not None:
        load_average(model, path)
    return model


@torch.no_grad()
def begun_decoder(sizes: DecoderConfig, crops: Crops, frozen: Begun) -> PictureDecoder:
    """The decoder of hdc's landed weights."""
    x = torch.cat([crops(k) for k in range(-(-BEGUN // crops.batch))])
    hdc = restore(weights.find(identify("hdc"))).to(x.device)
    return decoder_of(hdc, x, frozen.vae.encode(x), sizes)


def picture_views(model: PictureCodec, x: Tensor, frozen: Begun) -> list[Tensor]:
    """A picture, N x 3 x H x W, at three qualities: the coarse picture, and a sample of one
    step."""
    views: list[Tensor] = []
    seen = frozen.encoders.encode(x)
    draws = torch.Generator().manual_seed(0)
    noise = torch.randn(seen.vae.shape, generator=draws).to(x.device)
    for quality in SHOWN_QUALITIES:
        qindex = uniform(torch.tensor([quality], device=x.device), x)
        latent = model.codec.written(model.codec.encode(seen, qindex), qindex).latent
        given = model.codec.decode(latent, qindex).given
        views += model.pictures(given, model.sampler.sample(given, noise))
    return views
