"""Dense representative vectors (DRVs): extracted from the ground truth in training, sampled at the
decoder by small denoisers that see only what was decoded.

A DRV is a grid of tokens, one per 32 x 32 pixels (2 x 2 per 64-pixel tile), so a large picture is
as well described as a small one. There are two: the first enhances the LIC image, the second guides
the prediction of missing indices. The recipe is DiffIR's and HI-Diff's: predict the clean vector,
few deterministic steps, trained through the unrolled sampler.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdcodec.models.latent.blocks import Block, Patches, PixelHead, down
from hdcodec.models.latent.layers import Pointwise

from .config import Config

DENOISING_STEPS = 4


class DrvEncoder(nn.Module):
    """Truth and base image -> both DRVs, each N x drv x H/32 x W/32 in [-1, 1]. Training only."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.net = nn.Sequential(
            Patches(96, cin=6),
            Block(96),
            down(96, 128),
            Block(128),
            down(128, 128),
            Block(128),
            Pointwise(128, 2 * cfg.drv),
        )

    def forward(self, x: Tensor, base: Tensor) -> tuple[Tensor, Tensor]:
        """`x` and `base` N x 3 x H x W in [0, 1], sides multiples of 32."""
        first, second = torch.tanh(self.net(torch.cat([x, base], 1))).chunk(2, 1)
        return first, second


class Condition(nn.Module):
    """Synthesis features of the base image -> the denoisers' input, N x width x H/32 x W/32."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        w = cfg.denoiser_width
        self.net = nn.Sequential(down(cfg.detail_width, w), Block(w), down(w, w), Block(w))

    def forward(self, features: Tensor) -> Tensor:
        """`features` N x detail_width x H/8 x W/8."""
        c: Tensor = self.net(features)
        return c


class Denoiser(nn.Module):
    """Noisy tokens, condition and noise level -> estimate of the clean tokens."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        w = cfg.denoiser_width
        self.enter = Pointwise(cfg.drv + w + 1, w)
        self.blocks = nn.Sequential(Block(w), Block(w))
        self.leave = Pointwise(w, cfg.drv)

    def forward(self, tokens: Tensor, condition: Tensor, time: float) -> Tensor:
        """`tokens` N x drv x h x w, `condition` N x width x h x w, `time` in 0..1; returns
        N x drv x h x w in [-1, 1]."""
        level = torch.full_like(tokens[:, :1], time)
        x = self.enter(torch.cat([tokens, condition.to(tokens.dtype), level], 1))
        return torch.tanh(self.leave(self.blocks(x)))


def signal_level(time: float) -> float:
    """Cumulative alpha at time 0..1: 1 without noise, near 0 with noise alone; quadratic."""
    return max(1e-3, (1.0 - time) ** 2)


def sample(denoiser: Denoiser, condition: Tensor, noise: Tensor, steps: int) -> Tensor:
    """Tokens from noise in `steps` deterministic steps (DDIM, eta = 0, clean-token prediction)."""
    tokens = noise
    clean = noise
    for k in range(steps, 0, -1):
        now, then = signal_level(k / steps), signal_level((k - 1) / steps)
        clean = denoiser(tokens, condition, k / steps).float()
        residue = (tokens - now**0.5 * clean) / (1 - now) ** 0.5
        tokens = then**0.5 * clean + (1 - then) ** 0.5 * residue if k > 1 else clean
    return clean


class Enhancer(nn.Module):
    """Base image, its synthesis features and the first DRV -> the faithful LIC image."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        w = cfg.detail_width
        self.modulate = nn.ModuleList(Pointwise(cfg.drv, 2 * w) for _ in range(4))
        for layer in self.modulate:
            with torch.no_grad():
                layer.weight.mul_(0.2)  # type: ignore[operator]
        self.blocks = nn.ModuleList(Block(w) for _ in range(4))
        self.head = PixelHead(w, zero=True)

    def forward(self, base: Tensor, features: Tensor, drv: Tensor) -> Tensor:
        """`base` N x 3 x H x W, `features` N x detail_width x H/8 x W/8, `drv` N x drv x H/32 x
        W/32; returns N x 3 x H x W, not clipped."""
        x = features
        for modulate, block in zip(self.modulate, self.blocks, strict=True):
            affine = F.interpolate(
                modulate(drv), scale_factor=4, mode="bilinear", align_corners=False
            )
            scale, shift = affine.chunk(2, 1)
            x = block(x, scale, shift)
        picture: Tensor = base + self.head(x)
        return picture
