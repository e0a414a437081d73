"""What a file of the suite is made from. Each family has a module `recipes` with its own."""

from __future__ import annotations

from typing import Any, NamedTuple

OPTIONAL_CHUNK = 200
"""A type that this version ignores."""


class Recipe(NamedTuple):
    """A crop of a photograph, resized, or a pattern or stream; and how it is coded.

    options: of the family's `Encoding`. max_side: of the picture that is coded. regions: where it
    is better or worse.
    """

    source: str
    size: tuple[int, int]
    quality: float
    options: dict[str, Any] = {}  # noqa: RUF012
    mode: str = "RGB"
    metadata: bool = False
    optional: bytes | None = None
    max_side: int | None = None
    regions: tuple[tuple[float, ...], ...] = ()


CROPS = {
    "astronaut": (170, 20, 290, 180),
    "coffee": (150, 50, 450, 350),
    "chelsea": (60, 0, 360, 260),
}
FACE, CUP, CAT = CROPS
STREAMS = ("zeros", "bytes")
SYMBOLS_ONLY = (*STREAMS, "chequered")
"""No picture is kept of them: of a chequerboard, which no photo resembles, processors that round
bfloat16 in other places make pictures that are eight levels apart."""

STREAM_BYTES = 10_000
