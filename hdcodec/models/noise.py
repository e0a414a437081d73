"""The noise that pictures are decoded with: part of the format, and the same on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]

_STEP, _START = np.uint32(1664525), np.uint32(1013904223)
_HALF, _BYTE = np.uint32(16), np.uint32(255)

MEAN, DEVIATION = 1530, 256
"""Of the sum of twelve bytes; the deviation rounded, by less than .002."""


def noise(height: int, width: int, channels: int, first: int = 0) -> NDArray[np.float32]:
    """Numbers of mean 0 and deviation 1, nearly normal: height x width x channels, from the channel
    `first` on.

    Each is a function of its row, column and channel alone: the sum of the twelve bytes of the
    three words of `pcg3d`, less its mean, in units of its deviation. So it is exact in every
    arithmetic, and any part of it can be made alone.
    """
    places = np.indices((height, width, channels), dtype=np.uint32)
    places[2] += np.uint32(first)
    total = np.zeros((height, width, channels), np.int32)
    for word in pcg3d(*places):
        for shift in (0, 8, 16, 24):
            total += ((word >> np.uint32(shift)) & _BYTE).astype(np.int32)
    return (total - MEAN).astype(np.float32) / np.float32(DEVIATION)


def pcg3d(x: Words, y: Words, z: Words) -> tuple[Words, Words, Words]:
    """Three words from three, modulo 2**32 (Jarzynski and Olano, "Hash Functions for GPU
    Rendering", 2020)."""
    x, y, z = (word * _STEP + _START for word in (x, y, z))
    for last in (False, True):
        x = x + y * z
        y = y + z * x
        z = z + x * y
        if not last:
            x, y, z = (word ^ (word >> _HALF) for word in (x, y, z))
    return x, y, z
