"""The conformance files of the `sprdiff` family."""

from __future__ import annotations

from hdcodec.conformance.recipes import CAT, CUP, FACE, Recipe

RECIPES: dict[str, Recipe] = {
    # qualities from end to end, sizes
    "sprdiff-one-pixel": Recipe(FACE, (1, 1), 50),
    "sprdiff-row": Recipe(CUP, (131, 1), 100),
    "sprdiff-column": Recipe(CAT, (1, 67), 0),
    "sprdiff-tile": Recipe(CUP, (64, 64), 33.5),
    "sprdiff-tile-and-one": Recipe(CAT, (65, 65), 12.5),
    "sprdiff-tiles-3x2": Recipe(CAT, (192, 128), 30),
    "sprdiff-tiles-5x4": Recipe(FACE, (257, 193), 60.5),
    "sprdiff-large": Recipe(CUP, (600, 400), 0),
    # better in some places than in others, smaller than it is, what is not RGB
    "sprdiff-mapped": Recipe(
        FACE, (250, 190), 25, regions=((100, 60, 60, 50, 45), (0, 0, 60, 190, -20))
    ),
    "sprdiff-scaled-alpha": Recipe(FACE, (120, 160), 75, mode="LA", max_side=90),
    "sprdiff-all-chunks": Recipe(CAT, (90, 78), 5, mode="LA", metadata=True, optional=b"ignored"),
    # no photographs, and streams that no picture has
    "sprdiff-white": Recipe("white", (70, 130), 100),
    "sprdiff-noise": Recipe("noise", (66, 97), 100),
    "sprdiff-lowest-symbols": Recipe("zeros", (60, 50), 100),
    "sprdiff-senseless-0": Recipe("bytes", (120, 70), 0),
    "sprdiff-senseless-50": Recipe("bytes", (100, 140), 50),
    "sprdiff-senseless-100": Recipe("bytes", (66, 60), 100),
}

CHECKED = "sprdiff-tile"
"""The file by which a browser is checked."""
