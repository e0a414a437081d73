"""Views of pictures in which a perceptual network cannot be deceived by a pattern made for it.

What a network with strides cannot see at one phase, such as a grid, it sees at another; a mark
drawn for one of its filters means less to it when turned (after E-LPIPS, Kettunen et al. 2019).
"""

from __future__ import annotations

import torch
from torch import Tensor

PERIOD = 16
"""Pixels after which AlexNet's first convolution and both of its poolings repeat."""


def view(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """N x C x H x W less 16 rows and columns, from 0 to 15 of each side, turned or mirrored."""
    top, left = torch.randint(0, PERIOD, (2,), generator=generator).tolist()
    height, width = (side - PERIOD for side in pictures.shape[2:])
    return turned(pictures[:, :, top : top + height, left : left + width], generator)


def turned(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """N x C x H x W, or W x H, in one of the eight orientations of a square, channels last."""
    rows, columns, diagonal = torch.randint(0, 2, (3,), generator=generator).tolist()
    flipped = pictures.flip([axis for axis, yes in ((2, rows), (3, columns)) if yes])
    return (flipped.mT if diagonal else flipped).contiguous(memory_format=torch.channels_last)
