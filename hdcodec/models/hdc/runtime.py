"""The float networks at work: pixels to a range stream, symbols to pixels, in tiles, whatever
computes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from hdcodec.models.family import Stream
from hdcodec.models.latent.networks import Floats, LatentNetworks, Latents
from hdcodec.models.latent.picture_coder import PictureCoder
from hdcodec.models.latent.qualities import STRIDE
from hdcodec.models.latent.symbols import Map
from hdcodec.models.noise import noise
from hdcodec.models.tiles import Tile, assemble

from .config import CELLS
from .options import Decoding, Encoding
from .symbols import HdcSymbols, Source

if TYPE_CHECKING:
    from .family import Hdc
    from .graphs import HdcGraphs


class HdcPictureCoder(PictureCoder):
    """One picture's latents and VQ indices."""

    networks: HdcNetworks
    options: Encoding

    def stream(self, qindex: int, search_steps: int = 0) -> Stream:
        """The stream at a quality index, after so many steps of a search for better symbols."""
        networks, q = self.networks, self.qindex(qindex)
        y, z = self.found(q, search_steps)
        source = Source(
            y, z, lambda latent: networks.indices(self.latents, latent, q), offsets=self.offsets
        )
        found = networks.family.at(qindex, self.options.kept)
        code = networks.family.symbol_codec.code
        return self.written(
            found.pack(),
            lambda coder: code(coder, self.size, qindex, found.kept, source, self.mapped),
        )


class HdcNetworks(LatentNetworks):
    """The networks of the `hdc` family on one device, for inference."""

    stride, noise_stride = STRIDE // CELLS, 32
    coder = HdcPictureCoder
    family: Hdc

    def indices(
        self, latents: Latents, latent: NDArray[np.int16], qindex: Map
    ) -> NDArray[np.int64]:
        """VQ indices (H/16 x W/16) of a picture given its decoded latents."""

        def work(tile: Tile) -> NDArray[np.int64]:
            pixels, decoded = tile.cut(latents.pixels, 1), tile.cut(latent, self.stride)
            (found,) = self.graphs("indices", pixels, decoded, tile.cut(qindex, STRIDE))
            return found

        return assemble(latents.pixels.shape[:2], self.area, self.stride, work)

    def reconstruct(self, symbols: HdcSymbols, options: Decoding) -> NDArray[np.uint8]:
        """Symbols -> padded pixels H x W x 3. Denoising steps of the caller's own take torch."""
        height, width = (STRIDE * side for side in symbols.z.shape[:2])
        grid, dial = self.noise_of(height, width), np.array([options.fidelity], np.float32)
        indices, graphs = symbols.indices.astype(np.int64), self.graphs.sized(height * width)
        if options.denoising_steps is not None:
            graphs = cast("HdcGraphs", self.in_torch.graphs).denoised(options.denoising_steps)

        def work(tile: Tile) -> NDArray[np.uint8]:
            (pixels,) = graphs(
                "picture",
                tile.cut(symbols.latent, self.stride),
                tile.cut(symbols.qindex, STRIDE),
                tile.cut(indices, self.stride),
                tile.cut(symbols.kept, self.stride),
                tile.cut(grid, self.noise_stride),
                dial,
            )
            return pixels

        return assemble((height, width), self.area, 1, work)

    def noise_of(self, height: int, width: int) -> Floats:
        """The noise that pictures of H x W pixels are decoded with, H/32 x W/32 x C."""
        stride = self.noise_stride
        return noise(height // stride, width // stride, 2 * self.family.config.drv)
