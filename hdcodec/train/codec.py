"""The stage `codec` of the sprdiff family: latents at 1/32 learn, from what frozen encoders say of
photos, to say in few bits what the VAE's decoder needs."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hdcodec import weights
from hdcodec.models import identify
from hdcodec.models.hdc.lic import Lic
from hdcodec.models.latent.coding import spread, uniform
from hdcodec.models.latent.distortion import trade_off
from hdcodec.models.latent.layers import Shuffle, Unshuffle
from hdcodec.models.latent.qualities import QUALITIES
from hdcodec.models.sprdiff.codec import LatentCodec, TripleFeatures
from hdcodec.models.sprdiff.config import VAE_STRIDE, LatentCodecConfig
from hdcodec.models.sprdiff.semantic import SemanticEncoder
from hdcodec.models.sprdiff.vae import Vae
from hdcodec.perceptual import LPIPS

from .checkpoint import load_average
from .data import Crops
from .draws import random_map
from .figures import Figures, mean
from .from_hdc import REFERENCE, begin_as_hdc, gains_of
from .loop import Loss
from .losses import bits_per_pixel
from .restore import restore
from .semantic import cosine_distance, load_student
from .vae import load_vae

TRADE_OFF = (0.0025, 0.07)
"""Bits per pixel against distortion, as hdc counts it, at the lowest and the highest quality: for
about .002 to .03 bits per pixel."""

LATENT_WEIGHT = 1.5
"""Weight of the squared error of hdc's latents, in its rounding steps, summed over a position: with
this one, rounding to steps of 1 is the best trade of bits against error."""

ESTIMATE_WEIGHT = 0.1
"""Weight of the squared error of the VAE's latents, each channel by how much it is `felt`."""

SEMANTIC_WEIGHT = 0.1
"""Weight of the cosine distance of the semantic features."""

MEASURED, NOISE = 16, 0.5
"""Crops on which `felt` is measured, and the deviation of the noise in their latents: about what a
coarse estimate misses."""

BEGUN = 64
"""Crops from which principal components are taken."""

SHOWN_QUALITIES = (0, 100, 200)


class Kept(NamedTuple):
    """What is kept of crops: what the encoders say of them, and their pixels in [0, 1]."""

    seen: TripleFeatures
    pixels: Tensor


class Encoders(nn.Module):
    """The three encoders, frozen: hdc's LIC stream, of which the analysis is used, and whose
    synthesis a codec begins with; the VAE; the semantic encoder."""

    def __init__(self, lic: Lic, vae: Vae, semantic: SemanticEncoder) -> None:
        super().__init__()
        self.lic, self.vae, self.semantic = lic, vae, semantic
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def encode(self, x: Tensor) -> TripleFeatures:
        """`x` N x 3 x H x W in [0, 1], sides multiples of 64."""
        return TripleFeatures(self.vae.encode(x), self.lic.analysis.features(x), self.semantic(x))

    def kept(self, x: Tensor) -> Tensor:
        """The bytes of all that is kept of pixels in 256 levels, N x h x w x B at 1/16: features in
        float16, one encoder's behind the other's, then the pixels of a position."""
        features = torch.cat([part.float() for part in self.encode(x)], 1).half()
        pixels = Unshuffle(VAE_STRIDE)(x).mul(255).round().byte()
        as_bytes = features.permute(0, 2, 3, 1).contiguous().view(torch.uint8)
        return torch.cat([as_bytes, pixels.permute(0, 2, 3, 1)], 3)

    def unpacked(self, batch: Tensor) -> Kept:
        """What `kept` gives, as a batch N x B x h x w."""
        data, end = batch.permute(0, 2, 3, 1), batch.shape[1] - 3 * VAE_STRIDE**2
        features = data[..., :end].view(torch.float16).permute(0, 3, 1, 2).float()
        rest = features.shape[1] - self.vae.cfg.latent - self.semantic.cfg.features
        sizes = [self.vae.cfg.latent, rest, self.semantic.cfg.features]
        pixels = data[..., end:].permute(0, 3, 1, 2).float() / 255
        return Kept(TripleFeatures(*torch.split(features, sizes, 1)), Shuffle(VAE_STRIDE)(pixels))


def load_encoders(vae: Path, semantic: Path, device: str) -> Encoders:
    """The landed weights of hdc, and the VAE and the semantic encoder of checkpoints."""
    lic = restore(weights.find(identify("hdc"))).lic
    encoders = Encoders(lic, load_vae(vae), load_student(semantic).encoder)
    encoders.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return encoders


def codec_loss(model: LatentCodec, _: LPIPS, __: object, frozen: Encoders) -> Loss:
    """Rate, and for each tile by its quality what hdc's latents, the VAE's and the semantic
    features miss; the same in every step. The synthesis, which is hdc's, learns nothing here: it
    gets no picture to learn from."""
    model.reconstruction.synthesis.requires_grad_(False)
    step, last = gains_of(frozen.lic, REFERENCE)[:, None, None], frozen.lic.analysis.last

    def loss(batch: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
        seen, x = frozen.unpacked(batch)
        qindex = random_map(x, generator)
        coded, rebuilt = model(seen, qindex)
        bpp, worth = bits_per_pixel(coded), model.worth * trade_off(qindex.float(), TRADE_OFF)
        off = ((rebuilt.between.float() - last(seen.distortion)) * step).square().sum(1)
        missed = ((rebuilt.given.coarse - seen.vae).square() * model.felt[:, None, None]).mean(1)
        apart = cosine_distance(rebuilt.semantic, seen.semantic)
        error = model.used[4] * LATENT_WEIGHT * off + ESTIMATE_WEIGHT * missed
        error = error + SEMANTIC_WEIGHT * model.used[3] * apart
        low = qindex.float().mean((1, 2)) < QUALITIES // 2
        total = (bpp / worth.sqrt()).mean() + in_tiles(error, worth.sqrt()).mean()
        return total, {
            "bpp_low": mean(bpp.mean((1, 2)), low),
            "bpp_high": mean(bpp.mean((1, 2)), ~low),
            "z_bpp": mean(bpp - coded.y_bits / 64**2),
            "off_low": mean(off.mean((1, 2)), low),
            "off_high": mean(off.mean((1, 2)), ~low),
            "felt": mean(missed),
            "cosine": 1 - mean(apart),
        }

    return loss


def rate_loss(model: LatentCodec, _: LPIPS, __: object, frozen: Encoders) -> Loss:
    """The rate of latents as they are: what the entropy networks of a codec that begins as hdc have
    to learn first. The same in every step."""

    def loss(batch: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
        seen, x = frozen.unpacked(batch)
        qindex = random_map(x, generator)
        bpp = bits_per_pixel(model.coded(model.encode(seen, qindex), qindex))
        low = qindex.float().mean((1, 2)) < QUALITIES // 2
        return (bpp / trade_off(qindex.float(), TRADE_OFF).sqrt()).mean(), {
            "bpp_low": mean(bpp.mean((1, 2)), low),
            "bpp_high": mean(bpp.mean((1, 2)), ~low),
        }

    return loss


def in_tiles(error: Tensor, factor: Tensor) -> Tensor:
    """Errors N x H' x W' on any grid, each times the factor of its tile, N x h x w."""
    return error * spread(factor[:, None], error.shape[1] // factor.shape[1])[:, 0]


def felt(vae: Vae, x: Tensor) -> Tensor:
    """By how much pixels change, in squared error, with each channel of a VAE's latents, 1 on
    average; `x` N x 3 x H x W.

    The squared gradient of the product of a picture and random numbers is, on average, the sum of
    all pixels' squared derivatives (Hutchinson 1990): one backward pass measures all channels, at
    latents with noise.
    """
    generator = torch.Generator().manual_seed(0)
    z = vae.encode(x)
    noise = torch.randn(z.shape, generator=generator).to(z.device)
    z = (z + NOISE * noise).requires_grad_()
    picture = vae.decode(z)
    random = torch.randn(picture.shape, generator=generator).to(z.device)
    (gradient,) = torch.autograd.grad((picture * random).sum(), z)
    power = gradient.float().square().mean((0, 2, 3))
    return power / power.mean()


def start_codec(
    path: Path | None, config: LatentCodecConfig | None, crops: Crops, frozen: Encoders
) -> LatentCodec:
    """The averaged codec of a checkpoint, or one that begins as hdc (see `begin_as_hdc`);
    raises RuntimeError if the sizes are not those of hdc."""
    if path is not None:
        return load_codec(path, config)
    model = LatentCodec(config or LatentCodecConfig())
    steps = range(-(-BEGUN // crops.batch))
    with torch.no_grad():
        features = torch.cat([frozen.lic.analysis.features(crops(k)) for k in steps])
    begin_as_hdc(model, frozen.lic, features, TRADE_OFF)
    model.felt.copy_(felt(frozen.vae, crops(0)[:MEASURED]))
    return model


def load_codec(checkpoint: Path, config: LatentCodecConfig | None = None) -> LatentCodec:
    """The averaged codec of a checkpoint of `codec`."""
    model = LatentCodec(config or LatentCodecConfig())
    load_average(model, checkpoint)
    return model


def codec_views(model: LatentCodec, x: Tensor, frozen: Encoders) -> list[Tensor]:
    """A picture, N x 3 x H x W, at three qualities: what the VAE makes of the coarse estimate, and
    the coarse picture."""
    views, seen = [], frozen.encode(x)
    for quality in SHOWN_QUALITIES:
        qindex = uniform(torch.tensor([quality], device=x.device), x)
        latent = model.written(model.encode(seen, qindex), qindex).latent
        given = model.decode(latent, qindex).given
        views += [frozen.vae.decode(given.coarse), model.reconstruction.picture(given)]
    return views
