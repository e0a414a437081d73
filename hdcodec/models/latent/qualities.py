"""Qualities of pictures and of their tiles, for families that code hyper-latents and latents.

A file has a quality index 0..200, twice the quality that users know, and may have a map: an offset
for each tile of 64 x 64 pixels. Imports nothing heavy by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hdcodec._errors import CorruptError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STRIDE = 64
"""Pixels of a tile along a side, which has one hyper-latent position: pictures are padded to
multiples of this."""

QUALITIES = 201
"""Quality indices 0..200 in the file."""

QINDEX_PER_QUALITY = 2
"""Quality indices in the file per step of `quality`."""

QUALITY_PER_OFFSET = 5
QINDEX_PER_OFFSET = QUALITY_PER_OFFSET * QINDEX_PER_QUALITY
"""One step of a map of qualities, in units of `quality` and in quality indices."""

MAPPED = 1
"""The flag of files that have such a map."""

CHART = 64
"""Characters along a side of the map of qualities that `info` shows."""


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


def chart(qindex: NDArray[np.int64]) -> list[str]:
    """The tens of the quality of each tile, 0 to 9, a row of the picture a text; of large pictures
    the best within several tiles."""
    every = -(-max(qindex.shape) // CHART)
    rows, columns = (range(0, side, every) for side in qindex.shape)
    tens = qindex // (10 * QINDEX_PER_QUALITY)
    best = [[tens[r : r + every, c : c + every].max() for c in columns] for r in rows]
    return ["".join(str(min(ten, 9)) for ten in row) for row in best]
