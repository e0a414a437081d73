"""How much more quality what was found in a picture needs."""

from __future__ import annotations

import math
from typing import NamedTuple

from .boxes import FACE, TEXT, Box

MOST = 25.0
"""Units of quality, 0 to 100, for what needs it most, where it is a large part of the picture."""

RARE, FACTOR, TILES = 0.08, 1.6, 48
"""What is found in a smaller part of the picture than `RARE` gets up to `FACTOR` times as much: the
less there is of it, the less it takes from the rest. Not in pictures of fewer than `TILES` tiles,
whose rest is small."""


def factor(found: int, tiles: int) -> float:
    """What offsets of quality are multiplied by if so many of a picture's tiles have some."""
    if not found or tiles < TILES:
        return 1.0
    return min(max(math.sqrt(RARE * tiles / found), 1.0), FACTOR)


class Need(NamedTuple):
    """How the offset falls with the height of a box: at low rates what is small is lost first,
    while the codec keeps what is large without help."""

    small: float
    """Pixels of height up to which a box gets the most."""
    large: float
    """Part of the picture's shorter side from which on it gets none."""


NEEDS = {FACE: Need(64, 0.4), TEXT: Need(32, 0.2)}
"""Between the two heights the offset falls evenly."""


def needed(box: Box, size: tuple[int, int]) -> float:
    """The offset of quality, 0 to MOST, that a box in a picture of `size` (width, height) needs by
    its height; of a line of text that runs downwards, by its width."""
    need = NEEDS[box.kind]
    large = need.large * min(size)
    small = min(need.small, large / 2)
    height = min(box.width, box.height) if box.kind == TEXT else box.height
    if large <= small:
        return 0.0
    return MOST * min(max((large - height) / (large - small), 0.0), 1.0)
