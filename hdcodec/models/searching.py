"""Encoders that search for better symbols, at the request of `effort`."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from .budget import highest, nearby
from .devices import TORCH
from .family import Rate, Stream
from .latents import Map
from .networks import Floats, LatentNetworks, Latents, PictureCoder
from .options import PERCEPTUAL, PSNR, Searching
from .qualities import QUALITIES, STRIDE, qindex_of
from .tiles import Tile

if TYPE_CHECKING:
    import torch

    from hdcodec.perceptual import Judge

    from .graphs import Graphs
    from .regions import Regions
    from .search import Judgement
    from .searched_graphs import SearchedGraphs

Self = TypeVar("Self", bound="SearchingNetworks")

SEARCH_STEPS = {PSNR: 6, PERCEPTUAL: 12}
"""Steps of a search for better symbols per unit of `effort`."""

SEARCHED_AREA = 1024 * 1024
"""Pixels that a search sees at a time: gradients take five times the memory of a decoder."""

JUDGED_AREA = 768 * 640
"""The same where a judge, whose networks are large, sees them too."""


class SearchingNetworks(LatentNetworks):
    """Networks whose graphs in torch are `SearchedGraphs`."""

    noise_stride: int
    """Pixels per place of the noise along a side."""

    def __init__(self, family: Any, graphs: Graphs) -> None:
        super().__init__(graphs)
        self.family = family

    @abstractmethod
    def noise_of(self, height: int, width: int) -> Floats:
        """The noise that pictures of H x W pixels are decoded with."""

    @property
    def in_torch(self: Self) -> Self:
        """These networks computed by torch. Raises DeviceError where there is none."""
        return self if self.backend == TORCH else self.with_graphs(self._torch_graphs)

    @cached_property
    def _torch_graphs(self) -> Graphs:
        graphs: Graphs = self.family.load(self.device, self.asked, TORCH).graphs
        return graphs

    def with_graphs(self: Self, graphs: Graphs) -> Self:
        """The same with other graphs."""
        networks = type(self)(self.family, graphs)
        networks.area = self.area
        return networks

    def refine(
        self, latents: Latents, qindex: Map, steps: int, judge: Judgement | None = None
    ) -> tuple[Floats, Floats]:
        """What `gained` gives, after a search of `steps` steps for what costs less: in squared
        error, or in what `judge` says of the picture. By torch alone."""
        graphs = cast("SearchedGraphs[Any]", self.graphs)
        height, width, _ = latents.pixels.shape
        grid = self.noise_of(height, width)

        def work(tile: Tile) -> Floats:
            pixels, y = tile.cut(latents.pixels, 1), tile.cut(latents.latents, self.stride)
            drawn, q = tile.cut(grid, self.noise_stride), tile.cut(qindex, STRIDE)
            return self.joined(*graphs.refined(pixels, y, drawn, q, steps, judge))

        area = SEARCHED_AREA if judge is None else JUDGED_AREA
        return self.parted(latents, min(self.area, area), work)


class SearchingCoder(PictureCoder):
    """One picture's latents, to be coded at any quality, after a search or without."""

    def __init__(
        self,
        networks: SearchingNetworks,
        pixels: NDArray[np.uint8],
        options: Searching,
        regions: Regions | None = None,
    ) -> None:
        self.searching = networks.in_torch if options.effort else networks
        super().__init__(self.searching, pixels, regions)
        self.steps, self.judge = SEARCH_STEPS[options.tune] * options.effort, None
        if self.steps and options.tune == PERCEPTUAL:
            graphs = cast("SearchedGraphs[Any]", self.searching.graphs)
            self.judge = _judge(options.metric_weights, graphs.place, graphs.half)

    @abstractmethod
    def stream(self, qindex: int, search_steps: int = 0) -> Stream:
        """The stream at a quality index, after so many steps of a search for better symbols."""

    def found(self, qindex: Map, search_steps: int) -> tuple[Floats, Floats]:
        """Gained latents and hyper-latents at quality indices of tiles."""
        if search_steps:
            return self.searching.refine(self.latents, qindex, search_steps, self.judge)
        return self.searching.gained(self.latents, qindex)

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


@lru_cache(maxsize=1)
def _judge(folder: str | None, device: torch.device, half: bool) -> Judge:
    from hdcodec.perceptual import load_judge

    return load_judge(folder, device, half)
