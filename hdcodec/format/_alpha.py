"""Validation of the PNG in an alpha chunk, before anything decodes it."""

from __future__ import annotations

import struct
import zlib

from hdcodec._errors import CorruptError
from hdcodec.format._bytes import Reader

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _DEPTHS = 0, (1, 8)
_STEP = 1 << 16


def check_alpha(png: bytes, width: int, height: int) -> None:
    """Accept a gray PNG of `width` x `height` pixels made of IHDR, IDAT and IEND only.

    Raises CorruptError for anything else, TruncatedError if the PNG is cut.
    """
    _parse(png, width, height)


def check_pixels(png: bytes, width: int, height: int) -> None:
    """Accept a PNG that check_alpha accepts and whose pixels are all there, with nothing after.

    They are decompressed in small steps. Raises CorruptError, TruncatedError.
    """
    depth, packed = _parse(png, width, height)
    left = height * (1 + (width * depth + 7) // 8)
    unpacker = zlib.decompressobj()
    try:
        while left >= 0 and (step := unpacker.decompress(packed, _STEP)):
            left, packed = left - len(step), unpacker.unconsumed_tail
    except zlib.error as error:
        raise CorruptError(f"the alpha chunk cannot be decoded: {error}") from error
    if left or not unpacker.eof or unpacker.unused_data:
        raise CorruptError("the alpha chunk does not have as many pixels as the picture")


def _parse(png: bytes, width: int, height: int) -> tuple[int, bytes]:
    """The bits of a pixel and the compressed pixels."""
    reader = Reader(png)
    if reader.take(len(_SIGNATURE), "alpha chunk") != _SIGNATURE:
        raise CorruptError("the alpha chunk is not a PNG")
    kind, body = _section(reader)
    if kind != b"IHDR" or len(body) != 13:
        raise CorruptError("the alpha chunk has no PNG header")
    return _check_ihdr(body, width, height), _pixels(reader)


def _check_ihdr(body: bytes, width: int, height: int) -> int:
    wide, high, depth, colour, *methods = struct.unpack(">IIBBBBB", body)
    if (wide, high) != (width, height):
        raise CorruptError(f"the alpha chunk is {wide}x{high}, the picture {width}x{height}")
    if colour != _GRAY or depth not in _DEPTHS or any(methods):
        raise CorruptError("the alpha chunk is not a plain gray PNG of 1 or 8 bits")
    return int(depth)


def _pixels(reader: Reader) -> bytes:
    parts = []
    while (found := _section(reader))[0] == b"IDAT":
        parts.append(found[1])
    if not parts or found[0] != b"IEND":
        raise CorruptError("the alpha chunk holds more than plain pixels")
    if reader.left():
        raise CorruptError("the alpha chunk goes on after its end")
    return b"".join(parts)


def _section(reader: Reader) -> tuple[bytes, bytes]:
    """The kind and the body of the next section; its own CRC is left to the PNG decoder."""
    size, kind = struct.unpack(">I4s", reader.take(8, "alpha chunk"))
    body = reader.take(size, "alpha chunk")
    reader.take(4, "alpha chunk")
    return kind, body
