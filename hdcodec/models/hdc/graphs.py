"""The networks of hdc as graphs of arrays (`hdcodec.models.graphs`), and loading them into torch.

`HdcGraphs` computes them with torch; `hdcodec.train.graphs` exports the same modules.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hdcodec._errors import WeightsError, lacks_memory
from hdcodec.entropy.fixedpoint import FRACTION_BITS
from hdcodec.models.devices import pick_device
from hdcodec.models.torch_graphs import TorchGraphs, told_when_full
from hdcodec.weights import NETWORKS

from .config import Config
from .drv import DENOISING_STEPS
from .lic import Lic
from .model import HdcModel
from .search import Judgement, search, search_perceptual
from .twins import restore_twins

if TYPE_CHECKING:
    from hdcodec.weights import Weights

_TRAINING_ONLY = ("drv_encoder.", "lic.entropy.", "prior.")


class AnalysisGraph(nn.Module):
    """Pixels, uint8 H x W x 3, sides multiples of 16 -> latents before gain, float32
    H/16 x W/16 x latent."""

    def __init__(self, model: HdcModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        return _last(self.model.lic.analysis(_unit(pixels)))


class GainedGraph(nn.Module):
    """Latents before gain and quality indices, int64 H/64 x W/64 -> gained latents and
    hyper-latents, float32 H/16 x W/16 x latent and H/64 x W/64 x hyper."""

    def __init__(self, model: HdcModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, latents: Tensor, qindex: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        y, q = _first(latents), qindex[None]
        y = y * self.model.lic.gain(q)
        return _last(y), _last(self.model.lic.hyper(y, q))


class IndicesGraph(nn.Module):
    """Pixels, decoded latents (int16, units of 2**-10) and quality indices -> VQ indices, int64
    H/16 x W/16."""

    def __init__(self, model: HdcModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor, latent: Tensor, qindex: Tensor) -> Tensor:
        """See the class."""
        base, _ = self.model.lic.decode(_decoded(latent), qindex[None])
        z = self.model.vq_encoder(_unit(pixels), base.clamp(0, 1))
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
            _decoded(latent),
            qindex[None],
            indices[None],
            kept[None, None],
            _first(noise),
            fidelity[None, None, None],
            self.steps,
        )
        return _last(out).clamp(0, 1).mul(255).round().to(torch.uint8)


def _first(x: Tensor) -> Tensor:
    """H x W x C -> 1 x C x H x W, its channels last in memory."""
    return x.permute(2, 0, 1)[None].contiguous(memory_format=torch.channels_last)


def _last(x: Tensor) -> Tensor:
    """1 x C x H x W -> H x W x C, float32."""
    return x[0].permute(1, 2, 0).float()


def _unit(pixels: Tensor) -> Tensor:
    """0..255, H x W x 3 -> 0..1, 1 x 3 x H x W."""
    return _first(pixels).float().div(255)


def _decoded(latent: Tensor) -> Tensor:
    """Units of 2**-10 -> 1."""
    return _first(latent).float() * 2.0**-FRACTION_BITS


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
        where = pick_device(device)
        try:
            stored = weights.arrays(NETWORKS)
            with torch.inference_mode(False):
                model, missing, unexpected = _filled(
                    Config.from_dict(weights.manifest["config"]), stored
                )
        except (ValueError, RuntimeError) as error:
            if lacks_memory(error):
                raise
            raise WeightsError(f"networks.safetensors does not fit the model: {error}") from error
        if unexpected or [k for k in missing if not k.startswith(_TRAINING_ONLY)]:
            raise WeightsError("networks.safetensors does not fit the model: names differ")
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
            x = _unit(self.tensor(pixels))
            with torch.no_grad():
                y = _first(self.tensor(latents)) * lic.gain(q)
                z = lic.hyper(y, q)
            with torch.autocast(self.place.type, torch.bfloat16, enabled=self.half):
                if judge is None:
                    y, z = search(lic, x, y, z, q, steps)
                else:
                    drawn = _first(self.tensor(noise))
                    y, z = search_perceptual(self.model, judge, x, y, z, drawn, q, steps)
            return _last(y).cpu().numpy(), _last(z).cpu().numpy()

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


def _filled(
    config: Config, stored: dict[str, NDArray[Any]]
) -> tuple[HdcModel, Sequence[str], Sequence[str]]:
    """The model with stored weights as float32, zeros where there are none; the names that are
    missing and those that it does not have.

    Made on the meta device: nothing is drawn at random, and no state of the caller's is touched.
    """
    with torch.device("meta"):
        model = HdcModel(config)
    weights = {name: _weight(array) for name, array in stored.items()}
    missing, unexpected = model.load_state_dict(weights, strict=False, assign=True)
    shapes = {name: tuple(model.get_parameter(name).shape) for name in missing}
    zeros = {name: _weight(np.zeros(shape)) for name, shape in shapes.items()}
    model.load_state_dict(zeros, strict=False, assign=True)
    return model, missing, unexpected


def _weight(array: NDArray[Any]) -> Tensor:
    """As float32, its channels last in memory; by numpy, whose copies wait for no other thread."""
    if array.ndim != 4:
        return torch.from_numpy(array.astype(np.float32))
    last = np.ascontiguousarray(array.transpose(0, 2, 3, 1), dtype=np.float32)
    return torch.from_numpy(last).permute(0, 3, 1, 2)
