"""How much more quality what was found gets: a grid of offsets, one for each tile."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .boxes import FACE, TEXT, Box

TILE = 64
"""Pixels a side of a tile; the last ones of a row and a column may reach beyond the picture."""

MOST = 5
"""Steps of quality for what needs it most. A step is 5 of the quality of 0 to 100."""

SHARE = 0.25
"""A tile gets the offset of a box that covers, across and down, at least this much of the tile, or
of which, where it is smaller than a tile, at least this much lies within."""


class Need(NamedTuple):
    """How the offset falls with the height of a box: at low rates what is small is lost first,
    while the codec keeps what is large without help."""

    small: float
    """Pixels of height up to which a box gets MOST steps."""
    large: float
    """Part of the picture's shorter side from which on it gets none."""


NEEDS = {FACE: Need(64, 0.4), TEXT: Need(32, 0.2)}
"""Estimates, to be tuned. Between the two heights the offset falls evenly."""


def offsets(boxes: Iterable[Box], size: tuple[int, int]) -> npt.NDArray[np.int8]:
    """Steps of quality to add, 0 to MOST, for each tile of a picture of `size` (width, height).

    The grid has ceil(height / 64) rows of ceil(width / 64). A tile within several boxes gets what
    the neediest of them gets.
    """
    width, height = size
    grid = np.zeros((-(-height // TILE), -(-width // TILE)), np.int8)
    for box in boxes:
        down = _covered(box.y, box.height, height)
        across = _covered(box.x, box.width, width)
        covered = down[:, None] & across
        grid[covered] = np.maximum(grid[covered], steps(box, size))
    return grid


def steps(box: Box, size: tuple[int, int]) -> int:
    """The offset that a box deserves by its height; of a line of text that runs downwards, by its
    width."""
    need = NEEDS[box.kind]
    large = need.large * min(size)
    small = min(need.small, large / 2)
    height = min(box.width, box.height) if box.kind == TEXT else box.height
    if large <= small:
        return 0
    return round(MOST * min(max((large - height) / (large - small), 0), 1))


def _covered(start: float, length: float, side: int) -> npt.NDArray[np.bool_]:
    """Which tiles along a side of the picture an interval covers enough of."""
    low = np.arange(0, side, TILE)
    end = min(start + length, side)
    start = max(start, 0)
    common = np.minimum(low + TILE, end) - np.maximum(low, start)
    least = SHARE * min(TILE, end - start)
    return np.asarray((common > 0) & (common >= least))
