"""From a stream to an image with its pixels, also where Pillow alone would refuse the file."""

from __future__ import annotations

import io
import warnings
from typing import IO

from PIL import Image, ImageChops, ImageFile, UnidentifiedImageError

from hdcodec._errors import HdcError, ImageError, TooLargeError
from hdcodec._pictures import open_image
from hdcodec.format import MAX_SIDE
from hdcodec.images import _pages, _png, _tiff

# What Pillow leaves to Ghostscript and to Windows: to draw these is to run a program.
_PROGRAMS = frozenset(("EPS", "WMF", "EMF"))

_JPEG_END = b"\xff\xd9"
_LEAST_SHARE = 20


def read(
    stream: IO[bytes], page: int | None, name: str, max_pixels: int | None
) -> ImageFile.ImageFile:
    """The image of a page, its pixels loaded.

    A file that ends early gives the pixels that it has, and a PNG its picture whatever its text is,
    both with a warning where something is lost. Raises what Pillow does, and HdcError.
    """
    try:
        return _loaded(stream, page, name, max_pixels)
    except (HdcError, MemoryError, Image.DecompressionBombError, Warning):
        raise
    except Exception as error:
        if isinstance(error, UnidentifiedImageError):
            _name_tiff(stream, name)
        if not _png.is_png(stream):
            raise
    image = _loaded(_png.bare(stream), page, name, max_pixels)
    image.info.update(_png.left_out(stream))
    return image


def _loaded(
    stream: IO[bytes], page: int | None, name: str, max_pixels: int | None
) -> ImageFile.ImageFile:
    stream.seek(0)
    image = open_image(stream)
    if image.format in _PROGRAMS:
        raise ImageError(f"{name} is a drawing in {image.format}, not a picture")
    if page is not None:
        _pages.select(image, stream, page, name)
    prepare(image, max_pixels)
    try:
        image.load()
    except OSError as error:
        if "truncated" not in str(error).lower():
            raise
        rest = _rest(image, stream)
        if rest is None:
            raise
        return rest
    return image


def _name_tiff(stream: IO[bytes], name: str) -> None:
    """Raise ImageError if it is a TIFF of a kind that Pillow does not know."""
    kind = _tiff.kind(stream)
    if kind is not None:
        raise ImageError(
            f"{name} cannot be read: it is a TIFF of {kind}; convert it to gray or RGB of 16 bits"
        )


def prepare(image: Image.Image, max_pixels: int | None = None) -> None:
    """What is to be done before the pixels are loaded; raises ImageError and TooLargeError."""
    check_size(image, max_pixels)
    _tiff.mend_planes(image)


def check_size(image: Image.Image, max_pixels: int | None = None) -> None:
    """Raise ImageError or TooLargeError unless the codec and its caller take so many pixels."""
    width, height = image.size
    if min(width, height) < 1:
        raise ImageError(f"the image is empty ({width}x{height} pixels)")
    if max_pixels is not None and width * height > max_pixels:
        raise TooLargeError(f"{width}x{height} pixels are more than the limit of {max_pixels}")
    if max(width, height) > MAX_SIDE:
        raise TooLargeError(f"{width}x{height} pixels: at most {MAX_SIDE} a side are possible")


def _rest(image: ImageFile.ImageFile, stream: IO[bytes]) -> ImageFile.ImageFile | None:
    """What a file has that ends early, or None if that is hardly anything.

    A PNG's decoder leaves the rows so far in the image, a JPEG's waits for a mark of the end.
    """
    if image.format == "PNG":
        if image.info.get("interlace") or not _png.is_merely_cut(stream, image.size):
            return None
        image.tile = []
    elif image.format in ("JPEG", "MPO") and image.tell() == 0:
        stream.seek(0)
        image = Image.open(io.BytesIO(stream.read(_png.MAX_COPY) + _JPEG_END))
    else:
        return None
    image.load()
    if _rows(image) * _LEAST_SHARE < image.height:
        return None
    warnings.warn("the file ends early: what is missing of the picture is blank", stacklevel=2)
    return image


def _rows(image: Image.Image) -> int:
    """How far down the picture is of more than the colour of its last pixel."""
    rgb = image.convert("RGB")
    blank = Image.new("RGB", rgb.size, rgb.getpixel((rgb.width - 1, rgb.height - 1)))
    box = ImageChops.difference(rgb, blank).getbbox()
    return box[3] if box else 0
