"""The float networks of families that code latents: pixels to latents, in tiles, whatever computes
them; and the search for better symbols."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from hdcodec.models.devices import TORCH
from hdcodec.models.family import Rate, Stream
from hdcodec.models.tiles import AREA, Tile, assemble

from .qualities import STRIDE, hyper_size
from .symbols import Map

if TYPE_CHECKING:
    from hdcodec.format import Header
    from hdcodec.models.graphs import Graphs

    from .picture_coder import PictureCoder
    from .search import Judgement
    from .searched_graphs import SearchedGraphs

Floats = NDArray[np.float32]

Self = TypeVar("Self", bound="LatentNetworks")

SEARCHED_AREA = 1024 * 1024
"""Pixels that a search sees at a time: gradients take five times the memory of a decoder."""

JUDGED_AREA = 768 * 640
"""The same where a judge, whose networks are large, sees them too."""


@dataclass
class Latents:
    """A picture after the analysis: padded pixels H x W x 3, latents before gain, h x w x C on
    their grid.

    In the computer's memory, whatever the device.
    """

    pixels: NDArray[np.uint8]
    latents: Floats


class LatentNetworks(ABC):
    """Networks on one device whose graphs "analysis", pixels to latents, and "gained", latents and
    quality indices to gained latents and hyper-latents, are those of `.graphs`; in torch they are
    `SearchedGraphs`."""

    stride: int
    """Pixels per latent along a side."""

    noise_stride: int
    """Pixels per place of the noise along a side."""

    coder: type[PictureCoder]
    """What codes one picture."""

    def __init__(self, family: Any, graphs: Graphs) -> None:
        self.family, self.graphs = family, graphs
        self.area = AREA
        """Pixels that the networks may see at a time; larger pictures go through in tiles."""
        self.asked = "auto"
        """The precision that was asked for, which may leave a choice."""

    @property
    def backend(self) -> str:
        """What computes the networks."""
        return self.graphs.backend

    @property
    def device(self) -> str:
        """Where it does."""
        return self.graphs.device

    @property
    def precision(self) -> str:
        """What pictures are computed in."""
        return self.graphs.precision

    @property
    def cells(self) -> int:
        """Latents along a side of a tile of 64 x 64 pixels, which has one hyper-latent."""
        return STRIDE // self.stride

    def encode(self, pixels: NDArray[np.uint8], rate: Rate, options: Any) -> Stream:
        """H x W x 3 of any size -> stream; where no quality fits the budget, the smallest. A search
        takes torch. Raises DeviceError where there is none."""
        return self.coder(self, pixels, options, rate.regions).encoded(rate)

    def decode(self, header: Header, symbols: Any, options: Any) -> NDArray[np.uint8]:
        """Symbols -> H x W x 3 of the header's size."""
        pixels = self.reconstruct(symbols, options)
        return np.ascontiguousarray(pixels[: header.height, : header.width])

    @abstractmethod
    def reconstruct(self, symbols: Any, options: Any) -> NDArray[np.uint8]:
        """Symbols -> padded pixels H x W x 3."""

    @abstractmethod
    def noise_of(self, height: int, width: int) -> Floats:
        """The noise that pictures of H x W pixels are decoded with."""

    def prepare(self, header: Header, options: Any) -> None:
        """Begin to load what `decode` takes."""
        rows, columns = hyper_size(*header.size)
        graphs = self.graphs.sized(rows * columns * STRIDE * STRIDE)
        graphs.prepare(self.drawing(options))

    def drawing(self, options: Any) -> str:
        """The graph that pictures are drawn by with these options."""
        return "picture"

    def analyse(self, pixels: NDArray[np.uint8]) -> Latents:
        """Padded pixels H x W x 3 (multiples of 64) -> latents, to be coded at any quality."""
        graphs = self.graphs.sized(pixels.shape[0] * pixels.shape[1])

        def work(tile: Tile) -> Floats:
            (latents,) = graphs("analysis", tile.cut(pixels, 1))
            return latents

        return Latents(pixels, assemble(pixels.shape[:2], self.area, self.stride, work))

    def gained(self, latents: Latents, qindex: Map) -> tuple[Floats, Floats]:
        """Gained latents y (h x w x C) and hyper-latents z (H/64 x W/64 x C), at quality indices
        0..200 (H/64 x W/64)."""

        def work(tile: Tile) -> Floats:
            y, q = tile.cut(latents.latents, self.stride), tile.cut(qindex, STRIDE)
            return self.joined(*self.graphs("gained", y, q))

        return self.parted(latents, self.area, work)

    def parted(
        self, latents: Latents, area: int, work: Callable[[Tile], Floats]
    ) -> tuple[Floats, Floats]:
        """y and z of a picture from what `joined` made of them in each tile."""
        both = assemble(latents.pixels.shape[:2], area, self.stride, work)
        y, z = np.split(both, [latents.latents.shape[2]], 2)
        return y, np.ascontiguousarray(z[:: self.cells, :: self.cells])

    def joined(self, y: Floats, z: Floats) -> Floats:
        """Latents, and beside them hyper-latents, repeated to as many rows and columns."""
        return np.concatenate([y, z.repeat(self.cells, 0).repeat(self.cells, 1)], 2)

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
