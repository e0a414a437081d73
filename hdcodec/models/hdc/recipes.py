"""The conformance files of the `hdc` family."""

from __future__ import annotations

from typing import Any

from hdcodec.conformance.recipes import CAT, CUP, FACE, Recipe


def recipe(
    source: str, size: tuple[int, int], quality: float, kept: int | None = None, **rest: Any
) -> Recipe:
    """A recipe whose file sends the indices that `kept`, 0..15, says, else the quality."""
    return Recipe(source, size, quality, {"kept": kept}, **rest)


RECIPES: dict[str, Recipe] = {
    # every kept code, qualities from end to end
    "kept-00": recipe(FACE, (96, 128), 0, 0),
    "kept-01": recipe(CAT, (64, 64), 6.5, 1),
    "kept-02": recipe(CUP, (101, 99), 12.5, 2),
    "kept-03": recipe(CUP, (65, 63), 100, 3),
    "kept-04": recipe(FACE, (63, 65), 19.5, 4),
    "kept-05": recipe(CAT, (127, 70), 25, 5),
    "kept-06": recipe(CUP, (61, 130), 31, 6),
    "kept-07": recipe(CUP, (99, 101), 37.5, 7),
    "kept-08": recipe(FACE, (80, 107), 44, 8),
    "kept-09": recipe(CAT, (129, 65), 50, 9),
    "kept-10": recipe(FACE, (90, 120), 56.5, 10),
    "kept-11": recipe(CAT, (150, 130), 62.5, 11),
    "kept-12": recipe(CUP, (128, 64), 69, 12),
    "kept-13": recipe(CAT, (67, 58), 77.5, 13),
    "kept-14": recipe(FACE, (48, 64), 87.5, 14),
    "kept-15": recipe(FACE, (96, 128), 93.5, 15),
    # sizes
    "one-pixel": recipe(FACE, (1, 1), 50),
    "two-pixels": recipe(FACE, (2, 1), 75, 15),
    "row": recipe(CUP, (67, 1), 20),
    "row-long": recipe(CAT, (2001, 1), 40, 9),
    "column": recipe(CUP, (1, 130), 50, 6),
    "column-long": recipe(FACE, (1, 1999), 10),
    "tile": recipe(CUP, (64, 64), 33.5, 5),
    "tile-and-one": recipe(CAT, (65, 65), 45),
    "tiles-3x2": recipe(CAT, (192, 128), 30, 2),
    "tiles-5x4": recipe(FACE, (257, 193), 15),
    "tiles-7x1": recipe(CUP, (437, 37), 22, 3),
    "large": recipe(CUP, (600, 400), 3),
    # better in some places than in others
    "mapped": recipe(FACE, (250, 190), 25, regions=((100, 60, 60, 50, 45), (0, 0, 60, 190, -20))),
    "mapped-scaled": recipe(CUP, (300, 140), 40, 4, regions=((130, 70, 64, 64, 99),), max_side=160),
    # coded smaller than they are
    "scaled": recipe(CAT, (150, 130), 20, max_side=90),
    "scaled-alpha": recipe(FACE, (60, 80), 30, mode="LA", max_side=30),
    # what is not RGB, and what comes beside the pixels
    "gray": recipe(CAT, (90, 78), 30, mode="L"),
    "gray-pixel": recipe(CAT, (1, 1), 100, 15, mode="L"),
    "gray-alpha": recipe(FACE, (33, 44), 30, 4, mode="LA"),
    "alpha": recipe(FACE, (60, 80), 30, mode="RGBA"),
    "alpha-two-levels": recipe(CUP, (71, 83), 60, 7, mode="RGBA1"),
    "metadata": recipe(CAT, (75, 65), 35, metadata=True),
    "all-chunks": recipe(CAT, (57, 49), 80, 10, mode="LA", metadata=True, optional=b"ignored"),
    "optional-chunk": recipe(FACE, (48, 64), 5, optional=bytes(range(40))),
    # no photographs
    "black": recipe("black", (130, 70), 0),
    "white": recipe("white", (70, 130), 100, 15),
    "grey": recipe("grey", (130, 110), 0, 0),
    "chequered": recipe("chequered", (100, 77), 90, 12),
    "noise": recipe("noise", (66, 97), 100, 15),
    # no picture either, but streams: the lowest symbol everywhere, and symbols without sense
    "lowest-symbols": recipe("zeros", (60, 50), 100, 15),
    "senseless-0": recipe("bytes", (120, 70), 0, 15),
    "senseless-50": recipe("bytes", (100, 140), 50, 8),
    "senseless-100": recipe("bytes", (66, 60), 100, 15),
}

CHECKED = "kept-12"
"""The file by which a browser is checked: indices sent and predicted."""
