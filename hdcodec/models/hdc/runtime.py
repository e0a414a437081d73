"""The float networks at work: pixels to latents, symbols to pixels, on any device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.torch import load
from torch import Tensor

from hdcodec._errors import WeightsError, lacks_memory
from hdcodec.entropy.fixedpoint import FRACTION_BITS
from hdcodec.entropy.latents import HYPER_STRIDE, Symbolic
from hdcodec.weights import Weights

from .config import STRIDE, Config
from .devices import has_bfloat16, pick_device
from .drv import DEFAULT_STEPS, sampling_noise
from .lic import Lic
from .model import Ablation, HdcModel
from .search import Judgement, search, search_perceptual
from .tiles import AREA, Tile, assemble
from .twins import restore_twins

_TRAINING_ONLY = ("drv_encoder.", "lic.entropy.", "prior.")

JUDGED_AREA = 768 * 640
"""Pixels that a search sees at a time where a judge, whose networks are large, sees them too."""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Latents:
    """A picture after the analysis: padded pixels H x W x 3, latents H/16 x W/16 x C before gain.

    In the computer's memory, whatever the device.
    """

    pixels: NDArray[np.uint8]
    latents: NDArray[np.float32]


@contextmanager
def _defaults() -> Iterator[None]:
    """torch as it is at its start; the caller's random state, dtype and device come back after."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        fresh = torch.random.fork_rng(devices=[])
        with fresh, torch.device("cpu"), torch.inference_mode(False):
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

    def __init__(
        self, model: HdcModel, device: torch.device, weights: Weights | None = None
    ) -> None:
        self.device, self.weights = device, weights
        model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = model.eval().requires_grad_(False)
        self.ablation = Ablation()
        self.half = has_bfloat16(device)
        """Whether the decoder computes in bfloat16; symbols never depend on it."""
        self.area = AREA
        """Pixels that the networks may see at a time; larger pictures go through in tiles."""

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
            if lacks_memory(error):
                raise
            raise WeightsError(f"networks.safetensors does not fit the model: {error}") from error
        if unexpected or [k for k in missing if not k.startswith(_TRAINING_ONLY)]:
            raise WeightsError("networks.safetensors does not fit the model: names differ")
        with torch.inference_mode(False):
            return cls(model, where, weights)

    @_inference
    def analyse(self, pixels: NDArray[np.uint8]) -> Latents:
        """Padded pixels H x W x 3 (multiples of 64) -> latents, to be coded at any quality."""

        def work(tile: Tile) -> NDArray[np.float32]:
            return _array(self.model.lic.analysis(self._pixels(tile.cut(pixels, 1))))

        return Latents(pixels, assemble(pixels.shape[:2], self.area, 16, work))

    @_inference
    def encode(
        self, latents: Latents, quality: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Gained latents y (H/16 x W/16 x C) and hyper-latents z (H/64 x W/64 x C)."""
        q = self._quality(quality)
        y = latents.latents * _array(self.model.lic.gain(q))

        def work(tile: Tile) -> NDArray[np.float32]:
            return _array(self.model.lic.hyper(self._features(tile.cut(y, 16)), q))

        return y, assemble(latents.pixels.shape[:2], self.area, 64, work)

    def refine(
        self, latents: Latents, quality: int, steps: int, judge: Judgement | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What `encode` gives, after a search of `steps` steps for what costs less: in squared
        error of the base image, or in what `judge` says of the picture."""
        plain = torch.autocast(self.device.type, enabled=False)
        with _defaults(), torch.enable_grad(), plain:
            return self._refine(latents, quality, steps, judge)

    def _refine(
        self, latents: Latents, quality: int, steps: int, judge: Judgement | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        lic, q = self._searched_lic, self._quality(quality)
        grid = self._noise(latents.pixels.shape[:2])

        def work(tile: Tile) -> NDArray[np.float32]:
            x = self._pixels(tile.cut(latents.pixels, 1))
            with torch.no_grad():
                y = self._features(tile.cut(latents.latents, 16)) * lic.gain(q)
                z = lic.hyper(y, q)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                if judge is None:
                    y, z = search(lic, x, y, z, q, steps)
                else:
                    noise = self._tokens(tile.cut(grid, 32))
                    y, z = search_perceptual(self.model, judge, x, y, z, noise, q, steps)
            return _array(torch.cat([y, F.interpolate(z, scale_factor=HYPER_STRIDE)], 1))

        area = self.area if judge is None else min(self.area, JUDGED_AREA)
        both = assemble(latents.pixels.shape[:2], area, 16, work)
        y, z = np.split(both, [lic.cfg.latent], 2)
        return y, np.ascontiguousarray(z[::HYPER_STRIDE, ::HYPER_STRIDE])

    @cached_property
    def _searched_lic(self) -> Lic:
        """The LIC stream with its entropy networks, which nothing else here needs."""
        assert self.weights is not None
        try:
            restore_twins(self.model, load_arrays(self.weights.read("entropy.safetensors")))
        except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
            if lacks_memory(error):
                raise
            raise WeightsError(f"entropy.safetensors does not fit the model: {error}") from error
        return self.model.lic

    @_inference
    def indices(
        self, latents: Latents, latent: NDArray[np.int16], quality: int
    ) -> NDArray[np.int64]:
        """VQ indices (H/16 x W/16) of a picture given its decoded latents."""
        q = self._quality(quality)

        def work(tile: Tile) -> NDArray[np.int64]:
            base, _ = self.model.lic.decode(self._latent(tile.cut(latent, 16)), q)
            pixels = self._pixels(tile.cut(latents.pixels, 1))
            z = self.model.vq_encoder(pixels, base.clamp(0, 1))
            found: NDArray[np.int64] = self.model.codebook.indices(z)[0].cpu().numpy()
            return found

        return assemble(latents.pixels.shape[:2], self.area, 16, work)

    @_inference
    def reconstruct(
        self, symbols: Symbolic, quality: int, fidelity: float, steps: int | None
    ) -> NDArray[np.uint8]:
        """Symbols -> padded pixels H x W x 3."""
        height, width = (STRIDE * side for side in symbols.z.shape[:2])
        grid = self._noise((height, width))

        def work(tile: Tile) -> NDArray[np.uint8]:
            indices = torch.from_numpy(tile.cut(symbols.indices, 16).astype(np.int64))[None]
            inputs = (
                self._latent(tile.cut(symbols.latent, 16)),
                self._quality(quality),
                indices.to(self.device),
                torch.from_numpy(tile.cut(symbols.kept, 16))[None, None].to(self.device),
                self._tokens(tile.cut(grid, 32)),
                torch.full((1, 1, 1, 1), fidelity, dtype=torch.float32, device=self.device),
            )
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                out = self.model.reconstruct(
                    *inputs, DEFAULT_STEPS if steps is None else steps, self.ablation
                )
            pixels = out[0].clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0)
            return np.ascontiguousarray(pixels.cpu().numpy())

        return assemble((height, width), self.area, 1, work)

    def _noise(self, size: Sequence[int]) -> Tensor:
        """H/32 x W/32 x C on the CPU for H x W pixels."""
        noise = sampling_noise(2 * self.model.cfg.drv, size[0] // 32, size[1] // 32)
        return noise[0].permute(1, 2, 0)

    def _tokens(self, grid: Tensor) -> Tensor:
        """h x w x C -> 1 x C x h x w on the device."""
        return grid.permute(2, 0, 1)[None].to(self.device)

    def _quality(self, quality: int) -> Tensor:
        return torch.tensor([quality], device=self.device)

    def _pixels(self, pixels: NDArray[np.uint8]) -> Tensor:
        """0..255 -> 0..1"""
        return self._features(pixels).float().div(255)

    def _latent(self, latent: NDArray[np.int16]) -> Tensor:
        """Units of 2**-10 -> 1"""
        return self._features(latent.astype(np.float32) / 2**FRACTION_BITS)

    def _features(self, array: NDArray[Any]) -> Tensor:
        """H x W x C -> 1 x C x H x W on the device."""
        x = torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1)[None]
        return x.to(self.device).contiguous(memory_format=torch.channels_last)


def _array(x: Tensor) -> NDArray[Any]:
    return np.ascontiguousarray(x[0].float().permute(1, 2, 0).cpu().numpy())
