"""How the bytes of a file are laid out in an image that Pillow has opened and not yet loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PIL import ImageFile

# Pillow 11 gave the fields of a tile names.
_tile: Any = getattr(ImageFile, "_Tile", lambda *fields: fields)


def read_as(image: ImageFile.ImageFile, layout: Callable[[str], str]) -> None:
    """Have each part of the pixels read by another layout than the one it has."""
    image.tile = [_tile(*tile[:3], _changed(tile[3], layout)) for tile in image.tile]


def _changed(arguments: Any, layout: Callable[[str], str]) -> Any:
    if isinstance(arguments, str):
        return layout(arguments)
    return (layout(arguments[0]), *arguments[1:])
