"""Writing pictures."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, PngImagePlugin

from hdcodec._atomic import output_errors, replacing
from hdcodec._errors import OutputError
from hdcodec.images._metadata import XMP_MARK, XMP_TAG, descriptive

_ALPHA_FORMATS = frozenset(
    ("AVIF", "DDS", "ICNS", "ICO", "IM", "JPEG2000", "PNG", "QOI", "SGI", "TGA", "TIFF", "WEBP")
)
_METADATA_FORMATS = frozenset(("AVIF", "JPEG", "MPO", "PNG", "TIFF", "WEBP"))
_EXIF_READERS = frozenset(("AVIF", "TIFF"))
_MODES = {
    ("AVIF", "LA"): "RGBA",
    ("QOI", "L"): "RGB",
    ("QOI", "LA"): "RGBA",
    ("SGI", "LA"): "RGBA",
}
_QUALITY = {"AVIF": 90, "JPEG": 95, "MPO": 95, "WEBP": 95}
_JPEG_SECTION_BYTES = 65_533


def save(
    image: Image.Image,
    target: str | os.PathLike[str] | BinaryIO,
    format: str | None = None,
    *,
    force: bool = False,
) -> None:
    """Write `image` to a file, whole or not at all, or to a binary stream.

    format: a Pillow format or an extension ("png", "JPEG"); by default that of the file's name,
    PNG for a stream or a name without one. EXIF and XMP in `image.info` are written along.

    Raises OutputError if the format is unknown or cannot hold what the image has (transparency,
    so many pixels), if the file exists (unless `force`) or cannot be written.
    """
    kind = check(target, format)
    if isinstance(target, (str, os.PathLike)):
        image = _fitting(image, kind)
        with replacing(target, force=force) as stream:
            _encode(image, stream, kind)
        return
    buffer = io.BytesIO()
    _encode(_fitting(image, kind), buffer, kind)
    with output_errors("the picture"):
        target.write(buffer.getbuffer())
        target.flush()


def check(
    target: str | os.PathLike[str] | BinaryIO,
    format: str | None = None,
    *,
    transparent: bool = False,
) -> str:
    """The Pillow name of the format in which `save` would write; raises OutputError as it does."""
    suffix = Path(target).suffix if isinstance(target, (str, os.PathLike)) else None
    kind = _kind(format or suffix or "PNG")
    _check_alpha(kind, transparent)
    return kind


def _check_alpha(kind: str, transparent: bool) -> None:
    if transparent and kind not in _ALPHA_FORMATS:
        raise OutputError(f"{kind} cannot hold transparency: flatten the picture or write a PNG")


def _kind(name: str) -> str:
    """The Pillow name of a format given by that name or by an extension."""
    extensions = Image.registered_extensions()
    kind = extensions.get("." + name.lower().lstrip("."), name.upper())
    if kind not in Image.SAVE:
        raise OutputError(f"there is no picture format {name!r} to write")
    return kind


def _fitting(image: Image.Image, kind: str) -> Image.Image:
    """The image in a mode that the format holds without loss of transparency."""
    transparent = image.mode.upper().endswith("A") or "transparency" in image.info
    _check_alpha(kind, transparent)
    mode = _MODES.get((kind, image.mode))
    return image.convert(mode) if mode else image


def _encode(image: Image.Image, stream: BinaryIO, kind: str) -> None:
    options = _options(image, kind)
    try:
        image.save(stream, kind, **options)
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise OutputError(f"the picture cannot be written as {kind}: {error}") from error


def _options(image: Image.Image, kind: str) -> dict[str, Any]:
    options: dict[str, Any] = {"quality": _QUALITY[kind]} if kind in _QUALITY else {}
    exif, xmp = image.info.get("exif"), image.info.get("xmp")
    if kind in _METADATA_FORMATS:
        return options | _metadata(kind, exif, xmp)
    if exif or xmp:
        warnings.warn(f"{kind} cannot hold the EXIF and XMP data", stacklevel=4)
    return options


def _metadata(kind: str, exif: bytes | None, xmp: bytes | None) -> dict[str, Any]:
    """The arguments by which Pillow's writer of `kind` takes EXIF and XMP."""
    options: dict[str, Any] = {}
    tags = _tags(exif) if exif and kind in _EXIF_READERS else None
    if exif and (tags is not None or kind not in _EXIF_READERS):
        options["exif"] = tags if kind == "TIFF" else exif
    if xmp and kind == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
    elif xmp and kind == "TIFF":
        options["exif"] = tags or Image.Exif()
        options["exif"][XMP_TAG] = xmp
    elif xmp and kind in ("JPEG", "MPO"):
        options["extra"] = _jpeg_section(XMP_MARK + xmp)
    elif xmp:
        options["xmp"] = xmp
    return options


def _jpeg_section(content: bytes) -> bytes:
    """An APP1 section, by which Pillow before version 11 writes XMP too."""
    if len(content) > _JPEG_SECTION_BYTES:
        raise OutputError("the XMP data is too long for a JPEG")
    return b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content


def _tags(exif: bytes) -> Image.Exif | None:
    """EXIF as tags that may stand in any TIFF; what cannot be read is left out with a warning."""
    tags = Image.Exif()
    try:
        tags.load(descriptive(exif) or b"")
    except Exception as error:
        warnings.warn(f"the EXIF data is ignored: {error}", stacklevel=5)
        return None
    return tags
