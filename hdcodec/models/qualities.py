"""Qualities of pictures and of their tiles, for families that code hyper-latents and latents.

A file has a quality index 0..200, twice the quality that users know, and may have a map: an offset
for each tile of 64 x 64 pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdcodec._errors import CorruptError
from hdcodec.entropy.offsets import Offsets

STRIDE = 64
"""Pixels of a tile along a side, which has one hyper-latent position: pictures are padded to
multiples of this."""

QUALITIES = 201
"""Quality indices 0..200 in the file."""

QINDEX_PER_QUALITY = 2
"""Quality indices in the file per step of `quality`."""

QUALITY_PER_OFFSET = 5
QINDEX_PER_OFFSET = QUALITY_PER_OFFSET * QINDEX_PER_QUALITY
"""Of each step of a map of qualities."""

MAPPED = 1
"""The flag of files that have such a map."""

CHART = 64
"""Signs a side of the map of qualities that `info` shows."""

Map = NDArray[np.int64]


def qindex_of(quality: float) -> int:
    """The quality index of a quality 0..100."""
    return round(quality * QINDEX_PER_QUALITY)


def checked_qindex(byte: int) -> int:
    """The quality index that a header holds; raises CorruptError."""
    if byte >= QUALITIES:
        raise CorruptError(f"the quality is {byte}, outside 0..{QUALITIES - 1}")
    return byte


def is_mapped(flags: int, family: str) -> bool:
    """Whether a file with these flags has a map of qualities; raises CorruptError for others."""
    if flags & ~MAPPED:
        raise CorruptError(f"the flags are {flags}, of which {family} has {MAPPED} alone")
    return flags == MAPPED


def hyper_size(width: int, height: int) -> tuple[int, int]:
    """Rows and columns of hyper-latents of a picture, and of its tiles of 64 x 64 pixels."""
    return -(-height // STRIDE), -(-width // STRIDE)


def least_payload(width: int, height: int) -> int:
    """The fewest bytes of a range stream: one per 4 hyper-latent positions (16,384 pixels)."""
    rows, columns = hyper_size(width, height)
    return rows * columns // 4


def qindex_map(qindex: int, size: tuple[int, int], offsets: Offsets | None = None) -> Map:
    """Quality indices of `size` rows and columns of tiles, of each the picture's and its offset."""
    if offsets is None:
        return np.full(size, qindex)
    return np.clip(qindex + QINDEX_PER_OFFSET * offsets.astype(np.int64), 0, QUALITIES - 1)


def interpolate(levels: NDArray[np.int64], qindex: Map) -> NDArray[np.int64]:
    """The rows of `levels` (L x C) at quality indices 0..200 (h x w): h x w x C, linear, rounded
    down."""
    step = (QUALITIES - 1) // (len(levels) - 1)
    low = np.minimum(qindex // step, len(levels) - 2)
    part = (qindex - low * step)[..., None]
    rows: NDArray[np.int64] = (levels[low] * (step - part) + levels[low + 1] * part) // step
    return rows


def chart(qindex: Map) -> list[str]:
    """The tens of the quality of each tile, 0 to 9, a row of the picture a text; of large pictures
    the best within several tiles."""
    every = -(-max(qindex.shape) // CHART)
    rows, columns = (range(0, side, every) for side in qindex.shape)
    tens = qindex // (10 * QINDEX_PER_QUALITY)
    best = [[tens[r : r + every, c : c + every].max() for c in columns] for r in rows]
    return ["".join(str(min(ten, 9)) for ten in row) for row in best]
