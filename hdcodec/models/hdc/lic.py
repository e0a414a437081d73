"""The LIC stream: analysis, hyperprior, four-part context model, synthesis.

Gaussian conditional entropy model with a mean and scale per latent (Minnen et al. 2018); the
four-part context visits the 2x2 positions of each of four channel groups in a different order
(after DCVC-FM/GLC); one set of weights serves all rates by per-level gain vectors.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdcodec.entropy.fixedpoint import (
    FRACTION_BITS,
    LOG_SCALE_MIN,
    SCALE_STEP,
    SCALES,
    SYMBOL_MAX,
)
from hdcodec.entropy.order import part_mask

from .blocks import Block, Patches, PixelHead, down, stack, up
from .config import HYPER_STRIDE, QUALITIES, STRIDE, Config
from .fixed import FixedNet, Layer, mixer
from .layers import Pointwise

LEAST_LOG_SCALE = LOG_SCALE_MIN / 2**FRACTION_BITS
"""Logarithm of the scale of the smallest table."""

_LOG_SCALE = (math.log(0.004), (LOG_SCALE_MIN + SCALE_STEP * (SCALES - 1)) / 2**FRACTION_BITS)

LAMBDA = (0.0035, 1.5)
"""Bits per pixel against distortion at the lowest and the highest quality."""

MSE_WEIGHT = 150.0
"""Weight of the squared error on [0, 1] beside LPIPS (the No-GAN baseline of MS-ILLM)."""


def trade_off(qindex: Tensor) -> Tensor:
    """The factor on distortion for quality indices 0..200, exponential in quality."""
    low, high = (math.log(v) for v in LAMBDA)
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


class CodedBatch(NamedTuple):
    """Training view of a coded batch: decoded latents, hyper features, bits of each tile of 64 x 64
    pixels, N x H/64 x W/64."""

    latent: Tensor
    hyper: Tensor
    y_bits: Tensor
    z_bits: Tensor


class LicOutput(NamedTuple):
    """Training view of the LIC stream; `base` N x 3 x H x W."""

    base: Tensor
    features: Tensor
    coded: CodedBatch


def interpolate(levels: Tensor, qindex: Tensor) -> Tensor:
    """Rows of `levels` (L x C) at quality indices 0..200 (N x h x w), linearly between levels:
    N x C x h x w."""
    position = qindex.to(levels.dtype) * ((levels.shape[0] - 1) / (QUALITIES - 1))
    low = position.floor().clamp(max=levels.shape[0] - 2).long()
    part = (position - low).unsqueeze(-1)
    return (levels[low] * (1 - part) + levels[low + 1] * part).permute(0, 3, 1, 2)


def spread(tiles: Tensor) -> Tensor:
    """What holds for tiles of 64 x 64 pixels, N x C x h x w, at 1/16: N x C x 4h x 4w."""
    return F.interpolate(tiles, scale_factor=float(HYPER_STRIDE), mode="nearest")


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

    def forward(self, x: Tensor) -> Tensor:
        """`x` N x 3 x H x W in [0, 1], sides multiples of 16."""
        y: Tensor = self.net(x)
        return y


class HyperAnalysis(nn.Module):
    """Gained latents and the levels' embeddings -> hyper-latents, N x hyper x H/64 x W/64."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.enter = Pointwise(cfg.latent, 128)
        self.net = nn.Sequential(
            Block(128),
            down(128, 128),
            Block(128),
            down(128, 128),
            Block(128),
            Pointwise(128, cfg.hyper),
        )

    def forward(self, y: Tensor, embedding: Tensor) -> Tensor:
        """`y` N x latent x H/16 x W/16, `embedding` N x 128 x H/16 x W/16."""
        z: Tensor = self.net(self.enter(y) + embedding)
        return z


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

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """`y` N x latent x h x w -> base N x 3 x 16h x 16w, not clipped, and features N x
        channels x 2h x 2w."""
        features = self.detail(self.coarse(y))
        return self.head(features) + 0.5, features


class EntropyNets(nn.Module):
    """Float twins of the integer networks of the LIC stream."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        c = cfg.context
        self.hyper_in = FixedNet([Layer("pw", cfg.hyper, 192)])
        self.hyper = FixedNet(
            [
                Layer("dw", 192, 192),
                Layer("pw", 192, 384, relu=True),
                Layer("up", 384, 96),
                Layer("dw", 96, 96),
                Layer("pw", 96, 4 * c, relu=True),
                Layer("up", 4 * c, c),
                Layer("dw", c, c),
                Layer("pw", c, c, relu=True),
            ]
        )
        self.parts = nn.ModuleList(
            FixedNet(mixer(c + (cfg.latent if p else 0), 160, 2 * cfg.latent)) for p in range(4)
        )
        self.quality = nn.Parameter(torch.zeros(cfg.levels, 192))
        self.z_log_scale = nn.Parameter(torch.zeros(cfg.levels, cfg.hyper))

    def hyper_features(self, z: Tensor, qindex: Tensor) -> Tensor:
        """Rounded hyper-latents -> N x context x H/16 x W/16."""
        h = self.hyper_in(z) + interpolate(self.quality, qindex)
        y: Tensor = self.hyper(h.clamp(min=0))
        return y


class Lic(nn.Module):
    """The whole LIC stream as it is trained. A quality index 0..200 belongs to each tile of 64 x 64
    pixels: `qindex` is N x H/64 x W/64."""

    pattern: Tensor

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.cfg = cfg
        parts = [torch.from_numpy(part_mask(p, cfg.latent, 2, 2)) for p in range(4)]
        self.register_buffer("pattern", torch.stack(parts), persistent=False)
        self.analysis = Analysis(cfg.latent, cfg.analysis_width, cfg.analysis_depth)
        self.hyper_analysis = HyperAnalysis(cfg)
        self.synthesis = Synthesis(
            cfg.latent,
            cfg.synthesis_width,
            cfg.synthesis_depth,
            (cfg.detail_width, cfg.detail_depth),
            cfg.head_depth,
        )
        self.entropy = EntropyNets(cfg)
        spread = [math.log(0.6 * 10 ** (k / (cfg.levels - 1))) for k in range(cfg.levels)]
        self.log_gain = nn.Parameter(torch.tensor([[gain] * cfg.latent for gain in spread]))
        self.level = nn.Parameter(torch.zeros(cfg.levels, 128))

    def gain(self, qindex: Tensor) -> Tensor:
        """N x latent x H/16 x W/16, the factor on the latents before rounding."""
        return spread(interpolate(self.log_gain, qindex).exp())

    def encode(self, x: Tensor, qindex: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels in [0, 1], sides multiples of 64 -> y (gained) and z, both unrounded."""
        y = self.analysis(x) * self.gain(qindex)
        return y, self.hyper(y, qindex)

    def hyper(self, y: Tensor, qindex: Tensor) -> Tensor:
        """Gained latents -> hyper-latents, unrounded."""
        z: Tensor = self.hyper_analysis(y, spread(interpolate(self.level, qindex)))
        return z

    def z_scale(self, qindex: Tensor) -> Tensor:
        """Log scales of hyper-latents, in their shape."""
        return interpolate(self.entropy.z_log_scale, qindex)

    def decode(self, latent: Tensor, qindex: Tensor) -> tuple[Tensor, Tensor]:
        """Decoded latents (gained) -> base image and features."""
        base, features = self.synthesis(latent / self.gain(qindex))
        return base, features

    def forward(self, x: Tensor, qindex: Tensor) -> LicOutput:
        """`x` N x 3 x H x W in [0, 1], sides multiples of 64."""
        coded = self.code(x, qindex)
        return LicOutput(*self.decode(coded.latent, qindex), coded)

    def code(self, x: Tensor, qindex: Tensor) -> CodedBatch:
        """Pixels in [0, 1] -> what the bitstream would hold, rounding with straight-through
        gradients in the latents and by noise in the bits."""
        y, z = self.encode(x, qindex)
        y, z = y.float().clamp(-SYMBOL_MAX, SYMBOL_MAX), z.float().clamp(-SYMBOL_MAX, SYMBOL_MAX)
        z_bits = gaussian_bits(noisy(z), self.z_scale(qindex))
        hyper = self.entropy.hyper_features(rounded(z), qindex)
        latent, mean, log_scale = self.parts(y, hyper)
        y_bits = gaussian_bits(noisy(y - mean), log_scale)
        in_tiles = F.avg_pool2d(y_bits.sum(1, keepdim=True), HYPER_STRIDE)[:, 0] * HYPER_STRIDE**2
        return CodedBatch(latent, hyper, in_tiles, z_bits.sum(1))

    def parts(
        self, y: Tensor, hyper: Tensor, silent: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gained latents -> decoded ones (gradients straight through), means and log scales.

        With `silent`, those whose symbols the file leaves out are their means, wherever y is.
        """
        latent = torch.zeros_like(y)
        mean, log_scale = torch.zeros_like(y), torch.zeros_like(y)
        masks = self.pattern.repeat(1, 1, y.shape[2] // 2, y.shape[3] // 2)
        for p, (net, mask) in enumerate(zip(self.entropy.parts, masks, strict=True)):
            known = torch.cat([hyper, latent.to(hyper.dtype)], 1) if p else hyper
            m, s = net(known).float().chunk(2, 1)
            mean, log_scale = torch.where(mask, m, mean), torch.where(mask, s, log_scale)
            value = (rounded(y - m) + m).clamp(-SYMBOL_MAX, SYMBOL_MAX)
            value = torch.where(s <= LEAST_LOG_SCALE, m, value) if silent else value
            latent = torch.where(mask, value, latent)
        return latent, mean, log_scale


def rounded(x: Tensor) -> Tensor:
    """Round with the identity as gradient (straight-through)."""
    return x + (x.round() - x).detach()


def noisy(x: Tensor) -> Tensor:
    """Uniform noise of one quantisation step in place of rounding (Balle et al. 2017)."""
    return x + torch.empty_like(x).uniform_(-0.5, 0.5)


class _LowerBound(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: float) -> Tensor:
        ctx.save_for_backward(x >= bound)
        return x.clamp(min=bound)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (inside,) = ctx.saved_tensors
        return torch.where(inside | (grad < 0), grad, torch.zeros_like(grad)), None


def lower_bound(x: Tensor, bound: float) -> Tensor:
    """max(x, bound) whose gradient still passes where it would raise x."""
    y: Tensor = _LowerBound.apply(x, bound)  # type: ignore[no-untyped-call]
    return y


def gaussian_bits(symbol: Tensor, log_scale: Tensor) -> Tensor:
    """Bits of zero-mean symbols under a Gaussian integrated over one step; same shape.

    Scales may fall far below the smallest table's: with uniform noise in place of rounding, a
    latent that is surely zero costs 1.4 bits times its scale, which at the table's 0.11 would come
    to more than all the information in a file of 0.02 bpp.
    """
    low, high = _LOG_SCALE
    scale = lower_bound(log_scale, low).clamp(max=high).exp()
    inverse = 1 / (scale * math.sqrt(2.0))
    size = symbol.abs()
    p = 0.5 * (torch.erfc((size - 0.5) * inverse) - torch.erfc((size + 0.5) * inverse))
    return -torch.log2(lower_bound(p, 2.0**-24))
