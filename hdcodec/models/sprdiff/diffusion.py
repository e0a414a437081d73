"""A diffusion in the VAE's latents, conditioned on what a file says of them.

The codec makes a coarse estimate of these latents by regression, whose answer to what the file does
not say is a mean. The diffusion goes from this estimate plus noise to a sample, on a straight
line (as ResShift, Yue et al. 2023, whose noisy end is the degraded picture, and as flow matching,
Lipman et al. 2023, from a Gaussian around the estimate): so a single step is a small one, and
what is left to draw is only what the file leaves open.

There is no attention: at 1/32 the depthwise convolutions of the middle see 9 x 9 positions, more
than a training crop has, and CoD-Lite found none to be needed for one step.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdcodec.models.latent.blocks import Block, down, up
from hdcodec.models.latent.coding import interpolate
from hdcodec.models.latent.layers import Pointwise
from hdcodec.models.noise import noise

from .config import DiffusionConfig

SIGMA = 0.7
"""Deviation of the noise at the start, where latents have deviation 1: about that of what the
coarse estimate misses, so that noise and sample are of one size and a step has little to scale."""

FREQUENCIES = 16
"""How many sines, and how many cosines, tell the denoiser the time."""

STEPS = 1
"""Steps of a sample unless asked for more."""


class Reconstructed(NamedTuple):
    """What the file says of a picture, at 1/16: the coarse estimate N x latent x h x w, features
    N x trunk_width x h x w; and the quality indices 0..200 of its tiles, N x h/4 x w/4."""

    coarse: Tensor
    features: Tensor
    qindex: Tensor

    def detach(self) -> Reconstructed:
        """The same, constants to the gradient."""
        return Reconstructed(self.coarse.detach(), self.features.detach(), self.qindex)


class Modulated(nn.Module):
    """Blocks in a row whose features an embedding scales and shifts (FiLM, Perez et al. 2018), not
    at all before it is trained."""

    def __init__(self, channels: int, depth: int, embedding: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(channels) for _ in range(depth))
        self.films = nn.ModuleList(zeroed(Pointwise(embedding, 2 * channels)) for _ in range(depth))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """`x` N x channels x h x w, `embedding` N x embedding x h/s x w/s -> the shape of `x`."""
        factor = float(x.shape[2] // embedding.shape[2])
        for block, film in zip(self.blocks, self.films, strict=True):
            affine = F.interpolate(film(embedding), scale_factor=factor, mode="nearest")
            x = block(x, *affine.chunk(2, 1))
        return x


class LatentDenoiser(nn.Module):
    """A U-Net on the latents' grid and half of it: how far noisy latents are from clean ones."""

    def __init__(self, cfg: DiffusionConfig) -> None:
        super().__init__()
        w, deep, e = cfg.width, cfg.deep_width, cfg.embedding
        self.time = nn.Sequential(Pointwise(2 * FREQUENCIES, e), nn.LeakyReLU(0.1), Pointwise(e, e))
        self.quality = nn.Parameter(torch.zeros(cfg.levels, e))
        self.enter = Pointwise(2 * cfg.latent + cfg.trunk_width, w)
        self.first = Modulated(w, cfg.depth, e)
        self.down, self.up = down(w, deep), up(deep, w)
        self.middle = Modulated(deep, cfg.deep_depth, e)
        self.last = Modulated(w, cfg.depth, e)
        self.leave = zeroed(Pointwise(w, cfg.latent))

    def forward(self, offset: Tensor, time: Tensor, given: Reconstructed) -> Tensor:
        """`offset` N x latent x h x w, noisy latents less the coarse estimate; `time` N in 0..1 ->
        N x latent x h x w, float32 (see `Sampler.clean`)."""
        told = self.time(waves(time)[:, :, None, None]) + interpolate(self.quality, given.qindex)
        seen = [offset, given.coarse, given.features.to(offset.dtype)]
        x = self.first(self.enter(torch.cat(seen, 1)), told)
        x = x + self.up(self.middle(self.down(x), told))
        change: Tensor = self.leave(self.last(x, told)).float()
        return change


class Sampler(nn.Module):
    """Draws samples with the denoiser. Times run from 1, the coarse estimate plus noise of
    deviation `sigma`, to 0, the VAE's latents of a picture."""

    sigma: Tensor

    def __init__(self, cfg: DiffusionConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.denoiser = LatentDenoiser(cfg)
        self.register_buffer("sigma", torch.tensor(SIGMA))

    def clean(self, noisy: Tensor, time: Tensor, given: Reconstructed) -> Tensor:
        """The estimate of the clean latents behind `noisy` ones, N x latent x h x w, at `time` N.

        The network gives it as a change, times the time, of a point between the coarse estimate, at
        the start, and `noisy`, at the end: whatever the time, what it has to give is of one size,
        and an untrained one gives the coarse estimate in a single step.
        """
        offset, t = noisy - given.coarse, time[:, None, None, None]
        change: Tensor = self.denoiser(offset, time, given)
        return given.coarse + (1 - t) * offset + t * change

    def sample(self, given: Reconstructed, noise: Tensor, steps: int = STEPS) -> Tensor:
        """VAE latents N x latent x h x w from `noise` of deviation 1 in that shape, in equal steps
        along straight lines (Euler's method)."""
        x = clean = given.coarse + self.sigma * noise
        for k in range(steps, 0, -1):
            clean = self.clean(x, x.new_full((len(x),), k / steps), given)
            x = clean + (k - 1) / k * (x - clean)
        return clean


def noise_of(latents: Tensor, seed: int = 0) -> Tensor:
    """Nearly normal numbers in the shape of `latents`, 1 x C x h x w, float32; the same everywhere
    for a seed 0, 1, ... (see `hdcodec.models.noise`)."""
    count, height, width = latents.shape[1:]
    numbers = noise(height, width, count, seed * count)
    return torch.from_numpy(numbers).permute(2, 0, 1)[None].to(latents.device)


def waves(time: Tensor) -> Tensor:
    """Times N in 0..1 as sines and cosines of octaves and their parts: N x 2 FREQUENCIES."""
    rate = 2 ** torch.linspace(-1, 5, FREQUENCIES, device=time.device)
    angle = time[:, None] * rate * torch.pi
    return torch.cat([angle.sin(), angle.cos()], 1)


def zeroed(layer: Pointwise) -> Pointwise:
    """The layer with weights of 0: before it is trained it gives nothing but zeros."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
