"""Pictures by their names: which can be read, and what the others would take."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import ImageFile

HDC = ".hdc"

# Pillow knows these by name, but cannot read a picture out of them (EPS: not without Ghostscript).
STUBS = frozenset(("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PDF", "WMF"))

# Extensions that Pillow learns from another package: of what, the package, its module to import.
_HEIC = ("HEIC", "pillow-heif", "pillow_heif.HeifImagePlugin")
_JXL = ("JPEG XL", "pillow-jxl-plugin", "pillow_jxl")
_PLUGINS = {".heic": _HEIC, ".heif": _HEIC, ".hif": _HEIC, ".jxl": _JXL}

_RAW = frozenset(
    (".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".srw")
)


def is_picture(name: str | os.PathLike[str]) -> bool:
    """Whether a file is a picture by its name, if only one that other programs read."""
    from PIL import Image

    suffix = _suffix(name)
    foreign = suffix in _PLUGINS or suffix in _RAW
    return suffix != HDC and (foreign or suffix in Image.registered_extensions())


def readable() -> Callable[[str | os.PathLike[str]], bool]:
    """A test whether `load` may read a file, by its name."""
    from PIL import Image

    known = {
        suffix
        for suffix, kind in Image.registered_extensions().items()
        # Pillow reads MPO, as JPEG, but lists it only among what it writes.
        if kind == "MPO" or (kind in Image.OPEN and kind not in STUBS)
    }
    known |= {suffix for suffix, (_, _, module) in _PLUGINS.items() if _is_there(module)}
    known.discard(HDC)
    return lambda name: _suffix(name) in known


def lacking(name: str | os.PathLike[str]) -> str | None:
    """What keeps a picture of this name from being read, if that is known."""
    suffix = _suffix(name)
    if suffix in _RAW:
        return "a camera's raw file has to be developed first"
    if suffix in _PLUGINS and not _is_there(_PLUGINS[suffix][2]):
        return "{} needs the Python package {}".format(*_PLUGINS[suffix])
    return None


def open_image(source: Any) -> ImageFile.ImageFile:
    """Image.open, with those of the other packages that are installed where Pillow needs them."""
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(source)
    except UnidentifiedImageError:
        before = len(Image.OPEN)
        for module in {module for _, _, module in _PLUGINS.values()}:
            with contextlib.suppress(ImportError):
                import_module(module)
        if len(Image.OPEN) == before:
            raise
        return Image.open(source)


def _is_there(module: str) -> bool:
    return find_spec(module.partition(".")[0]) is not None


def _suffix(name: str | os.PathLike[str]) -> str:
    return os.path.splitext(name)[1].lower()
