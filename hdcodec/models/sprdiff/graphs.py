"""The networks of sprdiff as graphs of arrays (`hdcodec.models.graphs`).

`SprdiffGraphs` computes them with torch; `hdcodec.train.graphs` exports the same modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hdcodec.models.latent.coding import LatentCoding
from hdcodec.models.latent.distortion import trade_off
from hdcodec.models.latent.graphs import (
    AnalysisGraph,
    GainedGraph,
    decoded,
    first,
    levels,
    stored_model,
)
from hdcodec.models.latent.search import Space
from hdcodec.models.latent.searched_graphs import SearchedGraphs

from .config import TRADE_OFF, SprdiffConfig
from .model import SprdiffModel
from .options import STEPS
from .runtime import COARSE, picture_name

if TYPE_CHECKING:
    from hdcodec.weights import Weights

TRAINING_ONLY = ("codec.worth", "codec.felt", "codec.reconstruction.semantic.")
"""What coding does not take."""

INTEGER = ("codec.entropy.",)
"""What coding takes in integers."""


class SampleGraph(nn.Module):
    """The decoder after the symbols: decoded latents (int16 H/32 x W/32 x latent, units of 2**-10),
    quality indices (int64 H/64 x W/64), noise (float32 H/16 x W/16 x vae) and a fidelity (float32
    1) -> pixels, uint8 H x W x 3."""

    def __init__(self, model: SprdiffModel, steps: int) -> None:
        super().__init__()
        self.model, self.steps = model, steps

    def forward(self, latent: Tensor, qindex: Tensor, noise: Tensor, fidelity: Tensor) -> Tensor:
        """See the class."""
        dial = fidelity[None, None, None]
        out = self.model.picture(decoded(latent), qindex[None], first(noise), dial, self.steps)
        return levels(out)


class CoarseGraph(nn.Module):
    """What `SampleGraph` gives at fidelity 1, without noise, in a fraction of the time."""

    def __init__(self, model: SprdiffModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, latent: Tensor, qindex: Tensor) -> Tensor:
        """See the class."""
        return levels(self.model.coarse(self.model.given(decoded(latent), qindex[None])))


class SprdiffGraphs(SearchedGraphs[SprdiffModel]):
    """The graphs in torch."""

    pictures = (COARSE, *map(picture_name, STEPS))

    @staticmethod
    def stored(weights: Weights) -> SprdiffModel:
        """See `SearchedGraphs`; zero also where integers stand for the networks."""
        sizes, lacking = weights.manifest["config"], (*TRAINING_ONLY, *INTEGER)
        return stored_model(lambda: SprdiffModel(SprdiffConfig.from_dict(sizes)), weights, lacking)

    @staticmethod
    def graphs_of(model: SprdiffModel) -> dict[str, nn.Module]:
        """See `SearchedGraphs`."""
        pictures = {picture_name(steps): SampleGraph(model, steps) for steps in STEPS}
        encoder = {"analysis": AnalysisGraph(model), "gained": GainedGraph(model)}
        return {**encoder, COARSE: CoarseGraph(model), **pictures}

    def space(self, coding: LatentCoding, qindex: Tensor, noise: Tensor) -> Space:
        """Through the coarse picture, or through that of a sample in one step."""
        model, dial = self.model, torch.zeros(1, 1, 1, 1, device=noise.device)
        return Space(
            coding,
            qindex,
            trade_off(qindex.float(), TRADE_OFF),
            lambda latent: model.coarse(model.given(latent, qindex)),
            lambda latent: model.picture(latent, qindex, noise, dial, 1),
        )
