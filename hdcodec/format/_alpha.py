"""Validation of the PNG in an alpha chunk, before anything decodes it."""

from __future__ import annotations

import struct

from hdcodec._errors import CorruptError
from hdcodec.format._bytes import Reader

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _DEPTHS = 0, (1, 8)


def check_alpha(png: bytes, width: int, height: int) -> None:
    """Accept a gray PNG of `width` x `height` pixels made of IHDR, IDAT and IEND only.

    Raises CorruptError for anything else, TruncatedError if the PNG is cut.
    """
    reader = Reader(png)
    if reader.take(len(_SIGNATURE), "alpha chunk") != _SIGNATURE:
        raise CorruptError("the alpha chunk is not a PNG")
    kind, body = _section(reader)
    if kind != b"IHDR" or len(body) != 13:
        raise CorruptError("the alpha chunk has no PNG header")
    _check_ihdr(body, width, height)
    _check_sections(reader)


def _check_ihdr(body: bytes, width: int, height: int) -> None:
    wide, high, depth, colour, *methods = struct.unpack(">IIBBBBB", body)
    if (wide, high) != (width, height):
        raise CorruptError(f"the alpha chunk is {wide}x{high}, the picture {width}x{height}")
    if colour != _GRAY or depth not in _DEPTHS or any(methods):
        raise CorruptError("the alpha chunk is not a plain gray PNG of 1 or 8 bits")


def _check_sections(reader: Reader) -> None:
    kinds = [_section(reader)[0]]
    while kinds[-1] == b"IDAT":
        kinds.append(_section(reader)[0])
    if len(kinds) < 2 or kinds[-1] != b"IEND":
        raise CorruptError("the alpha chunk holds more than plain pixels")
    if reader.left():
        raise CorruptError("the alpha chunk goes on after its end")


def _section(reader: Reader) -> tuple[bytes, bytes]:
    """The kind and the body of the next section; its own CRC is left to the PNG decoder."""
    size, kind = struct.unpack(">I4s", reader.take(8, "alpha chunk"))
    body = reader.take(size, "alpha chunk")
    reader.take(4, "alpha chunk")
    return kind, body
