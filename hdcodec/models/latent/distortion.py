"""What distortion counts beside bits, at which quality and where."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .qualities import QUALITIES, STRIDE

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
