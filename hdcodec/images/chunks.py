"""What a picture has beside its colours, as the chunks of a file."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image

from hdcodec.format import ALPHA, EXIF, GRAY, XMP
from hdcodec.images.alpha import decode_alpha, encode_alpha
from hdcodec.images.picture import Picture, resized, to_pil


def detach(picture: Picture, keep_metadata: bool = False) -> dict[int, bytes]:
    """Return the chunks, type to content, that `attach` needs; EXIF and XMP only if asked for."""
    chunks: dict[int, bytes] = {}
    if picture.alpha is not None:
        chunks[ALPHA] = encode_alpha(picture.alpha)
    if keep_metadata and picture.exif:
        chunks[EXIF] = picture.exif
    if keep_metadata and picture.xmp:
        chunks[XMP] = picture.xmp
    if picture.gray:
        chunks[GRAY] = b""
    return chunks


def attach(
    rgb: Image.Image, chunks: Mapping[int, bytes], size: tuple[int, int] | None = None
) -> Image.Image:
    """Return the picture of mode L, LA, RGB or RGBA that decoded colours and chunks make.

    `size`: width and height of the alpha chunk, if not those of `rgb`, to which it is then brought.
    Raises CorruptError if the chunk does not decode to that size.
    """
    alpha = None
    if ALPHA in chunks:
        alpha = resized(decode_alpha(chunks[ALPHA], size or rgb.size), rgb.size)
    return to_pil(Picture(rgb, alpha, GRAY in chunks, chunks.get(EXIF), chunks.get(XMP)))
