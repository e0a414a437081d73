"""The float networks at work: pixels to a range stream, symbols to pixels, in tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hdcodec.models.family import Stream
from hdcodec.models.latent.networks import Floats, LatentNetworks
from hdcodec.models.latent.picture_coder import PictureCoder
from hdcodec.models.latent.qualities import STRIDE
from hdcodec.models.latent.symbols import LatentSource, LatentSymbols
from hdcodec.models.noise import noise
from hdcodec.models.tiles import Tile, assemble

from .config import CELLS, VAE_STRIDE
from .options import SprdiffDecoding, SprdiffParameters

if TYPE_CHECKING:
    from .family import Sprdiff

COARSE = "coarse"
"""The graph of the coarse picture."""


class SprdiffPictureCoder(PictureCoder):
    """One picture's latents."""

    networks: SprdiffNetworks

    def stream(self, qindex: int, search_steps: int = 0) -> Stream:
        """The stream at a quality index, after so many steps of a search for better symbols."""
        y, z = self.found(self.qindex(qindex), search_steps)
        source = LatentSource(y, z, offsets=self.offsets)
        code = self.networks.family.symbol_codec.code_latents
        return self.written(
            SprdiffParameters(qindex).pack(),
            lambda coder: code(coder, self.size, qindex, source, self.mapped)[0],
        )


class SprdiffNetworks(LatentNetworks):
    """The networks of the `sprdiff` family on one device, for inference."""

    stride, noise_stride = STRIDE // CELLS, VAE_STRIDE
    coder = SprdiffPictureCoder
    family: Sprdiff

    def reconstruct(self, symbols: LatentSymbols, options: SprdiffDecoding) -> NDArray[np.uint8]:
        """Symbols -> padded pixels H x W x 3; a fidelity of 1 needs no sample."""
        height, width = (STRIDE * side for side in symbols.z.shape[:2])
        graphs, dial = self.graphs.sized(height * width), np.array([options.fidelity], np.float32)
        name = self.drawing(options)
        grid = None if name == COARSE else self.noise_of(height, width, options.seed)

        def work(tile: Tile) -> NDArray[np.uint8]:
            told = tile.cut(symbols.latent, self.stride), tile.cut(symbols.qindex, STRIDE)
            drawn = () if grid is None else (tile.cut(grid, self.noise_stride), dial)
            (pixels,) = graphs(name, *told, *drawn)
            return pixels

        return assemble((height, width), self.area, 1, work)

    def drawing(self, options: SprdiffDecoding) -> str:
        """The coarse picture's graph, or that of so many steps."""
        return COARSE if options.fidelity == 1 else picture_name(options.steps)

    def noise_of(self, height: int, width: int, seed: int = 0) -> Floats:
        """H/16 x W/16 x C; every seed has C channels of its own of one noise."""
        count = self.family.config.vae.latent
        return noise(height // VAE_STRIDE, width // VAE_STRIDE, count, seed * count)


def picture_name(steps: int) -> str:
    """The graph of a picture in so many steps of the diffusion."""
    return "picture" if steps == 1 else f"picture-{steps}"
