"""The LIC stream: analysis, coding of its latents, synthesis."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import Patches, PixelHead, down, stack, up
from .coding import (
    CodedBatch,
    CodingSizes,
    EntropyNets,
    HyperAnalysis,
    LatentCoding,
    gains,
    pattern_of,
)
from .config import HYPER_STRIDE, QUALITIES, STRIDE, Config
from .layers import Pointwise

LAMBDA = (0.0035, 1.5)
"""Bits per pixel against distortion at the lowest and the highest quality."""

MSE_WEIGHT = 150.0
"""Weight of the squared error on [0, 1] beside LPIPS (the No-GAN baseline of MS-ILLM)."""


def trade_off(qindex: Tensor, ends: tuple[float, float] = LAMBDA) -> Tensor:
    """The factor on distortion for quality indices 0..200, exponential between its `ends`."""
    low, high = (math.log(v) for v in ends)
    return (low + (high - low) * qindex / (QUALITIES - 1)).exp()


def common(factors: Tensor) -> tuple[Tensor, Tensor]:
    """Factors of tiles, N x h x w, as one of each picture, N, their geometric mean, and what each
    is of that."""
    whole = factors.log().mean((1, 2)).exp()
    return whole, factors / whole[:, None, None]


class _Weighed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, picture: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return picture.view_as(picture)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (weight,) = ctx.saved_tensors
        return grad * weight.to(grad.dtype), None


def weighed(picture: Tensor, relative: Tensor) -> Tensor:
    """The picture, N x 3 x H x W, whose gradient counts in each tile as much as `relative` says,
    N x H/64 x W/64: so whatever is asked of it follows a map of qualities, although LPIPS and DISTS
    see pictures as wholes."""
    weight = F.interpolate(relative[:, None].float(), scale_factor=float(STRIDE), mode="nearest")
    weighed_picture: Tensor = _Weighed.apply(picture, weight)  # type: ignore[no-untyped-call]
    return weighed_picture


class LicOutput(NamedTuple):
    """Training view of the LIC stream; `base` N x 3 x H x W."""

    base: Tensor
    features: Tensor
    coded: CodedBatch


def uniform(qindex: Tensor, x: Tensor) -> Tensor:
    """One quality index for each of N pictures x, as one for each of their tiles: N x h x w."""
    return qindex[:, None, None].expand(-1, x.shape[2] // STRIDE, x.shape[3] // STRIDE)


class Analysis(nn.Module):
    """Pixels -> latents before gain, N x latent x H/16 x W/16."""

    def __init__(self, latent: int, width: int, depth: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            Patches(width),
            stack(width, depth),
            down(width, width + 64),
            stack(width + 64, depth),
            Pointwise(width + 64, latent),
        )

    def features(self, x: Tensor) -> Tensor:
        """What the latents are made from: N x (width + 64) x H/16 x W/16."""
        y: Tensor = self.net[:-1](x)
        return y

    @property
    def last(self) -> Pointwise:
        """The layer that makes them."""
        return cast(Pointwise, self.net[-1])

    def forward(self, x: Tensor) -> Tensor:
        """`x` N x 3 x H x W in [0, 1], sides multiples of 16."""
        y: Tensor = self.net(x)
        return y


class Synthesis(nn.Module):
    """Latents (gain removed) -> base image in [0, 1] and the features it was made from (1/8).

    `width` and `depth` are those of the blocks at 1/16, `detail` those of the blocks at 1/8.
    """

    def __init__(
        self, latent: int, width: int, depth: int, detail: tuple[int, int], head_depth: int
    ) -> None:
        super().__init__()
        self.coarse = nn.Sequential(
            Pointwise(latent, width), stack(width, depth), up(width, detail[0])
        )
        self.detail = stack(*detail)
        self.head = PixelHead(detail[0], depth=head_depth)

    def trunk(self, y: Tensor) -> Tensor:
        """`y` N x latent x h x w -> the features of the blocks at 1/16, N x width x h x w."""
        features: Tensor = self.coarse[:2](y)
        return features

    def detailed(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """What `trunk` gives -> what `forward` gives."""
        eighth = self.detail(self.coarse[2](features))
        return self.head(eighth) + 0.5, eighth

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """`y` N x latent x h x w -> base N x 3 x 16h x 16w, not clipped, and features N x
        channels x 2h x 2w."""
        features = self.detail(self.coarse(y))
        return self.head(features) + 0.5, features


class Lic(LatentCoding):
    """The whole LIC stream as it is trained. A quality index 0..200 belongs to each tile of 64 x 64
    pixels: `qindex` is N x H/64 x W/64."""

    cells = HYPER_STRIDE

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.cfg = cfg
        sizes = CodingSizes(cfg.latent, cfg.hyper, cfg.context, cfg.levels)
        self.register_buffer("pattern", pattern_of(cfg.latent), persistent=False)
        self.analysis = Analysis(cfg.latent, cfg.analysis_width, cfg.analysis_depth)
        self.hyper_analysis = HyperAnalysis(sizes)
        self.synthesis = Synthesis(
            cfg.latent,
            cfg.synthesis_width,
            cfg.synthesis_depth,
            (cfg.detail_width, cfg.detail_depth),
            cfg.head_depth,
        )
        self.entropy = EntropyNets(sizes)
        self.log_gain = gains(sizes, 0.6, 6.0)
        self.level = nn.Parameter(torch.zeros(cfg.levels, 128))

    def encode(self, x: Tensor, qindex: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels in [0, 1], sides multiples of 64 -> y (gained) and z, both unrounded."""
        y = self.analysis(x) * self.gain(qindex)
        return y, self.hyper(y, qindex)

    def decode(self, latent: Tensor, qindex: Tensor) -> tuple[Tensor, Tensor]:
        """Decoded latents (gained) -> base image and features."""
        base, features = self.synthesis(latent / self.gain(qindex))
        return base, features

    def forward(self, x: Tensor, qindex: Tensor) -> LicOutput:
        """`x` N x 3 x H x W in [0, 1], sides multiples of 64."""
        coded = self.code(x, qindex)
        return LicOutput(*self.decode(coded.latent, qindex), coded)

    def code(self, x: Tensor, qindex: Tensor) -> CodedBatch:
        """Pixels in [0, 1] -> what the bitstream would hold (see `coded`)."""
        return self.coded(self.analysis(x) * self.gain(qindex), qindex)
