"""The float networks at work: pixels to latents, symbols to pixels, on any device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from hdcodec._errors import DeviceError, WeightsError
from hdcodec.entropy.fixedpoint import FRACTION_BITS
from hdcodec.entropy.latents import Symbolic
from hdcodec.weights import Weights

from .config import Config
from .drv import DEFAULT_STEPS, sampling_noise
from .model import Ablation, HdcModel

_TRAINING_ONLY = ("drv_encoder.", "lic.entropy.", "prior.")

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Latents:
    """A picture after the analysis: pixels 1 x 3 x H x W in [0, 1], latents before gain."""

    pixels: Tensor
    latents: Tensor


@contextmanager
def _defaults() -> Iterator[None]:
    """torch as it is at its start; the caller's random state, dtype and device come back after."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(dtype)


def _inference(
    method: Callable[Concatenate[Networks, P], R],
) -> Callable[Concatenate[Networks, P], R]:
    """`method` in float32 and without gradients, whatever modes its caller is in."""

    @wraps(method)
    def run(self: Networks, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
            return method(self, *args, **kwargs)

    return run


class Networks:
    """The networks of the `hdc` family on one device, for inference."""

    def __init__(self, model: HdcModel, device: torch.device) -> None:
        self.device = device
        model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = model.eval().requires_grad_(False)
        self.ablation = Ablation()

    @classmethod
    def load(cls, weights: Weights, device: str) -> Networks:
        """From a family's folder; raises WeightsError, DeviceError."""
        where = pick_device(device)
        try:
            state = load(weights.read("networks.safetensors"))
            with _defaults():
                model = HdcModel(Config.from_dict(weights.manifest["config"]))
            missing, unexpected = model.load_state_dict(
                {k: v.float() for k, v in state.items()}, strict=False
            )
        except (SafetensorError, ValueError, RuntimeError) as error:
            raise WeightsError(f"networks.safetensors does not fit the model: {error}") from error
        if unexpected or [k for k in missing if not k.startswith(_TRAINING_ONLY)]:
            raise WeightsError("networks.safetensors does not fit the model: names differ")
        return cls(model, where)

    @_inference
    def analyse(self, pixels: NDArray[np.uint8]) -> Latents:
        """Padded pixels H x W x 3 (multiples of 64) -> latents, to be coded at any quality."""
        x = torch.from_numpy(pixels).to(self.device).permute(2, 0, 1)[None].float().div(255)
        x = x.contiguous(memory_format=torch.channels_last)
        return Latents(x, self.model.lic.analysis(x))

    @_inference
    def encode(
        self, latents: Latents, quality: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Gained latents y (H/16 x W/16 x C) and hyper-latents z (H/64 x W/64 x C)."""
        q = self._quality(quality)
        y = latents.latents * self.model.lic.gain(q)
        return _array(y), _array(self.model.lic.hyper(y, q))

    @_inference
    def indices(
        self, latents: Latents, latent: NDArray[np.float64], quality: int
    ) -> NDArray[np.int64]:
        """VQ indices (H/16 x W/16) of a picture given its decoded latents."""
        base, _ = self.model.lic.decode(self._latent(latent), self._quality(quality))
        z = self.model.vq_encoder(latents.pixels, base.clamp(0, 1))
        found: NDArray[np.int64] = self.model.codebook.indices(z)[0].cpu().numpy()
        return found

    @_inference
    def reconstruct(
        self, symbols: Symbolic, quality: int, fidelity: float, steps: int | None
    ) -> NDArray[np.uint8]:
        """Symbols -> padded pixels H x W x 3."""
        cfg, (height, width) = self.model.cfg, symbols.z.shape[:2]
        noise = sampling_noise(2 * cfg.drv, 2 * height, 2 * width).to(self.device)
        out = self.model.reconstruct(
            self._latent(symbols.latent),
            self._quality(quality),
            torch.from_numpy(symbols.indices.astype(np.int64)).to(self.device)[None],
            torch.from_numpy(symbols.kept).to(self.device)[None, None],
            noise,
            torch.full((1, 1, 1, 1), fidelity, dtype=torch.float32, device=self.device),
            DEFAULT_STEPS if steps is None else steps,
            self.ablation,
        )
        pixels = out[0].clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0)
        return np.ascontiguousarray(pixels.cpu().numpy())

    def _quality(self, quality: int) -> Tensor:
        return torch.tensor([quality], device=self.device)

    def _latent(self, latent: NDArray[np.float64]) -> Tensor:
        x = torch.from_numpy((latent / 2**FRACTION_BITS).astype(np.float32)).permute(2, 0, 1)[None]
        return x.to(self.device).contiguous(memory_format=torch.channels_last)


def pick_device(name: str) -> torch.device:
    """ "auto", "cpu", "cuda" or "cuda:n" -> device; raises DeviceError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"unknown device {name!r}") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"device {name!r} is not there")
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"device {name!r} is not supported; use cpu or cuda")
    return device


def _array(x: Tensor) -> NDArray[Any]:
    return np.ascontiguousarray(x[0].float().permute(1, 2, 0).cpu().numpy())
