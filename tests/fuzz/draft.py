"""An .hdc file in parts, each of which may say what no file may say."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field, replace

from hdcodec.format import MAGIC, Header, unpack
from hdcodec.format.header import EXTENDED

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def varint(value: int, needless: int = 0) -> bytes:
    """LEB128, with so many `needless` bytes at its end."""
    out = bytearray()
    while value > 0x7F or needless:
        out.append(value & 0x7F | 0x80)
        needless -= value <= 0x7F
        value >>= 7
    out.append(value)
    return bytes(out)


@dataclass(frozen=True)
class Chunk:
    """length: the bytes that stand for it, by default those that tell the truth."""

    kind: int
    content: bytes
    length: bytes | None = None

    def __bytes__(self) -> bytes:
        length = varint(len(self.content)) if self.length is None else self.length
        return bytes([self.kind]) + length + self.content


@dataclass(frozen=True)
class Draft:
    """magic ... quality: the bytes of the header. listed: whether chunks are announced."""

    width: bytes
    height: bytes
    kept: int
    quality: int
    payload: bytes
    chunks: tuple[Chunk, ...] = ()
    listed: bool = False
    ended: bool = True
    model: int = 1
    version: int = 1
    magic: bytes = field(default=MAGIC)
    extension: bytes = b""

    @classmethod
    def of(cls, data: bytes) -> Draft:
        """The parts of an intact file."""
        box = unpack(data)
        header: Header = box.header
        kept, quality = header.parameters
        return cls(
            varint(header.width),
            varint(header.height),
            kept,
            quality,
            box.payload,
            tuple(Chunk(kind, content) for kind, content in box.chunks.items()),
            bool(box.chunks),
            model=header.model,
            version=header.version,
            extension=bytes([header.flags << 5 | header.scale] * (header.version == EXTENDED)),
        )

    def __bytes__(self) -> bytes:
        """All but the checksum."""
        chunks = b"".join(map(bytes, self.chunks))
        return b"".join(
            (
                self.magic,
                bytes([self.version << 4 | self.kept, self.model << 1 | self.listed]),
                self.width + self.height + bytes([self.quality]) + self.extension,
                chunks + bytes(self.ended) if self.listed else b"",
                self.payload,
            )
        )

    def with_chunk(self, index: int, chunk: Chunk) -> Draft:
        """The same with another chunk in place of one."""
        return replace(self, chunks=(*self.chunks[:index], chunk, *self.chunks[index + 1 :]))


def checksum(body: bytes) -> bytes:
    return (zlib.crc32(body) & 0xFFFFFF).to_bytes(3, "little")


@dataclass(frozen=True)
class Section:
    """Of a PNG. size: what it says of its length."""

    kind: bytes
    body: bytes
    size: int | None = None

    def __bytes__(self) -> bytes:
        size = len(self.body) if self.size is None else self.size
        check = zlib.crc32(self.kind + self.body)
        return struct.pack(">I", size) + self.kind + self.body + struct.pack(">I", check)


def sections(png: bytes) -> list[Section]:
    """The sections of a PNG, as far as it goes."""
    found, position = [], len(PNG_SIGNATURE)
    while position + 12 <= len(png):
        (size,) = struct.unpack_from(">I", png, position)
        start = position + 8
        found.append(Section(png[position + 4 : start], png[start : start + size]))
        position = start + size + 4
    return found


def png_of(parts: list[Section]) -> bytes:
    return PNG_SIGNATURE + b"".join(map(bytes, parts))
