"""The networks of hdc as graphs of arrays (`hdcodec.models.graphs`), and loading them into torch.

`HdcGraphs` computes them with torch; `hdcodec.train.graphs` exports the same modules.
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
    unit,
)
from hdcodec.models.latent.search import Space
from hdcodec.models.latent.searched_graphs import SearchedGraphs

from .config import Config
from .drv import DENOISING_STEPS
from .model import HdcModel

if TYPE_CHECKING:
    from hdcodec.weights import Weights

_TRAINING_ONLY = ("drv_encoder.", "lic.entropy.", "prior.")


class IndicesGraph(nn.Module):
    """Pixels, decoded latents (int16, units of 2**-10) and quality indices -> VQ indices, int64
    H/16 x W/16."""

    def __init__(self, model: HdcModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor, latent: Tensor, qindex: Tensor) -> Tensor:
        """See the class."""
        base, _ = self.model.lic.decode(decoded(latent), qindex[None])
        z = self.model.vq_encoder(unit(pixels), base.clamp(0, 1))
        return self.model.codebook.indices(z)[0]


class PictureGraph(nn.Module):
    """The decoder after the symbols: decoded latents (int16), quality indices, VQ indices (int64
    H/16 x W/16), which of them were sent (bool), noise (float32 H/32 x W/32 x C) and a fidelity
    (float32 1) -> pixels, uint8 H x W x 3."""

    def __init__(self, model: HdcModel, steps: int = DENOISING_STEPS) -> None:
        super().__init__()
        self.model, self.steps = model, steps

    def forward(
        self,
        latent: Tensor,
        qindex: Tensor,
        indices: Tensor,
        kept: Tensor,
        noise: Tensor,
        fidelity: Tensor,
    ) -> Tensor:
        """See the class."""
        out = self.model.reconstruct(
            decoded(latent),
            qindex[None],
            indices[None],
            kept[None, None],
            first(noise),
            fidelity[None, None, None],
            self.steps,
        )
        return levels(out)


class HdcGraphs(SearchedGraphs[HdcModel]):
    """The graphs in torch, and any number of denoising steps."""

    pictures = ("picture",)

    @staticmethod
    def stored(weights: Weights) -> HdcModel:
        """See `SearchedGraphs`."""
        sizes = weights.manifest["config"]
        return stored_model(lambda: HdcModel(Config.from_dict(sizes)), weights, _TRAINING_ONLY)

    @staticmethod
    def graphs_of(model: HdcModel) -> dict[str, nn.Module]:
        """See `SearchedGraphs`."""
        return {
            "analysis": AnalysisGraph(model),
            "gained": GainedGraph(model),
            "indices": IndicesGraph(model),
            "picture": PictureGraph(model),
        }

    def denoised(self, steps: int) -> HdcGraphs:
        """The same networks, whose pictures take so many denoising steps."""
        other = HdcGraphs(self.model, self.place, self.precision, self.weights)
        other.modules["picture"] = PictureGraph(self.model, steps)
        return other

    def space(self, coding: LatentCoding, qindex: Tensor, noise: Tensor) -> Space:
        """Through the base image, or through the picture of fidelity 0 without indices."""
        lic, factor = self.model.lic, trade_off(qindex.float())

        def drawn(latent: Tensor) -> Tensor:
            rows, columns = latent.shape[2:]
            indices = torch.zeros(1, rows, columns, dtype=torch.long, device=latent.device)
            kept = torch.zeros(1, 1, rows, columns, dtype=torch.bool, device=latent.device)
            dial = torch.zeros(1, 1, 1, 1, dtype=torch.float32, device=latent.device)
            steps = DENOISING_STEPS
            return self.model.reconstruct(latent, qindex, indices, kept, noise, dial, steps)

        return Space(coding, qindex, factor, lambda y: lic.decode(y, qindex)[0], drawn)
