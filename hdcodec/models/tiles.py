"""Large pictures in overlapping tiles, so that memory does not grow with them.

Networks know nothing of this: they run on what a tile sees, and of what they make its middle is
used. A picture that fits into one tile is that tile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdcodec._errors import DeviceError

GRID = 128
"""Pixels; tiles begin at multiples of it, as the windows of the mask predictor do."""

HALO = 128
"""Pixels that a tile sees beyond its own. All that the networks of the encoder look at lies within;
the decoder's look further, but hardly: docs/big-pictures.md has the difference."""

AREA = 1536 * 1536
"""Pixels that a tile may see."""

LEAST_AREA = (GRID + 2 * HALO) ** 2


class FullDeviceError(Exception):
    """A device's own memory does not hold what it is to work on; less of it may fit."""


@dataclass(frozen=True)
class Span:
    """Along one side of a picture: the pixels start..stop of a tile, of which it sees low..high."""

    low: int
    start: int
    stop: int
    high: int

    def seen(self, stride: int) -> slice:
        """All that it sees, in an array of that stride."""
        return slice(self.low // stride, self.high // stride)

    def own(self, stride: int) -> slice:
        """Its own ones, in an array of that stride."""
        return slice(self.start // stride, self.stop // stride)

    def inner(self, stride: int) -> slice:
        """Its own ones, counted from the first that it sees."""
        return slice((self.start - self.low) // stride, (self.stop - self.low) // stride)


@dataclass(frozen=True)
class Tile:
    """One of the rectangles that make up a picture, and its surroundings."""

    rows: Span
    columns: Span

    def cut(self, array: Any, stride: int) -> Any:
        """What the tile sees of an array or tensor H/stride x W/stride x ...; a view."""
        return array[self.rows.seen(stride), self.columns.seen(stride)]

    def paste(self, target: NDArray[Any], part: NDArray[Any], stride: int) -> None:
        """Its own part of `part`, which covers all that it sees, into `target`."""
        own = part[self.rows.inner(stride), self.columns.inner(stride)]
        target[self.rows.own(stride), self.columns.own(stride)] = own


def tiles(height: int, width: int, area: int = AREA) -> list[Tile]:
    """The tiles of a picture, row by row, each of which sees at most `area` pixels.

    Sides are multiples of 64; an area below LEAST_AREA counts as that.
    """
    rows, columns = 1, 1
    while True:
        down, right = _spans(height, rows), _spans(width, columns)
        tall, wide = _longest(down), _longest(right)
        if tall * wide <= max(area, LEAST_AREA):
            return [Tile(*pair) for pair in product(down, right)]
        rows, columns = (rows + 1, columns) if tall >= wide else (rows, columns + 1)


def assemble(
    size: tuple[int, int], area: int, stride: int, work: Callable[[Tile], NDArray[Any]]
) -> NDArray[Any]:
    """H/stride x W/stride x ... from what `work` makes of all that each tile sees.

    Where memory runs out it begins again with tiles of a quarter of the area; raises DeviceError
    where it does so with the smallest.
    """
    area = min(area, size[0] * size[1])
    while True:
        try:
            return _assemble(size, tiles(*size, area), stride, work)
        except FullDeviceError as error:
            if area <= LEAST_AREA:
                raise DeviceError("the device has not enough memory for this picture") from error
        area //= 4


def _assemble(
    size: tuple[int, int], parts: list[Tile], stride: int, work: Callable[[Tile], NDArray[Any]]
) -> NDArray[Any]:
    first = work(parts[0])
    if len(parts) == 1:
        return first
    whole = np.empty((size[0] // stride, size[1] // stride, *first.shape[2:]), first.dtype)
    parts[0].paste(whole, first, stride)
    for tile in parts[1:]:
        tile.paste(whole, work(tile), stride)
    return whole


def _spans(length: int, count: int) -> list[Span]:
    """`count` tiles of about equal length, fewer where they would be shorter than the grid."""
    cuts = {GRID * round(k * length / count / GRID) for k in range(1, count)}
    edges = sorted({0, length} | {cut for cut in cuts if 0 < cut < length})
    return [
        Span(max(0, start - HALO), start, stop, min(length, stop + HALO))
        for start, stop in pairwise(edges)
    ]


def _longest(spans: list[Span]) -> int:
    return max(span.high - span.low for span in spans)
