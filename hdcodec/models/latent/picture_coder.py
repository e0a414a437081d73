"""One picture's way to a range stream: at a quality or within a budget, searched or not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from hdcodec.entropy.coder import Encoder as RangeEncoder
from hdcodec.models.budget import highest, nearby
from hdcodec.models.family import Rate, Stream, Symbols
from hdcodec.models.options import PERCEPTUAL, PSNR, Searching

from .networks import Floats, LatentNetworks
from .qualities import (
    MAPPED,
    QUALITIES,
    QUALITY_PER_OFFSET,
    STRIDE,
    hyper_size,
    least_payload,
    qindex_of,
)
from .symbols import Map, qindex_map

if TYPE_CHECKING:
    import torch

    from hdcodec.models.regions import Regions
    from hdcodec.perceptual import Judge

    from .searched_graphs import SearchedGraphs

SEARCH_STEPS = {PSNR: 6, PERCEPTUAL: 12}
"""Steps of a search for better symbols per unit of `effort`."""


class PictureCoder(ABC):
    """One picture's latents, to be coded at any quality, after a search or without: padding, and
    the map of qualities."""

    def __init__(
        self,
        networks: LatentNetworks,
        pixels: NDArray[np.uint8],
        options: Searching,
        regions: Regions | None = None,
    ) -> None:
        self.networks = networks.in_torch if options.effort else networks
        self.options = options
        self.height, self.width, _ = pixels.shape
        self.size = hyper_size(self.width, self.height)
        self.latents = self.networks.analyse(pad(pixels))
        self.offsets = None
        if regions is not None:
            offsets = regions.offsets(self.width, self.height, STRIDE, QUALITY_PER_OFFSET)
            self.offsets = offsets if offsets.any() else None
        self.steps, self.judge = SEARCH_STEPS[options.tune] * options.effort, None
        if self.steps and options.tune == PERCEPTUAL:
            graphs = cast("SearchedGraphs[Any]", self.networks.graphs)
            self.judge = _judge(options.metric_weights, graphs.place, graphs.half)

    @abstractmethod
    def stream(self, qindex: int, search_steps: int = 0) -> Stream:
        """The stream at a quality index, after so many steps of a search for better symbols."""

    def found(self, qindex: Map, search_steps: int) -> tuple[Floats, Floats]:
        """Gained latents and hyper-latents at quality indices of tiles."""
        if search_steps:
            return self.networks.refine(self.latents, qindex, search_steps, self.judge)
        return self.networks.gained(self.latents, qindex)

    def encoded(self, rate: Rate) -> Stream:
        """The stream of a quality, or of the best one within a budget; where none fits it, the
        smallest."""
        start = qindex_of(rate.quality)
        if rate.budget is None:
            return self.stream(start, self.steps)
        start, best = highest(self.stream, QUALITIES - 1, rate.budget, start)
        if not self.steps or len(best.payload) > rate.budget:
            return best
        searched = partial(self.stream, search_steps=self.steps)
        return nearby(searched, start, QUALITIES - 1, rate.budget, best)

    @property
    def mapped(self) -> bool:
        """Whether there is a map of qualities."""
        return self.offsets is not None

    def qindex(self, qindex: int) -> Map:
        """Quality indices of the tiles where the picture's is `qindex`."""
        return qindex_map(qindex, self.size, self.offsets)

    def written(self, parameters: bytes, code: Callable[[RangeEncoder], Symbols]) -> Stream:
        """The stream of the symbols that `code` writes and returns."""
        coder = RangeEncoder()
        symbols = code(coder)
        payload = coder.finish(least_payload(self.width, self.height))
        return Stream(parameters, payload, symbols, MAPPED * self.mapped)


def pad(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """H x W x 3 with its last row and column repeated up to multiples of 64."""
    rows, columns = -pixels.shape[0] % STRIDE, -pixels.shape[1] % STRIDE
    return np.pad(pixels, ((0, rows), (0, columns), (0, 0)), mode="edge")


@lru_cache(maxsize=1)
def _judge(folder: str | None, device: torch.device, half: bool) -> Judge:
    from hdcodec.perceptual import load_judge

    return load_judge(folder, device, half)
