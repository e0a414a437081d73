"""Graphs computed by torch, and the search for better symbols through them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hdcodec._errors import WeightsError, lacks_memory
from hdcodec.models.devices import pick_device
from hdcodec.models.torch_graphs import TorchGraphs, told_when_full

from .coding import LatentCoding, LatentModel
from .graphs import first, last, unit
from .search import Judgement, Space, search, search_perceptual
from .twins import restore_coding

if TYPE_CHECKING:
    from hdcodec.weights import Weights


Model = TypeVar("Model", bound=LatentModel)
Self = TypeVar("Self", bound="SearchedGraphs[Any]")


class SearchedGraphs(TorchGraphs, ABC, Generic[Model]):
    """The graphs of a model whose latents a search can better. It takes the float twins of the
    integer networks, out of `weights`, which nothing else here needs."""

    pictures: ClassVar[tuple[str, ...]]
    """The graphs that make pictures, and so may compute in bfloat16."""

    def __init__(
        self,
        model: Model,
        device: torch.device,
        precision: str = "auto",
        weights: Weights | None = None,
    ) -> None:
        model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model, self.weights = model.eval().requires_grad_(False), weights
        super().__init__(self.graphs_of(model), device, precision, self.pictures)

    @classmethod
    def load(cls: type[Self], weights: Weights, device: str, precision: str = "auto") -> Self:
        """From the family's weights; raises WeightsError, DeviceError."""
        where = pick_device(device)
        with torch.inference_mode(False):
            return cls(cls.stored(weights), where, precision, weights)

    @staticmethod
    @abstractmethod
    def stored(weights: Weights) -> Model:
        """The networks of a folder of weights, zero where only training needs them; raises
        WeightsError."""

    @staticmethod
    @abstractmethod
    def graphs_of(model: Model) -> dict[str, nn.Module]:
        """The graphs by name."""

    @abstractmethod
    def space(self, coding: LatentCoding, qindex: Tensor, noise: Tensor) -> Space:
        """What a search goes through at quality indices 1 x H/64 x W/64, with the noise, 1 x C x
        h x w, that pictures are decoded with."""

    def refined(
        self,
        pixels: NDArray[np.uint8],
        latents: NDArray[np.float32],
        noise: NDArray[np.float32],
        qindex: NDArray[np.int64],
        steps: int,
        judge: Judgement | None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What "gained" gives, after a search of `steps` steps for what costs less: in squared
        error, or in what `judge` says of the picture."""
        plain, told = torch.autocast(self.place.type, enabled=False), told_when_full()
        with told, torch.inference_mode(False), torch.enable_grad(), torch.device("cpu"), plain:
            coding, q = self._searched, self.tensor(qindex)[None]
            x, space = unit(self.tensor(pixels)), self.space(coding, q, first(self.tensor(noise)))
            with torch.no_grad():
                y = first(self.tensor(latents)) * coding.gain(q)
                z = coding.hyper(y, q)
            with torch.autocast(self.place.type, torch.bfloat16, enabled=self.half):
                if judge is None:
                    y, z = search(space, x, y, z, steps)
                else:
                    y, z = search_perceptual(space, judge, x, y, z, steps)
            return last(y).cpu().numpy(), last(z).cpu().numpy()

    @cached_property
    def _searched(self) -> LatentCoding:
        coding = self.model.coding
        assert self.weights is not None
        try:
            restore_coding(coding.entropy, self.weights.arrays("entropy.safetensors"))
        except (KeyError, ValueError, RuntimeError) as error:
            if lacks_memory(error):
                raise
            raise WeightsError(f"entropy.safetensors does not fit the model: {error}") from error
        return coding
