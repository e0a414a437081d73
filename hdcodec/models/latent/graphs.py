"""What the graphs of arrays are made of in torch: arrays to tensors and back, the two graphs that
encoders of latents share, and networks out of their file of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hdcodec._errors import WeightsError, lacks_memory
from hdcodec.entropy.fixedpoint import FRACTION_BITS
from hdcodec.weights import NETWORKS

from .coding import LatentModel

if TYPE_CHECKING:
    from hdcodec.weights import Weights

Module = TypeVar("Module", bound=nn.Module)


class AnalysisGraph(nn.Module):
    """Pixels, uint8 H x W x 3, sides multiples of 64 -> latents before gain, float32
    h x w x latent."""

    def __init__(self, model: LatentModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        return last(self.model.analysed(unit(pixels)))


class GainedGraph(nn.Module):
    """Latents before gain and quality indices, int64 H/64 x W/64 -> gained latents and
    hyper-latents, float32 h x w x latent and H/64 x W/64 x hyper."""

    def __init__(self, model: LatentModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, latents: Tensor, qindex: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        y, q, coding = first(latents), qindex[None], self.model.coding
        y = y * coding.gain(q)
        return last(y), last(coding.hyper(y, q))


def first(x: Tensor) -> Tensor:
    """H x W x C -> 1 x C x H x W, its channels last in memory."""
    return x.permute(2, 0, 1)[None].contiguous(memory_format=torch.channels_last)


def last(x: Tensor) -> Tensor:
    """1 x C x H x W -> H x W x C, float32."""
    return x[0].permute(1, 2, 0).float()


def unit(pixels: Tensor) -> Tensor:
    """0..255, H x W x 3 -> 0..1, 1 x 3 x H x W."""
    return first(pixels).float().div(255)


def levels(picture: Tensor) -> Tensor:
    """A picture 1 x 3 x H x W, not clipped -> uint8 H x W x 3."""
    return last(picture).clamp(0, 1).mul(255).round().to(torch.uint8)


def decoded(latent: Tensor) -> Tensor:
    """Latents in units of 2**-10, H x W x C -> in units of 1, 1 x C x H x W."""
    return first(latent).float() * 2.0**-FRACTION_BITS


def stored_model(make: Callable[[], Module], weights: Weights, lacking: tuple[str, ...]) -> Module:
    """What `make` makes, with the weights of networks.safetensors, and zeros for those whose names
    begin as `lacking` says, which it does not hold; raises WeightsError."""
    try:
        stored = weights.arrays(NETWORKS)
        with torch.inference_mode(False):
            model, missing, unexpected = filled(make, stored)
    except (ValueError, RuntimeError) as error:
        if lacks_memory(error):
            raise
        raise WeightsError(f"networks.safetensors does not fit the model: {error}") from error
    if unexpected or [name for name in missing if not name.startswith(lacking)]:
        raise WeightsError("networks.safetensors does not fit the model: names differ")
    return model


def filled(
    make: Callable[[], Module], stored: dict[str, NDArray[Any]]
) -> tuple[Module, Sequence[str], Sequence[str]]:
    """The model with stored weights as float32, zeros where there are none; the names that are
    missing and those that it does not have.

    Made on the meta device: nothing is drawn at random, and no state of the caller's is touched.
    """
    with torch.device("meta"):
        model = make()
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    weights = {name: _weight(array) for name, array in stored.items()}
    missing, unexpected = model.load_state_dict(weights, strict=False, assign=True)
    zeros = {name: _weight(np.zeros(shapes[name])) for name in missing}
    model.load_state_dict(zeros, strict=False, assign=True)
    return model, missing, unexpected


def _weight(array: NDArray[Any]) -> Tensor:
    """As float32, its channels last in memory; by numpy, whose copies wait for no other thread."""
    if array.ndim != 4:
        return torch.from_numpy(array.astype(np.float32))
    last = np.ascontiguousarray(array.transpose(0, 2, 3, 1), dtype=np.float32)
    return torch.from_numpy(last).permute(0, 3, 1, 2)
