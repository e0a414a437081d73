"""The stages `diffuse` and `finish` of the sprdiff family: a diffusion in the VAE's latents learns
to denoise, then to give in one step what the VAE's decoder makes a good picture of.

What it is given comes from the family's codec (`coded`), or, in the stages `diffuse-lic` and
`finish-lic`, from a trunk that sees the latents that a file of hdc holds.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from hdcodec import weights
from hdcodec.models import identify
from hdcodec.models.hdc.lic import MSE_WEIGHT, uniform
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.sprdiff.config import DiffusionConfig
from hdcodec.models.sprdiff.diffusion import Diffusion, Reconstructed, Sampler
from hdcodec.perceptual import DISTS, LPIPS, turned, wasserstein

from .checkpoint import load_average
from .data import Crops
from .draws import normal
from .draws import uniform as evenly
from .figures import Figures, mean, psnr
from .latents import Frozen, Teller
from .loop import Loss
from .realism import DISTS_WEIGHT
from .restore import restore
from .terms import LPIPS_WEIGHT, perceived, squared_error

AT_START = 0.25
"""Part of each batch that is at time 1, where a single step begins."""

SEEN = 0.5
"""Part of a batch that becomes pictures in `finish`."""

SQUARED_SHARE = 0.1
"""The squared error's weight at fidelity 0, of that at fidelity 1."""

STATISTICS_WEIGHT = 0.5
"""Of Wasserstein distortion, which takes half of what DISTS weighs in hdc's stages."""

SHOWN_QUALITY = 10
"""Quality index of the pictures in a sheet of samples."""

SHOWN_STEPS = (1, 4)


def diffuse_loss(model: Sampler, _: LPIPS, __: object, frozen: Teller) -> Loss:
    """Squared errors of the coarse estimate and of the denoiser's changes; always the same."""

    def loss(kept: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
        given, z = frozen.told(model, kept, generator)
        coarse = squared_error(given.coarse, z)
        time = random_time(z, generator)
        missed = denoising_error(model, given.detach(), z, time, generator)
        return coarse.mean() + missed.mean(), {
            "coarse": mean(coarse),
            "one_step": mean(missed, time == 1),
            "denoising": mean(missed, time < 1),
        }

    return loss


def finish_loss(model: Sampler, lpips: LPIPS, dists: DISTS, frozen: Teller) -> Loss:
    """What pictures of one step lose to the eye, and still the denoiser's error at all other times;
    all but the denoiser is frozen. Always the same."""

    def loss(x: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
        with torch.no_grad():
            given, z = frozen.told(model, frozen.kept(x).permute(0, 3, 1, 2), generator)
        some = max(1, round(SEEN * len(x)))
        first = given.some(some)
        noise = normal(z, tuple(z[:some].shape), generator)
        picture = frozen.vae.decode(model.sample(first, noise))
        shown, figures = picture_loss(lpips, dists, picture, x[:some], generator)
        time = random_time(z, generator, 0.0)
        missed = denoising_error(model, given, z, time, generator)
        return shown.mean() + missed.mean(), {**figures, "denoising": mean(missed)}

    return loss


def picture_loss(
    lpips: LPIPS, dists: DISTS, picture: Tensor, x: Tensor, generator: torch.Generator
) -> tuple[Tensor, Figures]:
    """What each picture, N x 3 x H x W, loses: hdc's weights at fidelity 0, but for Wasserstein
    distortion in the place of half of DISTS."""
    plain, figures = plain_loss(lpips, picture, x, generator)
    textures, more = texture_loss(dists, picture, x, generator)
    return plain + textures, figures | more


def plain_loss(
    lpips: LPIPS, picture: Tensor, x: Tensor, generator: torch.Generator
) -> tuple[Tensor, Figures]:
    """Of `picture_loss`, N, what LPIPS and the squared error say."""
    mse, seen = squared_error(picture, x), perceived(lpips, picture, x, generator)
    total = SQUARED_SHARE * MSE_WEIGHT * mse + LPIPS_WEIGHT[0] * seen
    return total, {"one_step_db": psnr(mse), "lpips": mean(seen)}


def texture_loss(
    dists: DISTS, picture: Tensor, x: Tensor, generator: torch.Generator
) -> tuple[Tensor, Figures]:
    """Of `picture_loss`, N, what DISTS and Wasserstein distortion say, which is on DISTS' maps of
    VGG and costs nothing more."""
    shown, wanted = turned(torch.cat([picture.clamp(-0.05, 1.05), x]), generator).chunk(2)
    with torch.no_grad():
        original = dists.features(wanted)
    maps = dists.features(shown)
    alike, statistics = dists.distance(maps, original), wasserstein(maps[1:5], original[1:5])
    total = 0.5 * DISTS_WEIGHT * alike + STATISTICS_WEIGHT * statistics
    return total, {"dists": mean(alike), "statistics": mean(statistics)}


def denoising_error(
    model: Sampler, given: Reconstructed, z: Tensor, time: Tensor, generator: torch.Generator
) -> Tensor:
    """Mean squared errors of the denoiser's change, N: those of the clean latents over the squared
    time, so that all times weigh about as much as they have left to say."""
    noise = model.sigma * normal(z, tuple(z.shape), generator)
    t = time[:, None, None, None]
    residual = z - given.coarse
    wanted = (2 - t) * residual - (1 - t) * noise
    change = model.denoiser((1 - t) * residual + t * noise, time, given)
    return squared_error(change, wanted)


def random_time(z: Tensor, generator: torch.Generator, at_start: float = AT_START) -> Tensor:
    """A time above 0 per sample, N, from one random number in even distances (systematic
    sampling); 1 in a part of each batch."""
    places = torch.arange(len(z), device=z.device) / len(z)
    part = 1 - (evenly(z, (1,), generator) + places) % 1
    return (part / (1 - at_start)).clamp(max=1)


def start_diffusion(
    path: Path | None, config: DiffusionConfig | None, _: Crops, frozen: object = None
) -> Diffusion:
    """The averaged diffusion of a checkpoint, or one with the trunk of hdc's landed weights."""
    if path is not None:
        return load_diffusion(path, config)
    return from_hdc(restore(weights.find(identify("hdc"))), config or DiffusionConfig())


def load_diffusion(checkpoint: Path, config: DiffusionConfig | None = None) -> Diffusion:
    """The averaged diffusion of a checkpoint of `diffuse` or `finish`."""
    model = Diffusion(config or DiffusionConfig())
    load_average(model, checkpoint)
    return model


def from_hdc(hdc: HdcModel, cfg: DiffusionConfig) -> Diffusion:
    """A diffusion whose trunk is hdc's synthesis at 1/16; raises RuntimeError if the sizes are not
    those of `hdc`."""
    model = Diffusion(cfg)
    coarse = hdc.lic.synthesis.coarse
    model.reconstruction.enter.load_state_dict(coarse[0].state_dict())
    model.reconstruction.blocks.load_state_dict(coarse[1].state_dict())
    return model


def diffusion_views(model: Diffusion, x: Tensor, frozen: Frozen) -> list[Tensor]:
    """A picture, N x 3 x H x W, at a low quality: hdc's base image, the coarse estimate, samples in
    one step and in four, and what the VAE makes of the original."""
    qindex = uniform(torch.tensor([SHOWN_QUALITY], device=x.device), x)
    both, count = frozen.encode(x), frozen.lic.cfg.latent
    y, z = both[:, :count], both[:, count:]
    decoded = frozen.decoded(y, qindex)
    given = model.reconstruction(decoded, qindex)
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(0)).to(z.device)
    samples = [model.sample(given, noise, steps) for steps in SHOWN_STEPS]
    pictures = [frozen.vae.decode(latents) for latents in (given.coarse, *samples, z)]
    return [frozen.lic.synthesis(decoded)[0], *pictures]
