"""The order in which latents are coded: four parts, each a quarter of every channel group."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

PARTS = 4

BY_SCALE = "by_scale"
"""A tensor, whatever it holds, of weights whose latents come in the order of falling scale within
each part; those of model 1 have none."""


@lru_cache(maxsize=8)
def part_mask(part: int, channels: int, height: int, width: int) -> NDArray[np.bool_]:
    """Which latents part 0..3 holds: bool, C x H x W.

    Position (row, column) has the number 2 * (row % 2) + (column % 2); channel group g (of four
    equal ones) codes the position `part ^ g` in each part, so every part touches every position.
    """
    row, column = np.arange(height)[:, None] % 2, np.arange(width)[None, :] % 2
    position = 2 * row + column
    group = np.arange(channels) * PARTS // channels
    mask: NDArray[np.bool_] = position[None] == (part ^ group)[:, None, None]
    mask.setflags(write=True)
    return mask
