"""At what size a picture is coded: at its own, or smaller where that makes more of its bytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._errors import TargetError
from .format.header import MAX_SCALE, coded_size
from .images import resized
from .models.family import Rate
from .models.options import check_number

if TYPE_CHECKING:
    from PIL import Image

    from .models.family import Family, Pixels, Stream

USUAL_BPP, LARGE_BPP = 0.005, 0.02
"""Bits per pixel that a file takes about where it is coded at its own size, and where that is more
than `VIEWED`; a search for a scale begins with them."""


VIEWED = 1 << 19
"""Pixels of a picture that are looked at where it has more: it is shown smaller, on a screen, and
seen as a whole. To code more of them takes a higher quality."""


@dataclass(frozen=True)
class Scales:
    """One picture, to be coded at any scale from `first` to `last`.

    rgb: its pixels. family: that of the model. encode: what `Networks.encode` is.
    """

    rgb: Image.Image
    family: Family
    encode: Callable[[Pixels, Rate, Any], Stream]
    first: int = 0

    @property
    def last(self) -> int:
        """The smallest scale at which the picture is as small as it can be."""
        least = coded_size(self.rgb.size, MAX_SCALE)
        scales = range(self.first, MAX_SCALE)
        return next((s for s in scales if coded_size(self.rgb.size, s) == least), MAX_SCALE)

    def stream(self, scale: int, rate: Rate, options: Any) -> Stream:
        """The picture coded at a scale; it is reduced from its own size in one step."""
        small = resized(self.rgb, coded_size(self.rgb.size, scale))
        return self.encode(np.asarray(small), rate, options)

    def within(self, room: Callable[[int], int], options: Any) -> tuple[int, Stream]:
        """The smallest scale whose best quality within the room is at least `wanted`, and the
        stream of that quality.

        room: a scale to the bytes that its range stream may have. Where no quality is high enough
        at any scale, the best at the last one, or, if nothing fits, what has the fewest bytes.
        """
        start = self._guess(room(self.first))
        first = self.first
        if start == first:  # most budgets allow the picture its own size: nothing else is tried
            stream = self.stream(first, Rate(budget=room(first)), options)
            if first == self.last or self._is_good(first, stream, room(first)):
                return first, stream
            start = first = first + 1
        quick = options.quick

        def excess(scale: int) -> float:
            stream = self.stream(scale, Rate(self.wanted(scale)), quick)
            return (1 + len(stream.payload)) / (1 + room(scale))

        scale = smallest(excess, start, first, self.last) if room(self.last) >= 0 else self.last
        return scale, self.stream(scale, Rate(self.wanted(scale), room(scale)), options)

    def wanted(self, scale: int) -> float:
        """The quality that a budget has to allow if the picture is to be coded at a scale."""
        family = self.family
        return family.large_below if self._is_large(scale) else family.scaled_below

    def _is_large(self, scale: int) -> bool:
        width, height = coded_size(self.rgb.size, scale)
        return width * height > VIEWED

    def _is_good(self, scale: int, stream: Stream, room: int) -> bool:
        quality = self.family.settings(stream.parameters)["quality"]
        return len(stream.payload) <= room and quality >= self.wanted(scale)

    def _guess(self, room: int) -> int:
        """Where the search begins: at a scale for so many bytes for so many pixels."""
        ratio = self.rgb.width * self.rgb.height / 8 / max(1, room)
        usual, large = (math.ceil(2 * math.log2(bpp * ratio)) for bpp in (USUAL_BPP, LARGE_BPP))
        scale = max(self.first, usual)
        while scale < large and self._is_large(scale):
            scale += 1
        return min(scale, self.last)


def smallest(excess: Callable[[int], float], start: int, first: int, last: int) -> int:
    """The smallest scale of `first`..`last` whose bytes are no more than there is room for, or
    `last`.

    excess: a scale to its bytes over the room. As bytes go about with pixels, of which two steps
    leave half, each ratio says where to look next: a few scales around `start` are tried.
    """
    low, high = first - 1, last
    while high - low > 1:
        scale = min(max(start, low + 1), high - 1)
        ratio = excess(scale)
        low, high = (low, scale) if ratio <= 1 else (scale, high)
        start = scale + math.ceil(2 * math.log2(ratio))
    return high


def least_scale(size: tuple[int, int], max_side: int | None) -> int:
    """The smallest scale at which neither side of a picture is longer than `max_side` pixels.

    Raises ValueError, or TargetError where there is none.
    """
    if max_side is None:
        return 0
    check_number("max_side", max_side)
    if not max_side >= 1:
        raise ValueError("max_side must be at least 1")
    for scale in range(MAX_SCALE + 1):
        if max(coded_size(size, scale)) <= max_side:
            return scale
    least = max(coded_size(size, MAX_SCALE))
    raise TargetError(f"the longer side cannot be coded with fewer than {least} pixels")
