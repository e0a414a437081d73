"""The networks of hdc as graphs of arrays (`hdcodec.models.graphs`), and loading them into torch.

`HdcGraphs` computes them with torch; `hdcodec.train.graphs` exports the same modules.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hdcodec._errors import WeightsError, lacks_memory
from hdcodec.models.devices import pick_device
from hdcodec.models.latent_graphs import (
    AnalysisGraph,
    GainedGraph,
    decoded,
    first,
    last,
    levels,
    stored_model,
    unit,
)
from hdcodec.models.torch_graphs import TorchGraphs, told_when_full

from .config import Config
from .drv import DENOISING_STEPS
from .lic import Lic
from .model import HdcModel
from .search import Judgement, search, search_perceptual
from .twins import restore_twins

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


def modules(model: HdcModel) -> dict[str, nn.Module]:
    """The graphs by name."""
    return {
        "analysis": AnalysisGraph(model),
        "gained": GainedGraph(model),
        "indices": IndicesGraph(model),
        "picture": PictureGraph(model),
    }


class HdcGraphs(TorchGraphs):
    """The graphs in torch, any number of denoising steps, and the search for better symbols."""

    def __init__(
        self, model: HdcModel, device: torch.device, precision: str = "auto", weights: Any = None
    ) -> None:
        model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model, self.weights = model.eval().requires_grad_(False), weights
        super().__init__(modules(model), device, precision, halved=("picture",))

    @classmethod
    def load(cls, weights: Weights, device: str, precision: str = "auto") -> HdcGraphs:
        """From the family's weights; raises WeightsError, DeviceError."""
        where, sizes = pick_device(device), weights.manifest["config"]
        model = stored_model(lambda: HdcModel(Config.from_dict(sizes)), weights, _TRAINING_ONLY)
        with torch.inference_mode(False):
            return cls(model, where, precision, weights)

    def denoised(self, steps: int) -> HdcGraphs:
        """The same networks, whose pictures take so many denoising steps."""
        other = HdcGraphs(self.model, self.place, self.precision, self.weights)
        other.modules["picture"] = PictureGraph(self.model, steps)
        return other

    def refined(
        self,
        pixels: NDArray[np.uint8],
        latents: NDArray[np.float32],
        noise: NDArray[np.float32],
        qindex: NDArray[np.int64],
        steps: int,
        judge: Judgement | None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What "gained" gives, after a search of `steps` steps for what costs less: in squared
        error of the base image, or in what `judge` says of the picture."""
        plain, told = torch.autocast(self.place.type, enabled=False), told_when_full()
        with told, torch.inference_mode(False), torch.enable_grad(), torch.device("cpu"), plain:
            lic, q = self._searched_lic, self.tensor(qindex)[None]
            x = unit(self.tensor(pixels))
            with torch.no_grad():
                y = first(self.tensor(latents)) * lic.gain(q)
                z = lic.hyper(y, q)
            with torch.autocast(self.place.type, torch.bfloat16, enabled=self.half):
                if judge is None:
                    y, z = search(lic, x, y, z, q, steps)
                else:
                    drawn = first(self.tensor(noise))
                    y, z = search_perceptual(self.model, judge, x, y, z, drawn, q, steps)
            return last(y).cpu().numpy(), last(z).cpu().numpy()

    @cached_property
    def _searched_lic(self) -> Lic:
        """The LIC stream with its entropy networks, which nothing else here needs."""
        try:
            restore_twins(self.model, self.weights.arrays("entropy.safetensors"))
        except (KeyError, ValueError, RuntimeError) as error:
            if lacks_memory(error):
                raise
            raise WeightsError(f"entropy.safetensors does not fit the model: {error}") from error
        return self.model.lic
