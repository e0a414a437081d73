"""The convolution stacks of AlexNet and VGG16, with the taps the perceptual distances read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hdcodec._errors import WeightsError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Pool = Callable[[Tensor], Tensor]
Layer = Callable[[nn.Conv2d, Tensor], Tensor]
ConvWeights = Sequence[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Conv:
    """Shape of one convolution; every one is followed by a ReLU."""

    inputs: int
    outputs: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1

    def module(self) -> nn.Conv2d:
        """It as a layer, not yet filled."""
        return nn.Conv2d(self.inputs, self.outputs, self.kernel, self.stride, self.padding)


@dataclass(frozen=True)
class Convolutions:
    """Convolutions up to one tap, with or without the pooling in front."""

    convs: tuple[Conv, ...]
    pooled: bool = True


ALEX = (
    Convolutions((Conv(3, 64, 11, 4, 2),), pooled=False),
    Convolutions((Conv(64, 192, 5, 1, 2),)),
    Convolutions((Conv(192, 384),)),
    Convolutions((Conv(384, 256),), pooled=False),
    Convolutions((Conv(256, 256),), pooled=False),
)
VGG = (
    Convolutions((Conv(3, 64), Conv(64, 64)), pooled=False),
    Convolutions((Conv(64, 128), Conv(128, 128))),
    Convolutions((Conv(128, 256), Conv(256, 256), Conv(256, 256))),
    Convolutions((Conv(256, 512), Conv(512, 512), Conv(512, 512))),
    Convolutions((Conv(512, 512), Conv(512, 512), Conv(512, 512))),
)
LAYOUTS = {"alex": ALEX, "vgg": VGG}


def layout(net: str) -> tuple[Convolutions, ...]:
    """The stages of `net` ("alex" or "vgg"). Raises ValueError for any other name."""
    if net not in LAYOUTS:
        raise ValueError(f"unknown network {net!r}: alex or vgg")
    return LAYOUTS[net]


def max_pool(net: str) -> Pool:
    """The pooling the network was trained with: 3/2 in AlexNet, 2/2 in VGG16."""
    kernel = {"alex": 3, "vgg": 2}[net]
    return lambda x: F.max_pool2d(x, kernel, 2)


def rectified(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution and its ReLU."""
    return F.relu(folded(conv, x) if x.is_cuda and conv.stride[0] > 1 else conv(x))


class Backbone(nn.Module):
    """Maps pictures to the five activation maps behind LPIPS and DISTS.

    Input: N x 3 x H x W in [0, 1], any float type; sides of at least 31 (alex) or 16 (vgg).
    Output: five tensors N x C x h x w (`channels` holds the five C), after the ReLU, in the type of
    the weights or of the surrounding autocast. `convs.bfloat16()` stores the weights in half the
    space. Frozen; gradients flow to the input. `pool` and `layer` may be replaced by what computes
    the same. Raises WeightsError where weights do not fit.
    """

    def __init__(self, net: str, weights: ConvWeights, pool: Pool | None = None) -> None:
        super().__init__()
        self.net = net
        self.stages = layout(net)
        self.pool = pool or max_pool(net)
        self.layer: Layer = rectified
        self.convs = nn.ModuleList(c.module() for stage in self.stages for c in stage.convs)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", channel_vector(IMAGENET_MEAN), persistent=False)
        self.register_buffer("std", channel_vector(IMAGENET_STD), persistent=False)
        self._fill(weights)
        self.requires_grad_(False).eval()

    @property
    def channels(self) -> tuple[int, ...]:
        """Of each map that `forward` gives."""
        return tuple(stage.convs[-1].outputs for stage in self.stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The activation maps N x C x h x w of pictures N x 3 x H x W in [0, 1], finest first."""
        x = (x.float() - self.mean) / self.std
        x = x.to(cast(nn.Conv2d, self.convs[0]).weight.dtype)
        convs = iter(self.convs)
        taps = []
        for stage in self.stages:
            if stage.pooled:
                x = self.pool(x)
            for _ in stage.convs:
                x = self.layer(cast(nn.Conv2d, next(convs)), x)
            taps.append(x)
        return taps

    def _fill(self, weights: ConvWeights) -> None:
        if len(weights) != len(self.convs):
            raise WeightsError(
                f"{self.net}: {len(weights)} convolutions in the weights, not {len(self.convs)}"
            )
        for number, (module, (kernel, bias)) in enumerate(zip(self.convs, weights, strict=True)):
            conv = cast(nn.Conv2d, module)
            if conv.weight.shape != kernel.shape or conv.bias is None:
                raise WeightsError(
                    f"{self.net}: conv{number} is {tuple(kernel.shape)}, "
                    f"not {tuple(conv.weight.shape)}"
                )
            with torch.no_grad():
                conv.weight.copy_(kernel)
                conv.bias.copy_(bias)


def folded(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A strided convolution as a plain one over pixel-unshuffled input: the same sums, but a GPU
    has no fast gradient for AlexNet's 11 x 11 pixels in steps of 4."""
    stride, side, before = conv.stride[0], conv.kernel_size[0], int(conv.padding[0])
    steps = -(-side // stride)
    sizes = [stride * ((n + 2 * before - side) // stride + steps) for n in x.shape[2:]]
    after = [size - n - before for size, n in zip(sizes, x.shape[2:], strict=True)]
    x = F.pixel_unshuffle(F.pad(x, (before, after[1], before, after[0])), stride)
    gap = steps * stride - side
    weight = F.pixel_unshuffle(F.pad(conv.weight, (0, gap, 0, gap)), stride)
    layout = torch.channels_last
    return F.conv2d(
        x.contiguous(memory_format=layout), weight.contiguous(memory_format=layout), conv.bias
    )


def channel_vector(values: Sequence[float] | Tensor) -> Tensor:
    """Shapes C numbers to 1 x C x 1 x 1, float32."""
    return torch.as_tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1)
