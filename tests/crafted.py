"""Files put together byte by byte: PNGs that no program writes, .hdc files around any content."""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG: length, kind, body, CRC-32."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_file(header: bytes, *chunks: bytes) -> bytes:
    """A PNG with these fields of its IHDR, and these chunks between IHDR and IEND."""
    parts = png_chunk(b"IHDR", header), *chunks, png_chunk(b"IEND", b"")
    return SIGNATURE + b"".join(parts)


def sealed(body: bytes) -> bytes:
    """`body` with the checksum that makes it an intact .hdc file."""
    return body + (zlib.crc32(body) & 0xFFFFFF).to_bytes(3, "little")
