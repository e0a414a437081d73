"""What callers may say of where a picture is to be better, made into `Regions`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ._errors import DeviceError, RegionError, WeightsError
from .models.regions import Region, Regions

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from .detect import Box
    from .images import Picture

    Place: TypeAlias = Region | Sequence[float] | str
    Mask: TypeAlias = "Image.Image" | NDArray[np.uint8] | str | os.PathLike[str]

AUTO, NONE = "auto", "none"


def regions_of(
    picture: Picture, regions: Iterable[Place], mask: Mask | None, protect: str | Iterable[Box]
) -> Regions | None:
    """The regions of a picture, or None where there are none.

    `regions`: Region, (x, y, width, height[, offset]) or text as Region.parse takes it. `mask`: an
    image, an array or the path of a picture, whatever its size. `protect`: as `look_for` takes it,
    or what it found. Raises RegionError, ValueError, TypeError, ImageError, and what `look_for`
    does.
    """
    places = tuple(map(_region, regions))
    for place in places:
        _check_inside(place, picture.rgb.size)
    found = _boxes(picture.rgb, protect)
    gray = None if mask is None else _gray(mask)
    if not places and not found and gray is None:
        return None
    return Regions(picture.rgb.size, places, gray, found)


def kinds(protect: str) -> tuple[str, ...]:
    """The kinds of things to protect; raises ValueError."""
    from . import detect

    if protect == NONE:
        return ()
    if protect == AUTO:
        return tuple(kind for kind in ("faces",) if kind in detect.available())
    wanted = tuple(name.strip() for name in protect.split(","))
    if unknown := [name for name in wanted if name not in detect.KINDS]:
        known = ", ".join(detect.KINDS)
        raise ValueError(f"protect must be {AUTO}, {NONE} or of {known}, not {unknown[0]!r}")
    return wanted


def look_for(rgb: Image.Image, protect: str) -> tuple[Box, ...]:
    """What is to be protected in a picture: "auto", "none", or kinds of things between commas, as
    `kinds` knows them.

    Raises ValueError, and WeightsError or DeviceError where a detector that was asked for is
    missing; with "auto" one that does not work is a warning.
    """
    from . import detect

    finders = {"faces": detect.faces, "text": detect.text}
    found: list[Box] = []
    for kind in kinds(protect):
        try:
            found += finders[kind](np.asarray(rgb))
        except (WeightsError, DeviceError) as error:
            if protect != AUTO:
                raise
            warnings.warn(f"{kind} are not protected: {error}", stacklevel=2)
    return tuple(found)


def _boxes(rgb: Image.Image, protect: str | Iterable[Box]) -> tuple[Box, ...]:
    """What is to be protected, looked for or as it is given."""
    if isinstance(protect, str):
        return look_for(rgb, protect)
    if not isinstance(protect, Iterable):
        raise TypeError("protect must be a text or boxes")
    boxes = tuple(protect)
    for box in boxes:
        _check_box(box, rgb.size)
    return boxes


def _check_box(box: Any, size: tuple[int, int]) -> None:
    """A box must be what a detector could have found in a picture of that size."""
    from .detect import FACE, TEXT, Box

    if not isinstance(box, Box):
        raise TypeError(f"protect takes boxes of hdcodec.detect, not {type(box).__name__}")
    if box.kind not in (FACE, TEXT):
        raise ValueError(f"the kind of a box must be {FACE} or {TEXT}, not {box.kind!r}")
    _check_inside(Region(box.x, box.y, box.width, box.height), size)


def _region(place: Any) -> Region:
    if isinstance(place, Region):
        return place
    if isinstance(place, str):
        return Region.parse(place)
    try:
        numbers = [float(number) for number in place]
    except TypeError as error:
        raise TypeError("a region must be (x, y, width, height) or with an offset") from error
    if len(numbers) not in (4, 5):
        raise ValueError("a region must be (x, y, width, height) or with an offset")
    return Region(*numbers)


def _check_inside(place: Region, size: tuple[int, int]) -> None:
    ends = place.x + place.width, place.y + place.height
    if place.x >= size[0] or place.y >= size[1] or min(ends) <= 0:
        at = f"{place.x:g},{place.y:g},{place.width:g},{place.height:g}"
        raise RegionError(f"the region {at} lies outside the picture of {size[0]}x{size[1]}")


def _gray(mask: Mask) -> NDArray[np.uint8]:
    from ._inputs import picture_of

    return np.asarray(picture_of(mask).rgb.convert("L"))
