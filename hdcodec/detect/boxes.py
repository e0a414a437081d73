"""Boxes around what was found in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""Height x width x 3, RGB."""

Corners = npt.NDArray[np.floating[Any]]
"""n x 4: left, top, right, bottom."""

FACE, TEXT = "face", "text"


class Box(NamedTuple):
    """Where something was found, in pixels from the upper left corner; within the picture."""

    x: float
    y: float
    width: float
    height: float
    score: float
    """0 to 1: how sure the detector is."""
    kind: str
    """FACE or TEXT."""

    def scaled(self, across: float, down: float) -> Box:
        """The same in a picture that is so many times as wide and as high."""
        width, height = self.width * across, self.height * down
        return Box(self.x * across, self.y * down, width, height, self.score, self.kind)


def in_picture(
    corners: Corners, scores: npt.NDArray[Any], kind: str, shape: Sequence[int]
) -> list[Box]:
    """Boxes cut to a picture of shape (height, width, ...); those outside are left out. The
    surest come first."""
    height, width = shape[:2]
    low = np.maximum(corners[:, :2], 0)
    sides = np.minimum(corners[:, 2:], (width, height)) - low
    order = [index for index in np.argsort(-scores, kind="stable") if sides[index].min() > 0]
    return [_box(low[index], sides[index], scores[index], kind) for index in order]


def _box(low: Corners, sides: Corners, score: float, kind: str) -> Box:
    (x, y), (width, height) = low.tolist(), sides.tolist()
    return Box(x, y, width, height, min(float(score), 1), kind)


def strongest(corners: Corners, scores: npt.NDArray[Any], most: float) -> list[int]:
    """Greedy non-maximum suppression: the boxes, by falling score, whose intersection over union
    with each stronger one of them is at most `most`."""
    left, top, right, bottom = corners.T
    areas = (right - left) * (bottom - top)
    kept: list[int] = []
    waiting = np.argsort(-scores, kind="stable")
    while waiting.size:
        first, waiting = int(waiting[0]), waiting[1:]
        kept.append(first)
        across = np.minimum(right[first], right[waiting]) - np.maximum(left[first], left[waiting])
        down = np.minimum(bottom[first], bottom[waiting]) - np.maximum(top[first], top[waiting])
        common = np.maximum(across, 0) * np.maximum(down, 0)
        waiting = waiting[common <= most * (areas[first] + areas[waiting] - common)]
    return kept
