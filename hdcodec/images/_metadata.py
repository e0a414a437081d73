"""Orientation, EXIF and XMP of an opened image."""

from __future__ import annotations

import re
import warnings
from typing import Any

from PIL import ExifTags, Image

_ORIENTATION = ExifTags.Base.Orientation
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PREFIX = b"Exif\0\0"
XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
XMP_TAG = 700
_XMP_ORIENTATION = re.compile(rb'(tiff:Orientation(?:="|>))([0-9])')

# A TIFF mixes these with tags about its own strips, which mean nothing elsewhere.
_DESCRIPTIVE = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    _ORIENTATION,
    ExifTags.Base.XResolution,
    ExifTags.Base.YResolution,
    ExifTags.Base.ResolutionUnit,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Copyright,
)
_DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)


def read(image: Image.Image) -> tuple[Image.Transpose | None, bytes | None, bytes | None]:
    """Return the turn that makes `image` upright (None if it is), its EXIF and its XMP.

    Both say that the orientation is 1. EXIF that cannot be read is left out with a warning.
    """
    xmp = _xmp(image)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            turn = _TURNS.get(_orientation(image, xmp))
            exif = _exif(image, turned=turn is not None)
    except Exception as error:
        warnings.warn(f"the EXIF data is ignored: {error}", stacklevel=4)
        turn, exif = None, None
    return turn, exif, xmp and _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def _orientation(image: Image.Image, xmp: bytes | None) -> int:
    """By EXIF, else by XMP. A TIFF is upright already: Pillow turns it when it loads the pixels."""
    if hasattr(image, "tag_v2"):
        return 1
    found = _XMP_ORIENTATION.search(xmp or b"")
    return int(image.getexif().get(_ORIENTATION) or (found and found[2]) or 1)


def _exif(image: Image.Image, *, turned: bool) -> bytes | None:
    """The EXIF block as it is in the file, rewritten only if the picture is turned.

    Rewriting leaves out the thumbnail, which would lie on its side.
    """
    raw = image.info.get("exif")
    if raw is None:
        return _rebuilt(image.getexif())
    if not turned:
        return bytes(raw).removeprefix(_PREFIX) or None
    exif = Image.Exif()
    exif.load(raw)
    if _ORIENTATION in exif:
        exif[_ORIENTATION] = 1
    return exif.tobytes().removeprefix(_PREFIX)


def descriptive(exif: bytes) -> bytes | None:
    """Of an EXIF block what is about the picture, not about the file it was in; None if nothing is.

    Raises nearly any exception on a block that cannot be read.
    """
    source = Image.Exif()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source.load(exif)
        return _rebuilt(source)


def _rebuilt(source: Image.Exif) -> bytes | None:
    """An EXIF block from the tags of a TIFF, or None if there are none worth keeping."""
    exif = Image.Exif()
    for tag in _DESCRIPTIVE:
        if tag in source:
            exif[tag] = 1 if tag == _ORIENTATION else source[tag]
    for directory in _DIRECTORIES:
        content = source.get_ifd(directory)
        if content:
            exif[directory] = dict(content)
    return exif.tobytes().removeprefix(_PREFIX) if len(exif) else None


def _xmp_before_11(image: Image.Image) -> Any:
    """The XMP that Pillow before 11 leaves in the tags of a TIFF or the sections of a JPEG."""
    for _, content in getattr(image, "applist", ()):
        if content.startswith(XMP_MARK):
            return content.removeprefix(XMP_MARK)
    return getattr(image, "tag_v2", {}).get(XMP_TAG)


def _xmp(image: Image.Image) -> bytes | None:
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or _xmp_before_11(image)
    if isinstance(xmp, str):
        xmp = xmp.encode()
    return xmp if isinstance(xmp, bytes) and xmp else None
