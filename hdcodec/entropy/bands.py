"""Integer networks on one band of rows after another: bit-equal to the whole picture at once.

Only memory is saved: what a network sees of the neighbouring bands is computed again.
"""

from __future__ import annotations

from collections.abc import Callable

from .intnet import Fixed

POSITIONS = 1 << 14
"""Latent positions of a band, at least, unless the picture has fewer."""


def bands(height: int, width: int, unit: int) -> list[slice]:
    """The rows of a picture, in bands whose height is a multiple of `unit`."""
    rows = unit * max(1, -(-POSITIONS // (unit * width)))
    return [slice(k, min(k + rows, height)) for k in range(0, height, rows)]


def run(
    net: Callable[[Fixed], Fixed],
    reach: int,
    rows: slice,
    height: int,
    read: Callable[[slice], Fixed],
) -> Fixed:
    """What `net` makes of `rows` of its input, which has `height` rows; `read` gives any of them.

    `reach`: rows of input above and below an output that it depends on, or more.
    """
    seen = slice(max(0, rows.start - reach), min(height, rows.stop + reach))
    out = net(read(seen))
    scale = len(out) // (seen.stop - seen.start)
    return out[scale * (rows.start - seen.start) : scale * (rows.stop - seen.start)]
