"""Wasserstein distortion (Qiu et al. 2024) of VGG16's maps, as Ballé et al. (CVPR 2025) use it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hdcodec.perceptual._backbone import IMAGENET_MEAN, IMAGENET_STD, Backbone, channel_vector

TAPS = 4
"""Maps that are compared: the last of each of VGG16's first four blocks."""

LEVEL = 3
"""Binary logarithm of the window's size, in samples of each map."""

LEAST_VARIANCE = 5e-7


class Wasserstein(nn.Module):
    """Distance of local means and deviations of two batches: 0 for equal pictures; no limit.

    Two textures are alike to it whatever their phase: it is the distance of the Gaussians that fit
    the features in each window. Input: N x 3 x H x W in [0, 1], sides of at least 32. Output: N
    distances, float32. `backbone` is VGG16; pictures go into it as they are, without the shift and
    scale that it was trained with, as in the published code.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.register_buffer("mean", channel_vector(IMAGENET_MEAN), persistent=False)
        self.register_buffer("std", channel_vector(IMAGENET_STD), persistent=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """One distance per pair of pictures N x 3 x H x W in [0, 1]; lower is more alike."""
        return self.distance(self.features(a), self.features(b))

    def features(self, x: Tensor) -> list[Tensor]:
        """The maps that are compared, finest first."""
        return cast(list[Tensor], self.backbone(x.float() * self.std + self.mean)[:TAPS])

    def distance(self, fa: Sequence[Tensor], fb: Sequence[Tensor]) -> Tensor:
        """N distances (float32) of two results of `features`."""
        return wasserstein(fa, fb)


def wasserstein(fa: Sequence[Tensor], fb: Sequence[Tensor]) -> Tensor:
    """The sum over maps N x C x H x W of the mean squared differences of local means and of local
    deviations: N, float32."""
    with torch.autocast(fa[0].device.type, enabled=False):
        total = torch.zeros(len(fa[0]), device=fa[0].device)
        for a, b in zip(fa, fb, strict=True):
            (mean_a, deviation_a), (mean_b, deviation_b) = local(a.float()), local(b.float())
            apart = (mean_a - mean_b).square() + (deviation_a - deviation_b).square()
            total = total + apart.mean((1, 2, 3))
    return total


def local(x: Tensor) -> tuple[Tensor, Tensor]:
    """Means and standard deviations in windows of N x C x H x W: N x C x H/4 x W/4 each.

    Windows are three binomial filters, of which the first two keep every other sample, and reach
    beyond the border, where all is 0. The gradient of a variance below the least one passes.
    """
    first, second = x, x.square()
    for level in range(LEVEL):
        stride = 2 if level < LEVEL - 1 else 1
        first, second = blurred(first, stride), blurred(second, stride)
    variance = second - first.square()
    floor = (LEAST_VARIANCE - variance).clamp(min=0).detach()
    return first, (variance + floor).sqrt()


def blurred(x: Tensor, stride: int) -> Tensor:
    """Every `stride`-th sample of N x C x H x W filtered by 1/4, 1/2, 1/4 along both sides, zeros
    beyond them."""
    line = 0.5 - 0.25 * torch.arange(-1.0, 2.0, device=x.device).abs()
    kernel = (line[:, None] * line).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(x, kernel, stride=stride, padding=1, groups=x.shape[1])
