"""Reading pictures."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import IO, BinaryIO

from PIL import Image, UnidentifiedImageError

from hdcodec._errors import HdcError, ImageError, TooLargeError
from hdcodec._pictures import lacking
from hdcodec.images import _colour, _icc, _metadata, _pages, _png, _reading
from hdcodec.images._hidden import fill_hidden
from hdcodec.images._reading import check_size, prepare
from hdcodec.images.picture import Picture

MAX_STREAM_BYTES = 1 << 30


def load(
    source: str | os.PathLike[str] | BinaryIO,
    *,
    max_pixels: int | None = None,
    page: int | None = None,
) -> Picture:
    """Read the image in a file or a binary stream; of several pages or frames one, from 1.

    Without `page` it is the first, and a warning says how many there are. What Pillow warns of is
    left to the filters of the program. Raises ImageError if the image cannot be read or there is no
    such page, TooLargeError if it has more than `max_pixels` pixels (unless given, what Pillow
    allows: twice Image.MAX_IMAGE_PIXELS), a side of more than 65535, or more than MAX_STREAM_BYTES
    bytes in a stream that cannot seek.
    """
    name = str(source) if isinstance(source, (str, os.PathLike)) else "the input"
    with _image_errors(name), _opened(source) as stream, _allowing(max_pixels):
        with _reading.read(stream, page, name, max_pixels) as image:
            picture = _picture(image, stream, max_pixels)
            if page is None:
                _pages.warn_of_others(image, stream)
        return picture


def from_pil(image: Image.Image) -> Picture:
    """Return what a viewer shows of `image`, whatever its mode; `image` itself stays as it is.

    EXIF orientation is applied, a colour profile converted to sRGB, 16 bits scaled to 8. Alpha
    that is opaque everywhere is dropped; fully transparent pixels take colours from around them.
    Raises ImageError or TooLargeError as `load` does.
    """
    with _image_errors("the image"):
        return _picture(image, getattr(image, "fp", None))


def _picture(
    image: Image.Image, stream: IO[bytes] | None, max_pixels: int | None = None
) -> Picture:
    """stream: the file of `image`, where it is still open."""
    prepare(image, max_pixels)
    png = stream if image.format == "PNG" else None
    low = _png.low_bytes(png) if png and image.tell() == 0 else None
    code = _png.before_pixels(png, b"cICP") if png else None
    image.load()
    check_size(image, max_pixels)  # an icon may hold a picture of another size
    turn, exif, xmp = _metadata.read(image)
    gray = _colour.is_gray(image)
    colours, alpha = _colour.split_alpha(_colour.to_eight_bits(image), low)
    rgb = _colour.to_srgb(colours, _icc.of_png(image.info, code))
    if turn is not None:
        rgb = rgb.transpose(turn)
        alpha = alpha and alpha.transpose(turn)
    if alpha is not None:
        rgb = fill_hidden(rgb, alpha)
    return Picture(_bare(rgb), _bare(alpha) if alpha else None, gray, exif, xmp)


@contextlib.contextmanager
def _opened(source: str | os.PathLike[str] | BinaryIO) -> Iterator[BinaryIO]:
    if isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as stream:
            yield seekable(stream)
    else:
        yield seekable(source)


def seekable(stream: BinaryIO) -> BinaryIO:
    """The stream itself, or the content of one that cannot seek, such as a pipe.

    Raises TooLargeError if that is more than MAX_STREAM_BYTES.
    """
    if stream.seekable():
        return stream
    content = io.BytesIO()
    while block := stream.read(1 << 16):
        content.write(block)
        if content.tell() > MAX_STREAM_BYTES:
            raise TooLargeError(f"the input has more than {MAX_STREAM_BYTES} bytes")
    content.seek(0)
    return content


@contextlib.contextmanager
def _allowing(pixels: int | None) -> Iterator[None]:
    """Lift Pillow's own limit, which is one for the whole process, where it is below `pixels`."""
    limit = Image.MAX_IMAGE_PIXELS
    if pixels is None or limit is None or pixels <= 2 * limit:
        yield
        return
    Image.MAX_IMAGE_PIXELS = pixels
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _bare(image: Image.Image) -> Image.Image:
    """An image that owns its pixels and carries no leftovers of the source."""
    bare = image.copy()
    bare.info = {}
    return bare


@contextlib.contextmanager
def _image_errors(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises on bad input into an HdcError.

    Its readers raise nearly every kind of exception on damaged data, hence the last clause.
    """
    try:
        yield
    except (HdcError, Warning):  # a warning is raised where a program asks for that
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise TooLargeError(f"{name} is too large: {error}") from error
    except UnidentifiedImageError as error:
        if reason := lacking(name):
            raise ImageError(f"{name} cannot be read: {reason}") from error
        raise ImageError(f"{name} is not an image of a known format") from error
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or repr(error)
        raise ImageError(f"{name} cannot be read: {reason}") from error
