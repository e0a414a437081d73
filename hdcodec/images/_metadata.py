"""Orientation, EXIF and XMP of an opened image."""

from __future__ import annotations

import re
import warnings
from typing import Any

from PIL import ExifTags, Image

from hdcodec.images import _exif

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
XMP_TAG = 700
_XMP_ORIENTATION = re.compile(rb'(tiff:Orientation(?:="|>))([0-9])')

# A TIFF mixes these with tags about its own strips, which mean nothing elsewhere.
_DESCRIPTIVE = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Orientation,
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
        turn = _TURNS.get(_orientation(image, xmp))
        exif = _block(image, turned=turn is not None)
    except Exception as error:
        warnings.warn(f"the EXIF data is ignored: {error}", stacklevel=2)
        turn, exif = None, None
    return turn, exif, xmp and _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def _orientation(image: Image.Image, xmp: bytes | None) -> int:
    """By EXIF, else by XMP. A TIFF is upright already: Pillow turns it when it loads the pixels."""
    if hasattr(image, "tag_v2"):
        return 1
    found = _XMP_ORIENTATION.search(xmp or b"")
    return int(image.getexif().get(_exif.ORIENTATION) or (found and found[2]) or 1)


def _block(image: Image.Image, *, turned: bool) -> bytes | None:
    """The EXIF block as it is in the file, or what a TIFF says in its place."""
    raw = bytes(image.info.get("exif") or b"")
    while raw.startswith(_exif.PREFIX):
        raw = raw.removeprefix(_exif.PREFIX)
    if raw:
        return _exif.upright(raw, turned=turned)
    exif = Image.Exif()
    exif.update(_described(image.getexif()))
    return exif.tobytes().removeprefix(_exif.PREFIX) if len(exif) else None


def descriptive(exif: bytes) -> dict[int, Any]:
    """Of an EXIF block what is about the picture, not about the file it was in: tag to value.

    Raises nearly any exception on a block that cannot be read.
    """
    source = Image.Exif()
    source.load(exif)
    return _described(source)


class _Text(str):
    """Text that is written with the bytes it was read from, where Pillow would write ASCII."""

    def encode(self, encoding: str = "", errors: str = "") -> bytes:
        try:
            return super().encode("latin-1")
        except UnicodeEncodeError:
            return super().encode()


def _described(source: Image.Exif) -> dict[int, Any]:
    tags: dict[int, Any] = {tag: _writable(source[tag]) for tag in _DESCRIPTIVE if tag in source}
    if _exif.ORIENTATION in tags:
        tags[_exif.ORIENTATION] = 1
    for directory in _DIRECTORIES:
        if content := source.get_ifd(directory):
            tags[directory] = {tag: _writable(value) for tag, value in content.items()}
    return tags


def _writable(value: Any) -> Any:
    return _Text(value) if isinstance(value, str) else value


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
