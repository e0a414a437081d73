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
_MOST_PIXELS = {"ICO": 256, "JPEG": 65_500, "MPO": 65_500, "WEBP": 16_383}
_ICNS_SIZE = (1024, 1024)


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
    colours, so many pixels), if the file exists (unless `force`) or cannot be written.
    """
    transparent = image.mode.upper().endswith("A") or "transparency" in image.info
    kind = check(target, format, size=image.size, transparent=transparent)
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
    size: tuple[int, int] | None = None,
    transparent: bool = False,
) -> str:
    """The Pillow name of the format in which `save` would write a picture.

    Raises OutputError if there is none, or if it cannot hold a picture of `size` (Pillow would make
    it smaller or larger without a word in some formats) or one that is `transparent`.
    """
    suffix = Path(target).suffix if isinstance(target, (str, os.PathLike)) else None
    kind = _kind(format or suffix or "PNG")
    if size is not None:
        _check_size(kind, size)
    if transparent and kind not in _ALPHA_FORMATS:
        raise OutputError(f"{kind} cannot hold transparency: flatten the picture or write a PNG")
    return kind


def _check_size(kind: str, size: tuple[int, int]) -> None:
    width, height = size
    most = _MOST_PIXELS.get(kind)
    limit = f"at most {most} a side" if most and max(size) > most else None
    if kind == "ICNS" and size != _ICNS_SIZE:
        limit = "only 1024x1024"
    if limit:
        raise OutputError(f"{kind} cannot hold {width}x{height} pixels, {limit}")


def _kind(name: str) -> str:
    """The Pillow name of a format given by that name or by an extension."""
    suffix = "." + name.lower().lstrip(".")
    Image.preinit()  # the usual formats, a twentieth of a second before all of them
    if suffix not in Image.EXTENSION:
        Image.init()
    kind = Image.EXTENSION.get(suffix, name.upper())
    if kind not in Image.SAVE:
        raise OutputError(f"there is no picture format {name!r} to write")
    return kind


def _fitting(image: Image.Image, kind: str) -> Image.Image:
    """The image in a mode that the format holds without loss of transparency."""
    if kind == "SPIDER" and image.mode not in ("L", "F"):
        raise OutputError(f"{kind} cannot hold colours")
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
    if kind == "ICO":
        options["sizes"] = [image.size]
    exif, xmp = image.info.get("exif"), image.info.get("xmp")
    if kind in ("JPEG", "MPO"):
        exif, xmp = _short(exif, "EXIF"), _short(xmp, "XMP", XMP_MARK)
    if kind in _METADATA_FORMATS:
        return options | _metadata(kind, exif, xmp)
    if exif or xmp:
        warnings.warn(f"{kind} cannot hold the EXIF and XMP data", stacklevel=2)
    return options


def _metadata(kind: str, exif: bytes | None, xmp: bytes | None) -> dict[str, Any]:
    """The arguments by which Pillow's writer of `kind` takes EXIF and XMP."""
    tags = _tags(exif) if exif and kind in _EXIF_READERS else None
    if kind == "TIFF":
        return {"tiffinfo": (tags or {}) | ({XMP_TAG: xmp} if xmp else {})}
    unreadable = kind in _EXIF_READERS and tags is None
    options: dict[str, Any] = {"exif": exif} if exif and not unreadable else {}
    if xmp and kind == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
    elif xmp and kind in ("JPEG", "MPO"):
        options["extra"] = _jpeg_section(XMP_MARK + xmp)
    elif xmp:
        options["xmp"] = xmp
    return options


def _short(content: bytes | None, name: str, mark: bytes = b"") -> bytes | None:
    """Metadata that a section of a JPEG can hold behind a mark; longer ones are left out."""
    if content and len(mark + content) > _JPEG_SECTION_BYTES:
        warnings.warn(f"the {name} data is too long for a JPEG and left out", stacklevel=2)
        return None
    return content


def _jpeg_section(content: bytes) -> bytes:
    """An APP1 section, by which Pillow before version 11 writes XMP too."""
    return b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content


def _tags(exif: bytes) -> dict[int, Any] | None:
    """EXIF as tags that may stand in any TIFF; what cannot be read is left out with a warning."""
    try:
        return descriptive(exif)
    except Exception as error:
        warnings.warn(f"the EXIF data is ignored: {error}", stacklevel=2)
        return None
