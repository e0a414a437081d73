"""Networks of integers: the same output on every machine, thread count and blocking.

Weights and activations are integers held in float64. Every accumulator is proven to stay below
2**53 when a network is built, so the order of summation cannot matter. Rescaling is a division by a
power of two with floor; activations are clipped to 16 bits (integer networks for data compression:
Balle, Johnston, Minnen, ICLR 2019).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdcodec._errors import WeightsError

from .fixedpoint import INT16_MAX, WEIGHT_BITS
from .threads import one_blas_thread

Fixed = NDArray[np.float64]
"""H x W x C integers in units of 2**-10, carried in float64."""

Stored = NDArray[np.int16]
"""The same numbers as they are kept for a whole picture."""

EXACT_LIMIT = 2.0**53
_HALF = float(1 << (WEIGHT_BITS - 1))
_UNIT = 2.0**-WEIGHT_BITS


@dataclass(frozen=True)
class IntLayer:
    """One layer: "pw" weight (cin, cout), "dw" weight (9, channels), or "up" without any."""

    kind: str
    relu: bool
    weight: Fixed
    bias: Fixed

    def __call__(self, x: Fixed) -> Fixed:
        """h x w x cin in units of 2**-10 -> h x w x cout, whole numbers of 16 bits."""
        if self.kind == "up":
            return shuffle(x)
        total = x @ self.weight if self.kind == "pw" else depthwise(x, self.weight)
        total += self.bias + _HALF
        total *= _UNIT
        np.floor(total, out=total)
        return np.clip(total, 0 if self.relu else -INT16_MAX - 1, INT16_MAX, out=total)

    def bound(self) -> float:
        """The largest magnitude an accumulator can reach on 16-bit input."""
        if self.kind == "up":
            return 0.0
        reach = np.abs(self.weight).sum(0) * (INT16_MAX + 1) + np.abs(self.bias) + _HALF
        return float(reach.max())

    def integral(self) -> bool:
        """Whether all weights and biases are whole numbers."""
        return all(np.array_equal(x, np.rint(x)) for x in (self.weight, self.bias))


class IntNet:
    """A chain of integer layers, H x W x C in and out."""

    def __init__(self, layers: list[IntLayer]) -> None:
        for k, layer in enumerate(layers):
            if not layer.integral():
                raise WeightsError(f"integer network: layer {k} is not of integers")
            if not layer.bound() < EXACT_LIMIT:
                raise WeightsError(f"integer network: layer {k} could overflow exact arithmetic")
        self.layers = layers

    @property
    def reach(self) -> int:
        """Rows of input above and below an output that it depends on."""
        rows, scale = 0.0, 1
        for layer in self.layers:
            rows += (layer.kind == "dw") / scale
            scale *= 2 if layer.kind == "up" else 1
        return math.ceil(rows)

    def __call__(self, x: Fixed) -> Fixed:
        """h x w x cin in units of 2**-10 -> what the last layer gives, whole numbers of 16 bits."""
        with one_blas_thread():
            for layer in self.layers:
                x = layer(x)
        return x

    @classmethod
    def load(cls, tensors: Mapping[str, NDArray[Any]], name: str) -> IntNet:
        """The network stored as `name.K.KIND[.relu].weight|bias`; raises WeightsError."""
        prefix = f"{name}."
        found = {
            key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)
        }
        stems = sorted({key.rsplit(".", 1)[0] for key in found}, key=lambda s: int(s.split(".")[0]))
        if not stems:
            raise WeightsError(f"the entropy networks lack '{name}'")
        try:
            return cls([_layer(stem, found) for stem in stems])
        except KeyError as error:
            raise WeightsError(f"the entropy network '{name}' lacks {error}") from error


def _layer(stem: str, found: Mapping[str, NDArray[Any]]) -> IntLayer:
    kind, relu = stem.split(".")[1], stem.endswith(".relu")
    weight = found[f"{stem}.weight"].astype(np.float64)
    bias = found[f"{stem}.bias"].astype(np.float64)
    return IntLayer(kind, relu, weight, bias)


def depthwise(x: Fixed, weight: Fixed) -> Fixed:
    """3 x 3 depthwise sums with zero padding; `weight` (9, C) in row-major order of the window."""
    height, width, _ = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    total: Fixed = padded[:height, :width] * weight[0]
    term = np.empty_like(total)
    for k in range(1, 9):
        row, column = divmod(k, 3)
        np.multiply(padded[row : row + height, column : column + width], weight[k], out=term)
        total += term
    return total


def shuffle(x: Fixed) -> Fixed:
    """Pixel-shuffle by 2: H x W x 4C -> 2H x 2W x C, channel 4c + 2i + j to offset (i, j)."""
    height, width, channels = x.shape
    x = x.reshape(height, width, channels // 4, 2, 2).transpose(0, 3, 1, 4, 2)
    return np.ascontiguousarray(x.reshape(2 * height, 2 * width, channels // 4))
