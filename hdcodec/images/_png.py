"""What Pillow does not tell of a PNG: its chunks, read without unfolding any pixels."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from hdcodec.images import _tiles

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB_OF_16_BITS = bytes((16, 2))
_SHORT = 256
MAX_COPY = 1 << 30
MAX_UNFOLDED = 16 << 20

# What decides how the picture looks, beside all chunks that every decoder must know.
_LOOKS = frozenset(
    (b"tRNS", b"cICP", b"gAMA", b"cHRM", b"sRGB", b"eXIf", b"acTL", b"fcTL", b"fdAT")
)
_XMP = b"XML:com.adobe.xmp\0"


class Chunk(NamedTuple):
    """Where the content of a chunk is in the file."""

    kind: bytes
    start: int
    length: int


def is_png(stream: IO[bytes]) -> bool:
    """Whether the stream begins as a PNG does; it is read from its start."""
    stream.seek(0)
    return stream.read(len(SIGNATURE)) == SIGNATURE


def chunks(stream: IO[bytes]) -> Iterator[Chunk]:
    """All chunks that have a header, to IEND."""
    start, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        stream.seek(start)
        head = stream.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        yield Chunk(kind, start + 8, length)
        start += 12 + length


def is_merely_cut(stream: IO[bytes], size: tuple[int, int]) -> bool:
    """Whether the file ends before its last chunk, and its pixels are sound as far as they go."""
    unfolding, room, end = zlib.decompressobj(), (8 * size[0] + 1) * size[1], 0
    try:
        for chunk in chunks(stream):
            end = chunk.start + chunk.length
            if chunk.kind != b"IDAT":
                continue
            check = zlib.crc32(chunk.kind)
            for data in _blocks(stream, chunk):
                check = zlib.crc32(data, check)
                while data and room > 0:
                    room -= len(unfolding.decompress(data, 1 << 20))
                    data = unfolding.unconsumed_tail
            if stream.read(4) not in (check.to_bytes(4, "big"), b""):
                return stream.tell() < end + 4
    except zlib.error:
        return False
    return stream.seek(0, io.SEEK_END) < end + 4 or chunk.kind != b"IEND"


def _blocks(stream: IO[bytes], chunk: Chunk) -> Iterator[bytes]:
    """The content of a chunk bit by bit, as far as the file has it."""
    stream.seek(chunk.start)
    left = chunk.length
    while left and (data := stream.read(min(left, 1 << 16))):
        left -= len(data)
        yield data


def before_pixels(stream: IO[bytes], kind: bytes) -> bytes | None:
    """The start of the first chunk of a kind, if that comes before the pixels."""
    position = stream.tell()
    try:
        for chunk in chunks(stream):
            if chunk.kind == kind:
                stream.seek(chunk.start)
                return stream.read(min(chunk.length, _SHORT))
            if chunk.kind == b"IDAT":
                return None
    finally:
        stream.seek(position)
    return None


def low_bytes(stream: IO[bytes]) -> Image.Image | None:
    """The lower bytes of 16-bit RGB pixels, which Pillow drops; None if no colour is transparent.

    Read as if the lower byte came first, pixels keep it in place of the upper one.
    """
    header = before_pixels(stream, b"IHDR") or b""
    if header[8:10] != _RGB_OF_16_BITS or not before_pixels(stream, b"tRNS"):
        return None
    position = stream.tell()
    image = PngImageFile(bare(stream))
    stream.seek(position)
    _tiles.read_as(image, lambda _: "RGB;16L")
    image.load()
    return image


def bare(stream: IO[bytes]) -> io.BytesIO:
    """A copy of what decides how the picture looks, without text and colour profile."""
    copy = io.BytesIO()
    copy.write(SIGNATURE)
    for chunk in chunks(stream):
        if chunk.kind[:1].isupper() or chunk.kind in _LOOKS:
            stream.seek(chunk.start - 8)
            copy.write(stream.read(min(chunk.length + 12, MAX_COPY - copy.tell())))
    copy.seek(0)
    return copy


def left_out(stream: IO[bytes]) -> dict[str, bytes]:
    """What `bare` leaves out and a picture has use for, under the names that Pillow gives it."""
    found: dict[str, bytes] = {}
    for chunk in chunks(stream):
        if chunk.kind == b"iCCP":
            found["icc_profile"] = _unfolded(_content(stream, chunk).partition(b"\0")[2][1:])
        elif chunk.kind == b"iTXt" and (text := _content(stream, chunk)).startswith(_XMP):
            packed, rest = text[len(_XMP)], text[len(_XMP) + 2 :]
            xmp = rest.split(b"\0", 2)[-1]
            xmp = _unfolded(xmp) if packed else xmp
            if len(xmp) < MAX_UNFOLDED:
                found["xmp"] = xmp
    return found


def _content(stream: IO[bytes], chunk: Chunk) -> bytes:
    stream.seek(chunk.start)
    return stream.read(chunk.length)


def _unfolded(packed: bytes) -> bytes:
    """The content of compressed data, no more of it than a limit; nothing if it is damaged."""
    try:
        return zlib.decompressobj().decompress(packed, MAX_UNFOLDED)
    except zlib.error:
        return b""
