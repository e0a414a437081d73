"""Latents into bits: gains, a hyperprior, a four-part context; for the float side of any family.

Gaussian conditional entropy model with a mean and scale per latent (Minnen et al. 2018); the
four-part context visits the 2x2 positions of each of four channel groups in a different order
(after DCVC-FM/GLC); one set of weights serves all rates by per-level gain vectors.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
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

from .blocks import Block, down
from .fixed import FixedNet, Layer, mixer
from .layers import Pointwise
from .qualities import QUALITIES, STRIDE

_EMBEDDING = 128
"""Channels of the hyper-analysis, and of what says the quality to it."""

_ENTRY = 192
"""Channels where hyper-latents enter."""

LEAST_LOG_SCALE = LOG_SCALE_MIN / 2**FRACTION_BITS
"""Logarithm of the scale of the smallest table."""

_LOG_SCALE = (math.log(0.004), (LOG_SCALE_MIN + SCALE_STEP * (SCALES - 1)) / 2**FRACTION_BITS)


class CodingSizes(NamedTuple):
    """Channels of latents, hyper-latents and what these say of the latents; levels of quality; and
    `cells`, latents along a side of a tile of 64 pixels, which has one hyper-latent: 4 or 2."""

    latent: int
    hyper: int
    context: int
    levels: int
    cells: int


class CodedBatch(NamedTuple):
    """Training view of a coded batch: decoded latents, hyper features, bits of each tile of 64 x 64
    pixels, N x H/64 x W/64."""

    latent: Tensor
    hyper: Tensor
    y_bits: Tensor
    z_bits: Tensor


def interpolate(levels: Tensor, qindex: Tensor) -> Tensor:
    """Rows of `levels` (L x C) at quality indices 0..200 (N x h x w), linearly between levels:
    N x C x h x w."""
    position = qindex.to(levels.dtype) * ((levels.shape[0] - 1) / (QUALITIES - 1))
    low = position.floor().clamp(max=levels.shape[0] - 2).long()
    part = (position - low).unsqueeze(-1)
    return (levels[low] * (1 - part) + levels[low + 1] * part).permute(0, 3, 1, 2)


def spread(tiles: Tensor, cells: int) -> Tensor:
    """What holds for tiles of 64 x 64 pixels, N x C x h x w, for each of `cells` x `cells` places
    in them, by default at 1/16: N x C x (h cells) x (w cells)."""
    return F.interpolate(tiles, scale_factor=float(cells), mode="nearest")


def uniform(qindex: Tensor, x: Tensor) -> Tensor:
    """One quality index for each of N pictures x, as one for each of their tiles: N x h x w."""
    return qindex[:, None, None].expand(-1, x.shape[2] // STRIDE, x.shape[3] // STRIDE)


class HyperAnalysis(nn.Module):
    """Gained latents and the levels' embeddings -> hyper-latents, one per tile."""

    def __init__(self, sizes: CodingSizes) -> None:
        super().__init__()
        self.enter = Pointwise(sizes.latent, _EMBEDDING)
        layers: list[nn.Module] = [Block(_EMBEDDING)]
        for _ in halvings(sizes.cells):
            layers += [down(_EMBEDDING, _EMBEDDING), Block(_EMBEDDING)]
        self.net = nn.Sequential(*layers, Pointwise(_EMBEDDING, sizes.hyper))

    def forward(self, y: Tensor, embedding: Tensor) -> Tensor:
        """`y` N x latent x h x w, `embedding` N x 128 x h x w -> N x hyper x h/cells x w/cells."""
        z: Tensor = self.net(self.enter(y) + embedding)
        return z


def halvings(cells: int) -> range:
    """One number for each halving between the latents' grid and the tiles'."""
    return range(cells.bit_length() - 1)


class EntropyNets(nn.Module):
    """Float twins of the integer networks that foretell latents."""

    def __init__(self, sizes: CodingSizes) -> None:
        super().__init__()
        c = sizes.context
        self.hyper_in = FixedNet([Layer("pw", sizes.hyper, _ENTRY)])
        self.hyper = FixedNet(enlarging(c, sizes.cells))
        self.parts = nn.ModuleList(
            FixedNet(mixer(c + (sizes.latent if p else 0), 160, 2 * sizes.latent)) for p in range(4)
        )
        self.quality = nn.Parameter(torch.zeros(sizes.levels, _ENTRY))
        self.z_log_scale = nn.Parameter(torch.zeros(sizes.levels, sizes.hyper))

    @torch.no_grad()
    def begin(self, log_scale: float) -> None:
        """Foretell untrained latents with scales of about this logarithm in place of 0."""
        for net in self.parts:
            *_, last = net.parameters()  # the biases of the last layer: means, then log scales
            last[len(last) // 2 :] = log_scale

    def hyper_features(self, z: Tensor, qindex: Tensor) -> Tensor:
        """Rounded hyper-latents -> N x context on the latents' grid."""
        h = self.hyper_in(z) + interpolate(self.quality, qindex)
        y: Tensor = self.hyper(h.clamp(min=0))
        return y


def enlarging(context: int, cells: int) -> list[Layer]:
    """Layers from the tiles' grid to that of the latents, `cells` times as fine."""
    layers, width, steps = list[Layer](), _ENTRY, halvings(cells)
    for k in steps:
        wide = 4 * context if k == steps[-1] else 2 * width
        layers += [
            Layer("dw", width, width),
            Layer("pw", width, wide, relu=True),
            Layer("up", wide, wide // 4),
        ]
        width = wide // 4
    return [*layers, Layer("dw", width, width), Layer("pw", width, width, relu=True)]


class LatentCoding(nn.Module):
    """What codes latents at some stride and is told a quality index 0..200 for each tile of 64 x 64
    pixels, N x H/64 x W/64. A subclass makes the latents and these parts, in its own order."""

    cells: int
    pattern: Tensor
    hyper_analysis: HyperAnalysis
    entropy: EntropyNets
    log_gain: nn.Parameter
    level: nn.Parameter

    def gain(self, qindex: Tensor) -> Tensor:
        """The factor on the latents before rounding, in their shape."""
        return spread(interpolate(self.log_gain, qindex).exp(), self.cells)

    def hyper(self, y: Tensor, qindex: Tensor) -> Tensor:
        """Gained latents -> hyper-latents, unrounded."""
        z: Tensor = self.hyper_analysis(y, spread(interpolate(self.level, qindex), self.cells))
        return z

    def z_scale(self, qindex: Tensor) -> Tensor:
        """Log scales of hyper-latents, in their shape."""
        return interpolate(self.entropy.z_log_scale, qindex)

    def coded(self, y: Tensor, qindex: Tensor) -> CodedBatch:
        """Gained latents, unrounded -> what the bitstream would hold, rounding with gradients that
        go straight through in the latents, and by noise in the bits."""
        z = self.hyper(y, qindex)
        y, z = y.float().clamp(-SYMBOL_MAX, SYMBOL_MAX), z.float().clamp(-SYMBOL_MAX, SYMBOL_MAX)
        z_bits = gaussian_bits(noisy(z), self.z_scale(qindex))
        hyper = self.entropy.hyper_features(rounded(z), qindex)
        latent, mean, log_scale = self.parts(y, hyper)
        y_bits = gaussian_bits(noisy(y - mean), log_scale)
        return CodedBatch(latent, hyper, self._in_tiles(y_bits), z_bits.sum(1))

    def written(self, y: Tensor, qindex: Tensor) -> CodedBatch:
        """Gained latents -> what a file holds of them, rounded, with the bits of the symbols; those
        that the file leaves out, for which the smallest table is too wide, are at their means."""
        z, z_scale = self.hyper(y, qindex).float(), self.z_scale(qindex)
        z = z.clamp(-SYMBOL_MAX, SYMBOL_MAX).round() * (z_scale > LEAST_LOG_SCALE)
        z_bits = gaussian_bits(z, z_scale) * (z_scale > LEAST_LOG_SCALE)
        hyper = self.entropy.hyper_features(z, qindex)
        limited = y.float().clamp(-SYMBOL_MAX, SYMBOL_MAX)
        latent, mean, log_scale = self.parts(limited, hyper, silent=True)
        y_bits = gaussian_bits(latent - mean, log_scale) * (log_scale > LEAST_LOG_SCALE)
        return CodedBatch(latent, hyper, self._in_tiles(y_bits), z_bits.sum(1))

    def _in_tiles(self, bits: Tensor) -> Tensor:
        """Bits of latents, in their shape -> of tiles, N x H/64 x W/64."""
        return F.avg_pool2d(bits.sum(1, keepdim=True), self.cells)[:, 0] * self.cells**2

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


class LatentModel(nn.Module, ABC):
    """All networks of a family that codes latents."""

    @property
    @abstractmethod
    def coding(self) -> LatentCoding:
        """What codes latents."""

    @abstractmethod
    def analysed(self, x: Tensor) -> Tensor:
        """Pixels N x 3 x H x W in [0, 1], sides multiples of 64 -> latents before gain, N x latent
        x h x w."""


def pattern_of(latent: int) -> Tensor:
    """Which latents of 2 x 2 positions each part holds: bool 4 x latent x 2 x 2."""
    return torch.stack([torch.from_numpy(part_mask(p, latent, 2, 2)) for p in range(4)])


def gains(sizes: CodingSizes, lowest: float, highest: float) -> nn.Parameter:
    """Logarithms of gains, levels x latent, that grow evenly from the first level to the last."""
    first, step = math.log(lowest), math.log(highest / lowest) / max(1, sizes.levels - 1)
    rows = [[first + k * step] * sizes.latent for k in range(sizes.levels)]
    return nn.Parameter(torch.tensor(rows))


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
