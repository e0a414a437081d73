"""Reading pictures."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from hdcodec._errors import HdcError, ImageError, TooLargeError
from hdcodec._pictures import lacking, open_image
from hdcodec.format import MAX_SIDE
from hdcodec.images import _colour, _metadata
from hdcodec.images.picture import Picture

MAX_STREAM_BYTES = 1 << 30

# What Pillow leaves to Ghostscript and to Windows: to draw these is to run a program.
_PROGRAMS = frozenset(("EPS", "WMF", "EMF"))


def load(source: str | os.PathLike[str] | BinaryIO, *, max_pixels: int | None = None) -> Picture:
    """Read the image in a file or a binary stream; of an animation, the first frame.

    Raises ImageError if it cannot be read, TooLargeError if it has more than `max_pixels` pixels
    (unless given, what Pillow allows: twice Image.MAX_IMAGE_PIXELS), a side of more than 65535, or
    more than MAX_STREAM_BYTES bytes in a stream that cannot seek.
    """
    name = str(source) if isinstance(source, (str, os.PathLike)) else "the input"
    with _image_errors(name):
        path = source if isinstance(source, (str, os.PathLike)) else seekable(source)
        with _allowing(max_pixels), open_image(path) as image:
            if image.format in _PROGRAMS:
                raise ImageError(f"{name} is a drawing in {image.format}, not a picture")
            return _picture(image, max_pixels)


def from_pil(image: Image.Image) -> Picture:
    """Return what a viewer shows of `image`, whatever its mode; `image` itself stays as it is.

    EXIF orientation is applied, a colour profile converted to sRGB, 16 bits scaled to 8. Alpha
    that is opaque everywhere is dropped. Raises ImageError or TooLargeError as `load` does.
    """
    with _image_errors("the image"):
        return _picture(image)


def _picture(image: Image.Image, max_pixels: int | None = None) -> Picture:
    _check_size(image.width, image.height, max_pixels)
    image.load()
    _check_size(image.width, image.height, max_pixels)  # an icon may hold one of another size
    turn, exif, xmp = _metadata.read(image)
    gray = _colour.is_gray(image)
    colours, alpha = _colour.split_alpha(_colour.to_eight_bits(image))
    rgb = _colour.to_srgb(colours, image.info.get("icc_profile"))
    if turn is not None:
        rgb = rgb.transpose(turn)
        alpha = alpha and alpha.transpose(turn)
    return Picture(_bare(rgb), _bare(alpha) if alpha else None, gray, exif, xmp)


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


def _check_size(width: int, height: int, max_pixels: int | None) -> None:
    if min(width, height) < 1:
        raise ImageError(f"the image is empty ({width}x{height} pixels)")
    if max_pixels is not None and width * height > max_pixels:
        raise TooLargeError(f"{width}x{height} pixels are more than the limit of {max_pixels}")
    if max(width, height) > MAX_SIDE:
        raise TooLargeError(f"{width}x{height} pixels: at most {MAX_SIDE} a side are possible")


def _bare(image: Image.Image) -> Image.Image:
    """An image that owns its pixels and carries no leftovers of the source."""
    bare = image.copy()
    bare.info = {}
    return bare


@contextlib.contextmanager
def _image_errors(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises on bad input into an HdcError, and keep its warnings quiet.

    Its readers raise nearly every kind of exception on damaged data, hence the last clause.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        try:
            yield
        except HdcError:
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
