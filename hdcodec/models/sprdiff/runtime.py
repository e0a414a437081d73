"""The float networks at work: pixels to a range stream, symbols to pixels, in tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hdcodec.models.budget import highest
from hdcodec.models.family import Rate, Stream
from hdcodec.models.latents import LatentSource, LatentSymbols
from hdcodec.models.networks import Floats, LatentNetworks, PictureCoder
from hdcodec.models.noise import noise
from hdcodec.models.qualities import QUALITIES, STRIDE, qindex_of
from hdcodec.models.tiles import Tile, assemble

from .config import CELLS, VAE_STRIDE
from .options import SprdiffDecoding, SprdiffEncoding, SprdiffParameters

if TYPE_CHECKING:
    from hdcodec.format import Header
    from hdcodec.models.graphs import Graphs

    from .family import Sprdiff

COARSE = "coarse"
"""The graph of the coarse picture."""


class SprdiffNetworks(LatentNetworks):
    """The networks of the `sprdiff` family on one device, for inference."""

    stride = STRIDE // CELLS

    def __init__(self, family: Sprdiff, graphs: Graphs) -> None:
        super().__init__(graphs)
        self.family = family

    def encode(self, pixels: NDArray[np.uint8], rate: Rate, options: SprdiffEncoding) -> Stream:
        """H x W x 3 of any size -> the stream of a quality, or of the best one within a budget;
        where none fits it, the smallest."""
        coder, start = SprdiffPictureCoder(self, pixels, rate), qindex_of(rate.quality)
        if rate.budget is None:
            return coder.stream(start)
        return highest(coder.stream, QUALITIES - 1, rate.budget, start)[1]

    def decode(
        self, header: Header, symbols: LatentSymbols, options: SprdiffDecoding
    ) -> NDArray[np.uint8]:
        """Symbols -> H x W x 3 of the header's size."""
        pixels = self.reconstruct(symbols, options)
        return np.ascontiguousarray(pixels[: header.height, : header.width])

    def reconstruct(self, symbols: LatentSymbols, options: SprdiffDecoding) -> NDArray[np.uint8]:
        """Symbols -> padded pixels H x W x 3; a fidelity of 1 needs no sample."""
        height, width = (STRIDE * side for side in symbols.z.shape[:2])
        graphs, dial = self.graphs.sized(height * width), np.array([options.fidelity], np.float32)
        name = COARSE if options.fidelity == 1 else picture_name(options.steps)
        grid = None if name == COARSE else self._noise(height, width, options.seed)

        def work(tile: Tile) -> NDArray[np.uint8]:
            told = tile.cut(symbols.latent, self.stride), tile.cut(symbols.qindex, STRIDE)
            drawn = () if grid is None else (tile.cut(grid, VAE_STRIDE), dial)
            (pixels,) = graphs(name, *told, *drawn)
            return pixels

        return assemble((height, width), self.area, 1, work)

    def _noise(self, height: int, width: int, seed: int) -> Floats:
        """H/16 x W/16 x C for H x W pixels; every seed has C channels of its own of one noise."""
        count = self.family.config.vae.latent
        numbers = noise(height // VAE_STRIDE, width // VAE_STRIDE, (seed + 1) * count)
        return numbers[:, :, seed * count :]


class SprdiffPictureCoder(PictureCoder):
    """One picture's latents, to be coded at any quality."""

    def __init__(self, networks: SprdiffNetworks, pixels: NDArray[np.uint8], rate: Rate) -> None:
        super().__init__(networks, pixels, rate.regions)
        self.networks = networks

    def stream(self, qindex: int) -> Stream:
        """The stream at a quality index."""
        y, z = self.networks.gained(self.latents, self.qindex(qindex))
        source, codec = LatentSource(y, z, offsets=self.offsets), self.networks.family.symbol_codec

        return self.written(
            SprdiffParameters(qindex).pack(),
            lambda coder: codec.code_latents(coder, self.size, qindex, source, self.mapped)[0],
        )


def picture_name(steps: int) -> str:
    """The graph of a picture in so many steps of the diffusion."""
    return "picture" if steps == 1 else f"picture-{steps}"
