"""Faces and text in a picture.

Importing this loads neither a network nor onnxruntime; the first call does, and keeps them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from . import centerface, dbnet
from .boxes import FACE, TEXT, Box, Pixels
from .networks import Network, session

__all__ = ["FACE", "KINDS", "TEXT", "Box", "available", "faces", "text"]

Finder = Callable[[Any, Pixels], list[Box]]

_FINDERS: dict[str, tuple[Network, Finder]] = {
    "faces": (centerface.NETWORK, centerface.find),
    "text": (dbnet.NETWORK, dbnet.find),
}

KINDS = tuple(_FINDERS)
"""What can be looked for."""


def available() -> tuple[str, ...]:
    """The KINDS whose package is installed, where onnxruntime is too; what they hold is not looked
    at."""
    if find_spec("onnxruntime") is None:
        return ()
    return tuple(what for what in KINDS if _FINDERS[what][0].place() is not None)


def faces(pixels: Pixels) -> list[Box]:
    """The faces in an RGB picture of height x width x 3, the surest first.

    Raises WeightsError where the network is not installed or is another one, DeviceError without
    onnxruntime. Where the network fails on a picture, there is a warning, and nothing is found.
    """
    return _find("faces", pixels)


def text(pixels: Pixels) -> list[Box]:
    """The lines of text in an RGB picture, each in an upright box; else as `faces`."""
    return _find("text", pixels)


def _find(what: str, pixels: Pixels) -> list[Box]:
    network, finder = _FINDERS[what]
    opened = session(network, what)
    try:
        return finder(opened, pixels)
    except Exception as error:  # of any kind: the picture is worth more than what is found in it
        warnings.warn(f"{what} cannot be looked for: {error}", stacklevel=3)
        return []
