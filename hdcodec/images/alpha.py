"""The alpha channel as the lossless PNG of an alpha chunk."""

from __future__ import annotations

import io

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from hdcodec._errors import CorruptError
from hdcodec.format._alpha import check_pixels


def encode_alpha(alpha: Image.Image) -> bytes:
    """Return a PNG of `alpha` (mode L): one bit a pixel where that is enough, else eight."""
    plain = Image.new("L", alpha.size)
    plain.paste(alpha)
    if not any(plain.histogram()[1:255]):
        plain = plain.convert("1", dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    plain.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def decode_alpha(png: bytes, size: tuple[int, int]) -> Image.Image:
    """Return the alpha channel, mode L, of `size` (width, height).

    Raises CorruptError if `png` is anything else; its size is known before pixels are decoded.
    """
    try:
        check_pixels(png, *size)
        return PngImageFile(io.BytesIO(png)).convert("L")  # Image.open has a limit of its own
    except (CorruptError, MemoryError):
        raise
    except Exception as error:
        raise CorruptError(f"the alpha chunk cannot be decoded: {error}") from error
