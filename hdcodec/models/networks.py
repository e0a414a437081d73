"""The float networks of families that code latents: pixels to latents, in tiles, whatever computes
them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hdcodec.entropy.coder import Encoder as RangeEncoder

from .family import Stream, Symbols
from .latents import Map, qindex_map
from .qualities import (
    MAPPED,
    QUALITY_PER_OFFSET,
    STRIDE,
    hyper_size,
    least_payload,
)
from .tiles import AREA, Tile, assemble

if TYPE_CHECKING:
    from hdcodec.format import Header

    from .graphs import Graphs
    from .regions import Regions

Floats = NDArray[np.float32]


@dataclass
class Latents:
    """A picture after the analysis: padded pixels H x W x 3, latents before gain, h x w x C on
    their grid.

    In the computer's memory, whatever the device.
    """

    pixels: NDArray[np.uint8]
    latents: Floats


class LatentNetworks:
    """Networks on one device whose graphs "analysis", pixels to latents, and "gained", latents and
    quality indices to gained latents and hyper-latents, are those of `latent_graphs`."""

    stride: int
    """Pixels per latent along a side."""

    def __init__(self, graphs: Graphs) -> None:
        self.graphs = graphs
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


class PictureCoder:
    """One picture's latents, to be coded at any quality: padding, and the map of qualities."""

    def __init__(
        self, networks: LatentNetworks, pixels: NDArray[np.uint8], regions: Regions | None = None
    ) -> None:
        self.height, self.width, _ = pixels.shape
        self.size = hyper_size(self.width, self.height)
        self.latents = networks.analyse(pad(pixels))
        self.offsets = None
        if regions is not None:
            offsets = regions.offsets(self.width, self.height, STRIDE, QUALITY_PER_OFFSET)
            self.offsets = offsets if offsets.any() else None

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
