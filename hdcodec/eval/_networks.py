"""LPIPS, DISTS, Wasserstein distortion and kernel distance of two pictures, by torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from hdcodec.models.devices import pick_device
from hdcodec.perceptual import (
    DISTS,
    LPIPS,
    PatchFeatures,
    Wasserstein,
    find_dists,
    find_lpips,
    find_patch_features,
    find_wasserstein,
)

from ._sets import Features
from .metrics import Pixels

# Up to this many pixels an original's activations are kept (400 bytes a pixel and network).
KEEP_PIXELS = 1 << 20


class Distances:
    """Perceptual distances from an original, whose activations are computed once."""

    def __init__(self, original: Pixels, weights: str | None, device: str) -> None:
        self._original, self._weights = original, weights
        self._device = pick_device(device)
        self._kept: dict[str, Sequence[Tensor]] = {}

    @torch.inference_mode()
    def __call__(self, name: str, other: Pixels) -> float:
        """The metric `name` of a picture of the original's size. Raises WeightsError."""
        with torch.backends.cudnn.flags(allow_tf32=False):
            net = network(name, self._weights, self._device)
            mine = self._kept.get(name) or net.features(batch(self._original, self._device))
            if other.shape[0] * other.shape[1] <= KEEP_PIXELS:
                self._kept[name] = mine
            return net.distance(mine, net.features(batch(other, self._device))).item()

    @cached_property
    def own_patches(self) -> Features:
        """The original's."""
        return self.patches(self._original)

    @torch.inference_mode()
    def patches(self, picture: Pixels) -> Features:
        """The features of a picture's patches. Raises WeightsError."""
        with torch.backends.cudnn.flags(allow_tf32=False):
            found = _patch_network(self._weights, self._device)(batch(picture, self._device))
        features: Features = found[0].cpu().numpy().astype(np.float16)
        return features


def batch(pixels: Pixels, device: torch.device) -> Tensor:
    """Shapes uint8 H x W x 3 to float32 1 x 3 x H x W in [0, 1]."""
    return torch.tensor(pixels, device=device).permute(2, 0, 1)[None].float() / 255


@lru_cache(maxsize=2)
def _patch_network(weights: str | None, device: torch.device) -> PatchFeatures:
    return find_patch_features(weights).to(device)


@lru_cache(maxsize=8)
def network(name: str, weights: str | None, device: torch.device) -> LPIPS | DISTS | Wasserstein:
    """The network behind a metric, loaded once per folder and device. Raises WeightsError."""
    if name == "dists":
        return find_dists(weights).to(device)
    if name == "wd":
        return find_wasserstein(weights).to(device)
    return find_lpips(name.removeprefix("lpips_"), weights).to(device)
