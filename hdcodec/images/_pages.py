"""Pages of a document and frames of an animation: which one is read, and how many are left out."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from itertools import islice
from typing import IO

from PIL import ImageFile

from hdcodec._errors import ImageError

COUNTED = 1000
_DIRECTORIES = 4 * COUNTED

# A camera's preview or second view, and layers, are part of the one picture.
_ONE_PICTURE = frozenset(("MPO", "PSD"))
_PAPER = frozenset(("TIFF", "DCX"))

_SUBFILE_TYPE = 254
_REDUCED_OR_MASK = 1 | 4


def select(image: ImageFile.ImageFile, stream: IO[bytes], page: int, name: str) -> None:
    """Go to a page or frame, counted from 1; raises ImageError if there is no such page."""
    places = _places(image, stream)
    if not 1 <= page <= len(places):
        raise ImageError(f"{name} has no page {page}: it has {len(places)}")
    if page > 1:
        image.seek(places[page - 1])


def warn_of_others(image: ImageFile.ImageFile, stream: IO[bytes]) -> None:
    """Say so if there is more than one page or frame. The image cannot be used any more."""
    if image.format in _ONE_PICTURE:
        return
    count = len(_places(image, stream))
    if count > 1:
        what = "pages" if image.format in _PAPER else "frames"
        number = count if count <= COUNTED else f"more than {COUNTED}"
        warnings.warn(f"only the first of {number} {what} is coded", stacklevel=2)


def _places(image: ImageFile.ImageFile, stream: IO[bytes]) -> range | list[int]:
    """By which numbers Pillow knows the pages, as far as they are readable."""
    if image.format == "TIFF":
        return _tiff_pages(stream)
    if image.format == "PSD":
        return range(1)
    try:
        return range(min(getattr(image, "n_frames", 1), 1 << 31))
    except Exception:
        return range(1)


def _tiff_pages(stream: IO[bytes]) -> list[int]:
    """The directories of a TIFF that are no smaller copies and no masks; the first always is one.

    Pillow's own count takes the square of their number, which a small file can make large.
    """
    kinds = enumerate(islice(_tiff_directories(stream), _DIRECTORIES))
    return [place for place, kind in kinds if place == 0 or not kind & _REDUCED_OR_MASK]


def _tiff_directories(stream: IO[bytes]) -> Iterator[int]:
    """The subfile type of each directory, up to the first that is not in the file."""
    stream.seek(0)
    head = stream.read(8)
    order = "<" if head[:1] == b"I" else ">"
    large = 43 in head[2:4]
    counts = struct.Struct(order + ("Q" if large else "H"))
    entries = struct.Struct(order + ("HHQQ" if large else "HHII"))
    links = struct.Struct(order + ("Q" if large else "I"))
    link, seen = (stream.read(8) if large else head[4:]), set[bytes]()
    try:
        while link not in seen and any(link):
            seen.add(link)
            stream.seek(*links.unpack(link))
            table = entries.size * counts.unpack(stream.read(counts.size))[0]
            found = entries.iter_unpack(stream.read(min(table, entries.size << 16)))
            yield next((value for tag, _, _, value in found if tag == _SUBFILE_TYPE), 0)
            link = stream.read(links.size)
    except (struct.error, OSError, OverflowError, ValueError):
        return
