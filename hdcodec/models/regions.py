"""Where a picture is to be better or worse, as offsets of quality by tile: rectangles, a mask, and
what was found."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from hdcodec.detect.needs import factor, needed
from hdcodec.entropy.offsets import OFFSET_MAX, Offsets

if TYPE_CHECKING:
    from hdcodec.detect.boxes import Box

USUAL = 25.0
"""The offset of a region that gives none, in units of quality."""

MASK_RANGE = 25.0
"""White in a mask is so much better than the rest, black so much worse; 128 leaves it as it is."""

SHARE = 0.25
"""A tile belongs to a region that covers, across and down, at least this much of the tile, or of
which, where it is smaller than a tile, at least this much lies within."""


@dataclass(frozen=True)
class Region:
    """A rectangle in pixels of the picture, `x` and `y` its upper left corner, and an offset of
    quality, -100..100. Raises ValueError for what cannot be."""

    x: float
    y: float
    width: float
    height: float
    offset: float = USUAL

    def __post_init__(self) -> None:
        if not np.isfinite([self.x, self.y]).all():
            raise ValueError("the corner of a region must be finite")
        if not (0 < self.width < np.inf and 0 < self.height < np.inf):
            raise ValueError("a region must be at least a pixel wide and high")
        if not -100 <= self.offset <= 100:
            raise ValueError("the offset of a region must lie between -100 and 100")

    def scaled(self, across: float, down: float) -> Region:
        """The same in a picture that is so many times as wide and as high."""
        return Region(
            self.x * across, self.y * down, self.width * across, self.height * down, self.offset
        )

    @classmethod
    def parse(cls, text: str) -> Region:
        """X,Y,WIDTH,HEIGHT or X,Y,WIDTH,HEIGHT:OFFSET; raises ValueError."""
        if not (found := _WRITTEN.fullmatch(text.strip())):
            raise ValueError(f"{text!r} is no region; write X,Y,WIDTH,HEIGHT or ...:OFFSET")
        x, y, width, height, offset = found.groups()
        return cls(int(x), int(y), int(width), int(height), float(offset or USUAL))


_WRITTEN = re.compile(r"(-?\d+), *(-?\d+), *(\d+), *(\d+)(?::([+-]?\d+(?:\.\d+)?))?")


@dataclass(frozen=True)
class Regions:
    """The regions of a picture of `size`, width and height in pixels.

    `mask`, uint8 height x width, is what the whole begins with; `found`, faces and text, need more
    the smaller they are; of `regions` that overlap the last one counts, whatever the others say.
    """

    size: tuple[int, int]
    regions: tuple[Region, ...] = ()
    mask: NDArray[np.uint8] | None = None
    found: tuple[Box, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many were found of each kind."""
        return dict(Counter(box.kind for box in self.found))

    def offsets(self, width: int, height: int, tile: int, step: float) -> Offsets:
        """For the picture coded at `width` x `height`, by tiles of `tile` pixels a side, in steps
        of `step` units of quality: int8 rows x columns, -20..20."""
        shape = -(-height // tile), -(-width // tile)
        offsets = np.zeros(shape) if self.mask is None else self._masked(width, height, tile)
        scale = width / self.size[0], height / self.size[1]
        needs = np.zeros(shape)
        for box in (found.scaled(*scale) for found in self.found):
            tiles = _tiles(box, (width, height), tile)
            needs[tiles] = np.maximum(needs[tiles], needed(box, (width, height)))
        wanting = needs > 0
        needs *= factor(int(wanting.sum()), wanting.size)
        offsets[wanting] = np.maximum(offsets, needs)[wanting]
        for region in self.regions:
            offsets[_tiles(region.scaled(*scale), (width, height), tile)] = region.offset
        steps = np.clip(np.rint(offsets / step), -OFFSET_MAX, OFFSET_MAX)
        return steps.astype(np.int8)

    def _masked(self, width: int, height: int, tile: int) -> NDArray[np.float64]:
        """The mean of the mask in each tile."""
        from PIL import Image

        assert self.mask is not None
        image = Image.fromarray(self.mask).resize((width, height), Image.Resampling.BOX)
        pixels = np.asarray(image, np.float64)
        right, below = -width % tile, -height % tile
        padded = np.pad(pixels, ((0, below), (0, right)), mode="edge")
        means = padded.reshape(-1, tile, padded.shape[1] // tile, tile).mean((1, 3))
        return np.asarray((means - 128) / 127 * MASK_RANGE)


class _Rectangle(Protocol):
    @property
    def x(self) -> float: ...
    @property
    def y(self) -> float: ...
    @property
    def width(self) -> float: ...
    @property
    def height(self) -> float: ...


def _tiles(place: _Rectangle, size: tuple[int, int], tile: int) -> NDArray[np.bool_]:
    """The tiles of a picture of `size` that belong to a rectangle."""
    down = _covered(place.y, place.height, size[1], tile)
    return down[:, None] & _covered(place.x, place.width, size[0], tile)


def _covered(start: float, length: float, side: int, tile: int) -> NDArray[np.bool_]:
    """The tiles along a side that an interval covers enough of."""
    low = np.arange(0, side, tile)
    start, end = max(start, 0.0), min(start + length, side)
    common = np.minimum(low + tile, end) - np.maximum(low, start)
    return np.asarray((common > 0) & (common >= SHARE * min(tile, end - start)))
