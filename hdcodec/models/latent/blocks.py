"""The convolution blocks every float network here is made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import Pointwise, Shuffle, Unshuffle


class Block(nn.Module):
    """Depth-conv block: N x C x H x W -> the same shape (after DCVC's depth-conv block).

    A depthwise 3x3 mixer between two 1x1 convolutions, then a gated 1x1 feed-forward part,
    each with a skip connection. `scale`/`shift` modulate the features in between (feature-wise
    affine conditioning); both are N x C x H x W or broadcastable to it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = Pointwise(channels, channels)
        self.depth = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.leave = Pointwise(channels, channels)
        self.widen = Pointwise(channels, 2 * channels)
        self.narrow = Pointwise(2 * channels, channels)
        self._scale(0.2)

    def pass_on(self) -> None:
        """Begin as the identity, to be added to networks that are trained."""
        self._scale(0.0)

    @torch.no_grad()
    def _scale(self, factor: float) -> None:
        for last in (self.leave, self.narrow):
            last.weight.mul_(factor)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(
        self, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None
    ) -> Tensor:
        """N x channels x H x W -> the same shape."""
        x = x + self.leave(self.depth(F.leaky_relu(self.enter(x), 0.1)))
        if scale is not None and shift is not None:
            x = x + x * scale + shift
        y: Tensor = x + self.narrow(F.leaky_relu(self.widen(x), 0.1))
        return y


def stack(channels: int, depth: int) -> nn.Sequential:
    """`depth` blocks in a row."""
    return nn.Sequential(*(Block(channels) for _ in range(depth)))


def down(cin: int, cout: int) -> nn.Module:
    """Half the resolution by pixel-unshuffle and a 1x1 convolution."""
    return nn.Sequential(Unshuffle(2), Pointwise(4 * cin, cout))


def up(cin: int, cout: int) -> nn.Module:
    """Twice the resolution by a 1x1 convolution and pixel-shuffle."""
    return nn.Sequential(Pointwise(cin, 4 * cout), Shuffle(2))


class Patches(nn.Module):
    """Pixels N x 3 x H x W in [0, 1] -> features at 1/8 resolution."""

    def __init__(self, channels: int, cin: int = 3) -> None:
        super().__init__()
        self.embed = nn.Sequential(Unshuffle(8), Pointwise(64 * cin, channels))

    def forward(self, x: Tensor) -> Tensor:
        """N x cin x H x W in [0, 1], sides multiples of 8 -> N x channels x H/8 x W/8."""
        y: Tensor = self.embed(x - 0.5)
        return y


QUARTER, HALF = 48, 24
"""Channels of a PixelHead at 1/4 and 1/2 resolution."""


class PixelHead(nn.Module):
    """Features at 1/8 resolution -> N x 3 x H x W (float32 also under autocast), by three
    shuffles with 3x3 convolutions between them (a single x8 shuffle leaves a visible grid) and
    `depth` blocks at 1/4. With `zero` its picture is 0 everywhere before it is trained."""

    def __init__(self, channels: int, zero: bool = False, depth: int = 0) -> None:
        super().__init__()
        self.to_quarter = up(channels, QUARTER)
        self.at_quarter = nn.Conv2d(QUARTER, QUARTER, 3, padding=1)
        self.fine = stack(QUARTER, depth)
        self.to_half = up(QUARTER, HALF)
        self.at_half = nn.Conv2d(HALF, HALF, 3, padding=1)
        last = nn.Conv2d(HALF, 12, 3, padding=1)
        self.to_full = nn.Sequential(last, Shuffle(2))
        if zero:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """N x channels x H x W -> N x 3 x 8H x 8W, float32, not clipped."""
        return self.pixels(self.quarter(x))

    def quarter(self, x: Tensor) -> Tensor:
        """Features at 1/4 resolution."""
        x = self.to_quarter(x)
        return x + F.leaky_relu(self.at_quarter(x), 0.1)

    def pixels(self, x: Tensor) -> Tensor:
        """The picture from features at 1/4 resolution."""
        x = self.to_half(self.fine(x))
        x = x + F.leaky_relu(self.at_half(x), 0.1)
        y: Tensor = self.to_full(x).float()
        return y
