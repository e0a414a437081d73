"""Text, by a network that marks the pixels at the heart of each line (differentiable
binarization), as PaddleOCR trains it.

Liao et al., Real-time Scene Text Detection with Differentiable Binarization,
https://arxiv.org/abs/1911.08947
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .boxes import TEXT, Box, Pixels, in_picture
from .components import label
from .networks import Network, numbers, reduced

NETWORK = Network(
    package="rapidocr",
    module="rapidocr",
    file="models/PP-OCRv6_det_small.onnx",
    input="x",
    outputs=("fetch_name_0",),
)

LONGEST, MOST = 960, 1.5
"""Pixels of the longer side that the network sees, and how much it may be enlarged for that."""

MEAN, DEVIATION = (
    np.array(levels, np.float32).reshape(3, 1, 1) * 255
    for levels in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
)
"""Of the levels that it was trained on, which were blue, green and red."""

MARKED = 0.3
"""The least probability of a pixel at the heart of a line."""

THRESHOLD = 0.8
"""The least mean probability of such pixels that hang together."""

UNSHRINK = 1.6
"""The heart of a line is smaller than the line on each side by about its area, divided by its
perimeter, times this."""

LEAST = 3
"""Pixels, as the network sees them, of the shorter side of a heart."""


def find(session: Any, pixels: Pixels) -> list[Box]:
    """The lines of text in a picture, the surest first; the box of a slanted one is upright."""
    small = reduced(pixels, LONGEST, MOST)
    levels = (small.planes[:, ::-1] - MEAN) / DEVIATION
    (output,) = session.run(None, {session.get_inputs()[0].name: levels})
    probability = numbers(output)[0, 0, : small.size[1], : small.size[0]]
    mask = probability > MARKED
    component, count = label(mask)
    areas = np.bincount(component, minlength=count)
    scores = np.bincount(component, probability[mask], count) / areas
    low, high = _extents(mask, component, count)
    sides = high - low
    kept = (scores >= THRESHOLD) & (sides.min(axis=1) >= LEAST)
    grown = UNSHRINK * areas / (2 * sides.sum(axis=1))
    corners = np.concatenate([low - grown[:, None], high + grown[:, None]], axis=1)[kept]
    return in_picture(corners * np.tile(small.scale, 2), scores[kept], TEXT, pixels.shape)


def _extents(mask: Any, component: Any, count: int) -> tuple[Any, Any]:
    """The least and the largest x and y of each component, the largest exclusive: two n x 2."""
    places = np.stack(np.nonzero(mask)[::-1], axis=1)
    low, high = np.full((count, 2), np.iinfo(np.int64).max), np.zeros((count, 2), np.int64)
    np.minimum.at(low, component, places)
    np.maximum.at(high, component, places + 1)
    return low, high
