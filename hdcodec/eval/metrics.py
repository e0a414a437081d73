"""PSNR, SSIM, MS-SSIM, LPIPS, DISTS and Wasserstein distortion of two pictures; kernel distance of
sets."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hdcodec._errors import HdcError
from hdcodec.eval._sets import Features, kernel_distance
from hdcodec.eval._ssim import ms_ssim, ssim
from hdcodec.models.start import starting_torch

if TYPE_CHECKING:
    from hdcodec.eval._networks import Distances

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Metric:
    """How a metric is shown and read; it is NaN for pictures with a side below `min_side`."""

    title: str
    higher_is_better: bool
    digits: int
    min_side: int
    of_sets: bool = False
    """Whether it compares sets of pictures; that of two pictures is one of their patches."""

    @property
    def sign(self) -> int:
        """What a value is multiplied with so that higher is better."""
        return 1 if self.higher_is_better else -1


METRICS = {
    "psnr": Metric("PSNR", True, 2, 1),
    "ssim": Metric("SSIM", True, 4, 11),
    "msssim": Metric("MS-SSIM", True, 4, 161),
    "lpips_alex": Metric("LPIPS-Alex", False, 4, 31),
    "lpips_vgg": Metric("LPIPS-VGG", False, 4, 16),
    "dists": Metric("DISTS", False, 4, 16),
    "wd": Metric("Wasserstein distortion", False, 4, 32),
    "kd": Metric("Kernel distance", False, 4, 31, of_sets=True),
}

_NO_PATCHES: Features = np.empty((2, 0, 1), np.float16)

SIMILARITIES = {"ssim": ssim, "msssim": ms_ssim}


def measure(
    a: Image.Image | Pixels,
    b: Image.Image | Pixels,
    names: Iterable[str] = tuple(METRICS),
    *,
    weights: str | None = None,
    device: str = "cpu",
) -> dict[str, float]:
    """The named metrics of picture `b` against the original `a`.

    Pictures are PIL images (compared as RGB) or uint8 arrays H x W x 3 of equal size. `weights` is
    a folder of LPIPS and DISTS weights; without it they come from installed packages. `device` is
    "auto", "cpu" or "cuda". A metric that is not defined at this size is NaN; the PSNR of equal
    pictures is infinite. Raises HdcError for different sizes and missing packages, WeightsError for
    missing weights, DeviceError.
    """
    return Reference(a, names, weights=weights, device=device).compare(b)


class Reference:
    """An original that several pictures are compared with; its activations are computed once."""

    def __init__(
        self,
        picture: Image.Image | Pixels,
        names: Iterable[str] = tuple(METRICS),
        *,
        weights: str | None = None,
        device: str = "cpu",
    ) -> None:
        self.names = check_names(names)
        self.weights, self.device = weights, device
        self._pixels = pixels(picture)

    def compare(self, picture: Image.Image | Pixels) -> dict[str, float]:
        """The metrics of `picture` against this original (see `measure`)."""
        other = pixels(picture)
        if other.shape != self._pixels.shape:
            (h, w), (oh, ow) = self._pixels.shape[:2], other.shape[:2]
            raise HdcError(f"pictures differ in size: {w}x{h} and {ow}x{oh}")
        return {name: self._metric(name, other) for name in self.names}

    def _metric(self, name: str, other: Pixels) -> float:
        if min(other.shape[:2]) < METRICS[name].min_side:
            return math.nan
        if name == "psnr":
            return psnr(self._pixels, other)
        if name in SIMILARITIES:
            return SIMILARITIES[name](self._pixels, other)
        if name == "kd":
            return kernel_distance(*self.patches(other))
        return self._distances(name, other)

    def patches(self, picture: Image.Image | Pixels) -> Features:
        """The features of the original's patches and of those of another picture, 2 x patches x
        channels; without patches where it is too small."""
        other = pixels(picture)
        if min(other.shape[:2]) < METRICS["kd"].min_side:
            return _NO_PATCHES
        return np.stack([self._distances.own_patches, self._distances.patches(other)])

    @cached_property
    def _distances(self) -> Distances:
        """What needs networks, and so torch."""
        with starting_torch():
            from hdcodec.eval._networks import Distances

        return Distances(self._pixels, self.weights, self.device)


def check_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names as a tuple. Raises HdcError naming the first unknown one."""
    known = tuple(names)
    for name in known:
        if name not in METRICS:
            raise HdcError(f"unknown metric {name!r}: one of {', '.join(METRICS)}")
    return known


def pixels(picture: Image.Image | Pixels) -> Pixels:
    """uint8 H x W x 3. Raises HdcError for arrays of another kind."""
    if isinstance(picture, Image.Image):
        return np.asarray(picture.convert("RGB"))
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise HdcError(f"pixels are {picture.dtype} {picture.shape}, not uint8 H x W x 3")
    return picture


def psnr(a: Pixels, b: Pixels) -> float:
    """Peak signal-to-noise ratio in dB over R, G and B together."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 10 * math.log10(255**2 / error) if error else math.inf
