"""Graphs computed by torch, and the search for better symbols through them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hdcodec._errors import WeightsError, lacks_memory

from .hdc.coding import LatentCoding
from .hdc.twins import restore_coding
from .latent_graphs import first, last, unit
from .search import Judgement, Space, search, search_perceptual
from .torch_graphs import TorchGraphs, told_when_full

if TYPE_CHECKING:
    from hdcodec.weights import Weights


class CodingModel(Protocol):
    """All networks of a family."""

    @property
    def coding(self) -> LatentCoding:
        """What codes their latents."""
        ...


class SearchedGraphs(TorchGraphs, ABC):
    """The graphs of a model whose latents a search can better. It takes the float twins of the
    integer networks, out of `weights`, which nothing else here needs."""

    def __init__(
        self,
        model: CodingModel,
        modules: dict[str, nn.Module],
        device: torch.device,
        precision: str,
        halved: tuple[str, ...],
        weights: Weights | None,
    ) -> None:
        super().__init__(modules, device, precision, halved)
        self._model, self.weights = model, weights

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
        coding = self._model.coding
        assert self.weights is not None
        try:
            restore_coding(coding.entropy, self.weights.arrays("entropy.safetensors"))
        except (KeyError, ValueError, RuntimeError) as error:
            if lacks_memory(error):
                raise
            raise WeightsError(f"entropy.safetensors does not fit the model: {error}") from error
        return coding
