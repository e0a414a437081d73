"""Layers that are the same on every device but take another way on a GPU.

There a 1x1 convolution is fastest as one product of matrices whose rows are pixels, with the bias
added on the way, and PyTorch's pixel shuffles leave their result in the wrong order for it. All
of this is for pictures with channels last.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Pointwise(nn.Conv2d):
    """A 1x1 convolution."""

    def __init__(self, cin: int, cout: int, bias: bool = True) -> None:
        super().__init__(cin, cout, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """N x cin x H x W -> N x cout x H x W."""
        return product(x, self.weight, self.bias) if x.is_cuda else super().forward(x)


class Shuffle(nn.PixelShuffle):
    """N x (C r r) x H x W -> N x C x (H r) x (W r)."""

    def forward(self, x: Tensor) -> Tensor:
        """N x (C r r) x H x W -> N x C x (H r) x (W r)."""
        return shuffled(x, self.upscale_factor) if x.is_cuda else super().forward(x)


class Unshuffle(nn.PixelUnshuffle):
    """The inverse of `Shuffle`."""

    def forward(self, x: Tensor) -> Tensor:
        """N x C x (H r) x (W r) -> N x (C r r) x H x W."""
        return unshuffled(x, self.downscale_factor) if x.is_cuda else super().forward(x)


def product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 1x1 convolution as a product of matrices."""
    rows = x.permute(0, 2, 3, 1)
    y = F.linear(rows.reshape(-1, x.shape[1]), weight.flatten(1), bias)
    return y.view(*rows.shape[:3], -1).permute(0, 3, 1, 2)


def shuffled(x: Tensor, r: int) -> Tensor:
    """`F.pixel_shuffle`, channels last."""
    n, c, h, w = x.shape
    y = x.permute(0, 2, 3, 1).reshape(n, h, w, c // r**2, r, r).permute(0, 1, 4, 2, 5, 3)
    return y.reshape(n, h * r, w * r, c // r**2).permute(0, 3, 1, 2)


def unshuffled(x: Tensor, r: int) -> Tensor:
    """`F.pixel_unshuffle`, channels last."""
    n, c, h, w = x.shape
    y = x.permute(0, 2, 3, 1).reshape(n, h // r, r, w // r, r, c).permute(0, 1, 3, 5, 2, 4)
    return y.reshape(n, h // r, w // r, c * r**2).permute(0, 3, 1, 2)
