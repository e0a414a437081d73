"""From pixels to a range stream: choice of a quality, search for better symbols."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from hdcodec.models.budget import highest, nearby
from hdcodec.models.family import Rate, Stream
from hdcodec.models.networks import PictureCoder
from hdcodec.models.qualities import QUALITIES, qindex_of

from .options import PERCEPTUAL, PSNR, Encoding
from .symbols import Source

if TYPE_CHECKING:
    import torch

    from hdcodec.models.regions import Regions
    from hdcodec.perceptual import Judge

    from .graphs import HdcGraphs
    from .runtime import HdcNetworks

SEARCH_STEPS = {PSNR: 6, PERCEPTUAL: 12}
"""Steps of a search for better symbols per unit of `effort`."""


def encode(
    networks: HdcNetworks, pixels: NDArray[np.uint8], rate: Rate, options: Encoding
) -> Stream:
    """H x W x 3 of any size -> the stream of a quality, or of the best one within a budget."""
    search_steps = SEARCH_STEPS[options.tune] * options.effort
    judge = None
    if search_steps and options.tune == PERCEPTUAL:
        graphs = cast("HdcGraphs", networks.graphs)
        judge = _judge(options.metric_weights, graphs.place, graphs.half)
    coder = HdcPictureCoder(networks, pixels, options, rate.regions, judge)
    if rate.budget is None:
        return coder.stream(qindex_of(rate.quality), search_steps)
    start, best = highest(coder.stream, QUALITIES - 1, rate.budget, qindex_of(rate.quality))
    if not search_steps or len(best.payload) > rate.budget:
        return best
    searched = partial(coder.stream, search_steps=search_steps)
    return nearby(searched, start, QUALITIES - 1, rate.budget, best)


class HdcPictureCoder(PictureCoder):
    """One picture's latents, to be coded at any quality."""

    def __init__(
        self,
        networks: HdcNetworks,
        pixels: NDArray[np.uint8],
        options: Encoding,
        regions: Regions | None = None,
        judge: Judge | None = None,
    ) -> None:
        super().__init__(networks, pixels, regions)
        self.networks, self.options, self.judge = networks, options, judge

    def stream(self, qindex: int, search_steps: int = 0) -> Stream:
        """The stream at a quality index, after so many steps of a search for better symbols."""
        networks, latents, q = self.networks, self.latents, self.qindex(qindex)
        family = networks.family
        if search_steps:
            y, z = networks.refine(latents, q, search_steps, self.judge)
        else:
            y, z = networks.gained(latents, q)
        source = Source(
            y, z, lambda latent: networks.indices(latents, latent, q), offsets=self.offsets
        )
        found, code = family.at(qindex, self.options.kept), family.symbol_codec.code
        return self.written(
            found.pack(),
            lambda coder: code(coder, self.size, qindex, found.kept, source, self.mapped),
        )


@lru_cache(maxsize=1)
def _judge(folder: str | None, device: torch.device, half: bool) -> Judge:
    from hdcodec.perceptual import load_judge

    return load_judge(folder, device, half)
