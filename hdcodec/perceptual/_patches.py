"""What AlexNet sees in each patch of a picture, to compare sets of patches."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hdcodec.perceptual._backbone import Backbone
from hdcodec.perceptual._lpips import unit

SIDE = 128
"""Pixels a side of a patch, about: a picture is cut into the whole number of them that is nearest,
across and down, at least one."""


class PatchFeatures(nn.Module):
    """Pictures N x 3 x H x W in [0, 1], sides of at least 31, to N x patches x channels.

    Of each map of `backbone` the directions of the channel vectors, as LPIPS compares them, are
    averaged over a patch; all maps count alike, and the product of two patches is at most 1.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pictures: Tensor) -> Tensor:
        """The features of each patch, row by row, float32."""
        rows, columns = (max(1, round(side / SIDE)) for side in pictures.shape[2:])
        maps = cast(list[Tensor], self.backbone(pictures))
        means = [F.adaptive_avg_pool2d(unit(one), (rows, columns)).flatten(2) for one in maps]
        return torch.cat(means, 1).mT / math.sqrt(len(maps))
