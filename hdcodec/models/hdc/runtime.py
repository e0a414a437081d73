"""The float networks at work: pixels to latents, symbols to pixels, on any device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hdcodec._errors import WeightsError, lacks_memory
from hdcodec.entropy.fixedpoint import FRACTION_BITS
from hdcodec.format import Header
from hdcodec.models.devices import chosen_bfloat16, pick_device
from hdcodec.models.family import Rate, Stream
from hdcodec.models.tiles import AREA, Tile, assemble

from . import encoder
from .config import HYPER_STRIDE, STRIDE, Config
from .drv import DENOISING_STEPS, sampling_noise
from .lic import Lic
from .model import HdcModel
from .options import Decoding, Encoding, Parameters
from .search import Judgement, search, search_perceptual
from .symbols import HdcSymbols
from .twins import restore_twins

if TYPE_CHECKING:
    from .family import Hdc

_TRAINING_ONLY = ("drv_encoder.", "lic.entropy.", "prior.")

SEARCHED_AREA = 1024 * 1024
"""Pixels that a search sees at a time: gradients take five times the memory of a decoder."""

JUDGED_AREA = 768 * 640
"""The same where a judge, whose networks are large, sees them too."""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Latents:
    """A picture after the analysis: padded pixels H x W x 3, latents H/16 x W/16 x C before gain.

    In the computer's memory, whatever the device.
    """

    pixels: NDArray[np.uint8]
    latents: NDArray[np.float32]


def _inference(
    method: Callable[Concatenate[HdcNetworks, P], R],
) -> Callable[Concatenate[HdcNetworks, P], R]:
    """`method` in float32 and without gradients, whatever modes its caller is in."""

    @wraps(method)
    def run(self: HdcNetworks, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
            return method(self, *args, **kwargs)

    return run


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


class HdcNetworks:
    """The networks of the `hdc` family on one device, for inference."""

    def __init__(
        self, family: Hdc, model: HdcModel, device: torch.device, precision: str = "auto"
    ) -> None:
        self.family, self.device = family, device
        model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = model.eval().requires_grad_(False)
        self.half = chosen_bfloat16(device, precision)
        """Whether the decoder computes in bfloat16; symbols never depend on it."""
        self.area = AREA
        """Pixels that the networks may see at a time; larger pictures go through in tiles."""

    @property
    def precision(self) -> str:
        """What the decoder computes in."""
        return "bfloat16" if self.half else "float32"

    @classmethod
    def load(cls, family: Hdc, device: str, precision: str = "auto") -> HdcNetworks:
        """From the family's weights; raises WeightsError, DeviceError."""
        where, weights = pick_device(device), family.weights
        try:
            stored = weights.arrays("networks.safetensors")
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
            return cls(family, model, where, precision)

    def encode(self, pixels: NDArray[np.uint8], rate: Rate, options: Encoding) -> Stream:
        """H x W x 3 of any size -> stream; where no quality fits the budget, the smallest."""
        return encoder.encode(self, pixels, rate, options)

    def decode(self, header: Header, symbols: HdcSymbols, options: Decoding) -> NDArray[np.uint8]:
        """Symbols -> H x W x 3 of the header's size."""
        qindex = Parameters.parse(header.parameters).qindex
        steps = options.denoising_steps or DENOISING_STEPS
        pixels = self.reconstruct(symbols, qindex, options.fidelity, steps)
        return np.ascontiguousarray(pixels[: header.height, : header.width])

    @_inference
    def analyse(self, pixels: NDArray[np.uint8]) -> Latents:
        """Padded pixels H x W x 3 (multiples of 64) -> latents, to be coded at any quality."""

        def work(tile: Tile) -> NDArray[np.float32]:
            return _array(self.model.lic.analysis(self._pixels(tile.cut(pixels, 1))))

        return Latents(pixels, assemble(pixels.shape[:2], self.area, 16, work))

    @_inference
    def gained(
        self, latents: Latents, qindex: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Gained latents y (H/16 x W/16 x C) and hyper-latents z (H/64 x W/64 x C)."""
        q = self._qindex(qindex)
        y = latents.latents * _array(self.model.lic.gain(q))

        def work(tile: Tile) -> NDArray[np.float32]:
            return _array(self.model.lic.hyper(self._features(tile.cut(y, 16)), q))

        return y, assemble(latents.pixels.shape[:2], self.area, 64, work)

    def refine(
        self, latents: Latents, qindex: int, steps: int, judge: Judgement | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What `gained` gives, after a search of `steps` steps for what costs less: in squared
        error of the base image, or in what `judge` says of the picture."""
        plain = torch.autocast(self.device.type, enabled=False)
        with torch.inference_mode(False), torch.enable_grad(), torch.device("cpu"), plain:
            return self._refine(latents, qindex, steps, judge)

    def _refine(
        self, latents: Latents, qindex: int, steps: int, judge: Judgement | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        lic, q = self._searched_lic, self._qindex(qindex)
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

        area = min(self.area, SEARCHED_AREA if judge is None else JUDGED_AREA)
        both = assemble(latents.pixels.shape[:2], area, 16, work)
        y, z = np.split(both, [lic.cfg.latent], 2)
        return y, np.ascontiguousarray(z[::HYPER_STRIDE, ::HYPER_STRIDE])

    @cached_property
    def _searched_lic(self) -> Lic:
        """The LIC stream with its entropy networks, which nothing else here needs."""
        try:
            restore_twins(self.model, self.family.weights.arrays("entropy.safetensors"))
        except (KeyError, ValueError, RuntimeError) as error:
            if lacks_memory(error):
                raise
            raise WeightsError(f"entropy.safetensors does not fit the model: {error}") from error
        return self.model.lic

    @_inference
    def indices(
        self, latents: Latents, latent: NDArray[np.int16], qindex: int
    ) -> NDArray[np.int64]:
        """VQ indices (H/16 x W/16) of a picture given its decoded latents."""
        q = self._qindex(qindex)

        def work(tile: Tile) -> NDArray[np.int64]:
            base, _ = self.model.lic.decode(self._latent(tile.cut(latent, 16)), q)
            pixels = self._pixels(tile.cut(latents.pixels, 1))
            z = self.model.vq_encoder(pixels, base.clamp(0, 1))
            found: NDArray[np.int64] = self.model.codebook.indices(z)[0].cpu().numpy()
            return found

        return assemble(latents.pixels.shape[:2], self.area, 16, work)

    @_inference
    def reconstruct(
        self, symbols: HdcSymbols, qindex: int, fidelity: float, steps: int = DENOISING_STEPS
    ) -> NDArray[np.uint8]:
        """Symbols -> padded pixels H x W x 3; `steps` of denoising."""
        height, width = (STRIDE * side for side in symbols.z.shape[:2])
        grid = self._noise((height, width))

        def work(tile: Tile) -> NDArray[np.uint8]:
            indices = torch.from_numpy(tile.cut(symbols.indices, 16).astype(np.int64))[None]
            inputs = (
                self._latent(tile.cut(symbols.latent, 16)),
                self._qindex(qindex),
                indices.to(self.device),
                torch.from_numpy(tile.cut(symbols.kept, 16))[None, None].to(self.device),
                self._tokens(tile.cut(grid, 32)),
                torch.full((1, 1, 1, 1), fidelity, dtype=torch.float32, device=self.device),
            )
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                out = self.model.reconstruct(*inputs, steps)
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

    def _qindex(self, qindex: int) -> Tensor:
        return torch.tensor([qindex], device=self.device)

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
