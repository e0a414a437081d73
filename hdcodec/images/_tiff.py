"""TIFFs that Pillow opens but shows wrongly, and the names of those that it does not open."""

from __future__ import annotations

from typing import IO

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from hdcodec._errors import ImageError
from hdcodec.images import _tiles

BITS, PHOTOMETRIC, SAMPLES, PLANES, FORMAT = 258, 262, 277, 284, 339
_USUAL_SAMPLES = 4
_WHITE_IS_ZERO, _SEPARATE = 0, 2
_SAMPLE_FORMATS = {1: "unsigned", 2: "signed", 3: "floating point", 5: "complex", 6: "complex"}
_COLOURS = {0: "gray", 1: "gray", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "CIELAB"}
_PREFIXES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def bits(image: Image.Image) -> int | None:
    """Bits of a sample as the file says, or None if the image is not from a TIFF."""
    values = getattr(image, "tag_v2", {}).get(BITS)
    return max(values) if values else None


def is_negative(image: Image.Image) -> bool:
    """Whether 0 is white in an image of more than 8 bits; of others Pillow takes care."""
    deep = image.mode.startswith(("I", "F"))
    return deep and getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == _WHITE_IS_ZERO


def mend_planes(image: Image.Image) -> None:
    """Have planes of 16 bits read as such; Pillow takes those without compression for 8 bits.

    To be called before the pixels are loaded. Raises ImageError if it knows no such planes.
    """
    if not isinstance(image, TiffImageFile) or not image.tile or image.tile[0][0] != "raw":
        return
    if (
        image.tag_v2.get(PLANES) != _SEPARATE
        or (bits(image) or 0) <= 8
        or len(image.getbands()) < 2
    ):
        return
    if image.mode not in ("RGB", "RGBA"):
        raise ImageError(f"a TIFF of 16-bit {image.mode} in separate planes cannot be read")
    order = "L" if image.tag_v2.prefix == b"II" else "B"
    _tiles.read_as(image, lambda band: f"{band};16{order}")


def kind(stream: IO[bytes]) -> str | None:
    """What a TIFF is of, for people; None if the stream is none, or of a kind that Pillow reads."""
    stream.seek(0)
    head = stream.read(8)
    if not head.startswith(_PREFIXES):
        return None
    try:
        tags = ImageFileDirectory_v2(head + (stream.read(8) if b"+" in head[2:4] else b""))
        stream.seek(tags.next)
        tags.load(stream)
        samples, depths = tags.get(SAMPLES, 1), sorted(set(tags[BITS]))
        if samples <= _USUAL_SAMPLES and max(depths) <= 8:
            return None
        form = _SAMPLE_FORMATS.get(max(tags.get(FORMAT, (1,))), "odd")
        colours = _COLOURS.get(tags.get(PHOTOMETRIC, -1), "odd colours")
        return f"{colours}, {samples} x {'/'.join(map(str, depths))} bits, {form}"
    except Exception:
        return None
