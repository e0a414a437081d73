"""The float networks at work: pixels to latents, symbols to pixels, in tiles, whatever computes
them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from hdcodec.format import Header
from hdcodec.models.devices import TORCH
from hdcodec.models.family import Rate, Stream
from hdcodec.models.latents import Map
from hdcodec.models.networks import Floats, LatentNetworks, Latents
from hdcodec.models.noise import noise
from hdcodec.models.qualities import STRIDE
from hdcodec.models.tiles import Tile, assemble

from . import encoder
from .config import LATENT_STRIDE
from .options import Decoding, Encoding
from .symbols import HdcSymbols

if TYPE_CHECKING:
    from hdcodec.models.graphs import Graphs

    from .family import Hdc
    from .graphs import HdcGraphs
    from .search import Judgement

SEARCHED_AREA = 1024 * 1024
"""Pixels that a search sees at a time: gradients take five times the memory of a decoder."""

JUDGED_AREA = 768 * 640
"""The same where a judge, whose networks are large, sees them too."""


class HdcNetworks(LatentNetworks):
    """The networks of the `hdc` family on one device, for inference."""

    stride = LATENT_STRIDE

    def __init__(self, family: Hdc, graphs: Graphs) -> None:
        super().__init__(graphs)
        self.family, self.noise_channels = family, 2 * family.config.drv

    def encode(self, pixels: NDArray[np.uint8], rate: Rate, options: Encoding) -> Stream:
        """H x W x 3 of any size -> stream; where no quality fits the budget, the smallest. A search
        takes torch. Raises DeviceError where there is none."""
        networks = self.in_torch if options.effort else self
        return encoder.encode(networks, pixels, rate, options)

    def decode(self, header: Header, symbols: HdcSymbols, options: Decoding) -> NDArray[np.uint8]:
        """Symbols -> H x W x 3 of the header's size. Denoising steps of the caller's own take
        torch."""
        networks = self
        if options.denoising_steps is not None:
            graphs = cast("HdcGraphs", self.in_torch.graphs)
            networks = self._with(graphs.denoised(options.denoising_steps))
        pixels = networks.reconstruct(symbols, options.fidelity)
        return np.ascontiguousarray(pixels[: header.height, : header.width])

    @property
    def in_torch(self) -> HdcNetworks:
        """These networks computed by torch."""
        return self if self.backend == TORCH else self._with(self._torch_graphs)

    @cached_property
    def _torch_graphs(self) -> Graphs:
        return self.family.load(self.device, self.asked, TORCH).graphs

    def _with(self, graphs: Graphs) -> HdcNetworks:
        networks = HdcNetworks(self.family, graphs)
        networks.area = self.area
        return networks

    def refine(
        self, latents: Latents, qindex: Map, steps: int, judge: Judgement | None = None
    ) -> tuple[Floats, Floats]:
        """What `gained` gives, after a search of `steps` steps for what costs less: in squared
        error of the base image, or in what `judge` says of the picture. By torch alone."""
        graphs, grid = cast("HdcGraphs", self.graphs), self._noise(latents.pixels.shape[:2])

        def work(tile: Tile) -> Floats:
            pixels, y = tile.cut(latents.pixels, 1), tile.cut(latents.latents, 16)
            drawn, q = tile.cut(grid, 32), tile.cut(qindex, STRIDE)
            return self.joined(*graphs.refined(pixels, y, drawn, q, steps, judge))

        area = SEARCHED_AREA if judge is None else JUDGED_AREA
        return self.parted(latents, min(self.area, area), work)

    def indices(
        self, latents: Latents, latent: NDArray[np.int16], qindex: Map
    ) -> NDArray[np.int64]:
        """VQ indices (H/16 x W/16) of a picture given its decoded latents."""

        def work(tile: Tile) -> NDArray[np.int64]:
            pixels, decoded = tile.cut(latents.pixels, 1), tile.cut(latent, 16)
            (found,) = self.graphs("indices", pixels, decoded, tile.cut(qindex, STRIDE))
            return found

        return assemble(latents.pixels.shape[:2], self.area, 16, work)

    def reconstruct(self, symbols: HdcSymbols, fidelity: float) -> NDArray[np.uint8]:
        """Symbols -> padded pixels H x W x 3."""
        height, width = (STRIDE * side for side in symbols.z.shape[:2])
        grid, dial = self._noise((height, width)), np.array([fidelity], np.float32)
        indices, graphs = symbols.indices.astype(np.int64), self.graphs.sized(height * width)

        def work(tile: Tile) -> NDArray[np.uint8]:
            (pixels,) = graphs(
                "picture",
                tile.cut(symbols.latent, 16),
                tile.cut(symbols.qindex, STRIDE),
                tile.cut(indices, 16),
                tile.cut(symbols.kept, 16),
                tile.cut(grid, 32),
                dial,
            )
            return pixels

        return assemble((height, width), self.area, 1, work)

    def _noise(self, size: tuple[int, ...]) -> Floats:
        """H/32 x W/32 x C for H x W pixels."""
        return noise(size[0] // 32, size[1] // 32, self.noise_channels)
