"""Float twins of the integer networks: what is trained here is exported to `hdcodec.entropy`.

A network is a list of layers, each "pw" (1x1 convolution), "dw" (depthwise 3x3, zero padded) or
"up" (pixel-shuffle by 2); `relu` marks a rectifier. Activations are clipped to the range that
16-bit fixed point with `FRACTION_BITS` fraction bits can hold, so the twin and the integer network
differ only by rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from hdcodec.entropy.fixedpoint import ACTIVATION_MAX

from .layers import Pointwise


@dataclass(frozen=True)
class Layer:
    """One layer: kind, channels in and out, and whether a rectifier follows."""

    kind: Literal["pw", "dw", "up"]
    cin: int
    cout: int
    relu: bool = False


class FixedNet(nn.Module):
    """The float twin of one integer network; N x C x H x W in and out."""

    def __init__(self, layers: list[Layer]) -> None:
        super().__init__()
        self.layers = layers
        self.convs = nn.ModuleDict(
            {str(i): _conv(layer) for i, layer in enumerate(layers) if layer.kind != "up"}
        )

    def forward(self, x: Tensor) -> Tensor:
        """N x cin x H x W -> N x cout x H x W, up layers twice as large; float twin of `IntNet`."""
        for i, layer in enumerate(self.layers):
            if layer.kind == "up":
                x = F.pixel_shuffle(x, 2)
                continue
            x = self.convs[str(i)](x)
            x = x.clamp(0.0 if layer.relu else -ACTIVATION_MAX, ACTIVATION_MAX)
        return x


def _conv(layer: Layer) -> nn.Conv2d:
    if layer.kind == "pw":
        return Pointwise(layer.cin, layer.cout)
    return nn.Conv2d(layer.cin, layer.cin, 3, padding=1, groups=layer.cin)


def mixer(cin: int, width: int, cout: int) -> list[Layer]:
    """1x1, then twice (depthwise 3x3, 1x1); the last 1x1 is linear."""
    return [
        Layer("pw", cin, width, relu=True),
        Layer("dw", width, width),
        Layer("pw", width, width, relu=True),
        Layer("dw", width, width),
        Layer("pw", width, cout),
    ]
