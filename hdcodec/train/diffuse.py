"""The stage `diffuse` of the sprdiff family, in which a diffusion in the VAE's latents learns to
denoise and to sample; and what pictures of samples lose, by which the stage `finish` goes on."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hdcodec.models.latent.distortion import MSE_WEIGHT
from hdcodec.models.sprdiff.diffusion import Reconstructed, Sampler
from hdcodec.perceptual import DISTS, LPIPS, patterns, turned, wasserstein

from .coded import Coded
from .draws import normal
from .draws import uniform as evenly
from .figures import Figures, mean, psnr
from .loop import Loss
from .losses import PATTERN_WEIGHT
from .realism import DISTS_WEIGHT
from .terms import LPIPS_WEIGHT, perceived, squared_error

SQUARED_SHARE = 0.1
"""The squared error's weight at fidelity 0, of that at fidelity 1."""

STATISTICS_WEIGHT = 0.5
"""Of Wasserstein distortion."""


def diffuse_loss(model: Sampler, _: LPIPS, __: object, frozen: Coded) -> Loss:
    """Squared errors of the denoiser's changes, and what samples of one step lose; the same
    in every step."""

    def loss(kept: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
        given, z = frozen.told(kept, generator)
        missed = denoising_error(model, given, z, random_time(z, generator), generator)
        drawn, _, figures = sample_loss(model, given, z, generator)
        return missed.mean() + drawn.mean(), {
            "coarse": mean(squared_error(given.coarse, z)),
            "denoising": mean(missed),
            **figures,
        }

    return loss


def plain_loss(
    lpips: LPIPS, picture: Tensor, x: Tensor, generator: torch.Generator
) -> tuple[Tensor, Figures]:
    """What each picture, N x 3 x H x W, loses by LPIPS, the squared error and patterns, with hdc's
    weights at fidelity 0."""
    mse, seen = squared_error(picture, x), perceived(lpips, picture, x, generator)
    marks = patterns(picture, x)
    total = SQUARED_SHARE * MSE_WEIGHT * mse + LPIPS_WEIGHT[0] * seen + PATTERN_WEIGHT * marks
    return total, {"one_step_db": psnr(mse), "lpips": mean(seen), "patterns": mean(marks)}


def texture_loss(
    dists: DISTS, picture: Tensor, x: Tensor, generator: torch.Generator
) -> tuple[Tensor, Figures]:
    """What each loses by DISTS and Wasserstein distortion, which is on DISTS' maps of VGG and costs
    nothing more: it takes half of what DISTS weighs in hdc's stages."""
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


def sample_loss(
    model: Sampler, given: Reconstructed, z: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Figures]:
    """The energy score of samples of one step, N; the first of the two samples it takes, constant
    to the gradient; and figures: `near`, how far a sample is from the original's latents, and
    `apart`, from another sample, which is as far once samples are as likely as originals.

    How far samples are from the original less half of how far they are from each other is least for
    samples of the original's own distribution (a proper scoring rule, Gneiting and Raftery 2007);
    by the squared error alone it is least for their mean, whatever the noise.
    """
    noises = (normal(z, tuple(z.shape), generator) for _ in range(2))
    first, second = (model.sample(given, noise) for noise in noises)
    near = 0.5 * (distances(first, z) + distances(second, z))
    apart = distances(first, second)
    return near - 0.5 * apart, first.detach(), {"near": mean(near), "apart": mean(apart)}


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Root mean squared differences over the channels at each position and at each of half the
    grid, averaged: N."""
    apart = a - b
    both = (apart, F.avg_pool2d(apart, 2, ceil_mode=True))
    means = [(x.square().mean(1) + 1e-6).sqrt().mean((1, 2)) for x in both]
    return means[0] + means[1]


def random_time(z: Tensor, generator: torch.Generator) -> Tensor:
    """A time in (0, 1] per sample, N, from one random number in even distances (systematic
    sampling)."""
    places = torch.arange(len(z), device=z.device) / len(z)
    return 1 - (evenly(z, (1,), generator) + places) % 1
