"""A whole file: header, chunks, range stream and checksum, written and read."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hdcodec._errors import (
    ChecksumError,
    CorruptError,
    HdcError,
    NotHdcError,
    TooLargeError,
    TruncatedError,
    UnknownModelError,
    UnsupportedVersionError,
)
from hdcodec.format._alpha import check_alpha
from hdcodec.format._bytes import Reader, pack_varint, parse_varint
from hdcodec.format.header import (
    EXTENDED,
    MAGIC,
    MAX_PIXELS,
    MAX_SIDE,
    PLAIN,
    VERSIONS,
    Header,
    pack_header,
    parse_header,
)

END, ALPHA, EXIF, XMP, GRAY = range(5)
FIRST_OPTIONAL = 128
CHUNK_NAMES = {ALPHA: "alpha", EXIF: "exif", XMP: "xmp", GRAY: "gray"}
CHECKSUM_BYTES = 3
MAX_FILE_BYTES = (1 << 28) - 1
MAX_METADATA_BYTES = 1 << 24


@dataclass(frozen=True)
class Container:
    """A parsed file.

    chunks: type to content, unknown optional ones included. payload: the range stream.
    header_bytes (fields and checksum) + chunk_bytes + len(payload) is the size of the file, `data`
    the file itself. partial: it is a beginning of a file, and payload one of its range stream.
    found: how many of each kind of thing were found and protected as the file was made.
    """

    header: Header
    chunks: dict[int, bytes]
    payload: bytes
    header_bytes: int
    chunk_bytes: int
    data: bytes = field(repr=False)
    partial: bool = False
    found: Mapping[str, int] = field(default_factory=dict, compare=False)

    @property
    def bpp(self) -> float:
        """Bits per pixel of the whole file, five digits after the point."""
        return round(8 * len(self.data) / (self.header.width * self.header.height), 5)


def pack(header: Header, payload: bytes, chunks: Mapping[int, bytes] | None = None) -> bytes:
    """Return the file that holds `payload`, the range stream, and `chunks` (type to content).

    Raises TooLargeError beyond a limit of the format, ValueError for what no file may say.
    """
    if max(header.width, header.height) > MAX_SIDE:
        raise TooLargeError(
            f"{header.width}x{header.height} pixels: at most {MAX_SIDE} a side are possible"
        )
    chunks = dict(sorted((chunks or {}).items()))
    try:
        fields = pack_header(header, bool(chunks))
        _check_chunks(header, chunks)
    except (CorruptError, TruncatedError, UnknownModelError, UnsupportedVersionError) as fault:
        raise ValueError(str(fault)) from fault
    body = fields + _pack_chunks(chunks) + payload
    _check_size(len(body) + CHECKSUM_BYTES)
    return body + _checksum(body)


def unpack(data: bytes, *, max_pixels: int = MAX_PIXELS, partial: bool = False) -> Container:
    """Parse and validate a whole file; nothing is allocated beyond the size of `data`.

    With `partial` it may also be a beginning of one: header, chunks and some of the range stream.
    Its last three bytes are left out, since they may belong to the checksum. Whether it is a
    beginning or damaged cannot be told.

    Raises NotHdcError, TruncatedError, ChecksumError, UnsupportedVersionError, UnknownModelError,
    CorruptError, or TooLargeError (more than `max_pixels` pixels, or another limit).
    """
    _check_start(data)
    _check_size(len(data))
    body = memoryview(data)[:-CHECKSUM_BYTES]
    if data[-CHECKSUM_BYTES:] != _checksum(body):
        if partial:
            return replace(_parse(body, max_pixels, bytes(data)), partial=True)
        raise _damage(body)
    try:
        return _parse(body, max_pixels, bytes(data))
    except TruncatedError as fault:
        raise CorruptError(str(fault)) from None


def _parse(body: memoryview, max_pixels: int, data: bytes) -> Container:
    reader = Reader(body)
    header, has_chunks = parse_header(reader)
    if header.width * header.height > max_pixels:
        raise TooLargeError(
            f"{header.width}x{header.height} pixels are more than the limit of {max_pixels}"
        )
    header_bytes = reader.position + CHECKSUM_BYTES
    chunks = _parse_chunks(reader) if has_chunks else {}
    _check_chunks(header, chunks)
    chunk_bytes = reader.position + CHECKSUM_BYTES - header_bytes
    payload = reader.take(reader.left(), "range stream")
    return Container(header, chunks, payload, header_bytes, chunk_bytes, data)


def _pack_chunks(chunks: Mapping[int, bytes]) -> bytes:
    """The chunks in ascending order of type, then the end mark; nothing if there are none."""
    if not chunks:
        return b""
    parts = [bytes([kind]) + pack_varint(len(chunks[kind])) + chunks[kind] for kind in chunks]
    return b"".join(parts) + bytes([END])


def _parse_chunks(reader: Reader) -> dict[int, bytes]:
    chunks: dict[int, bytes] = {}
    last = END
    while (kind := reader.byte("chunk list")) != END:
        if kind <= last:
            raise CorruptError(f"chunk {kind} comes after chunk {last}")
        size = parse_varint(reader, "chunk length")
        chunks[kind] = reader.take(size, _chunk_name(kind))
        last = kind
    if not chunks:
        raise CorruptError("the chunk list is announced but empty")
    return chunks


def _check_chunks(header: Header, chunks: Mapping[int, bytes]) -> None:
    for kind in chunks:
        if not END < kind < 256:
            raise CorruptError(f"there is no chunk type {kind}")
        if kind not in CHUNK_NAMES and kind < FIRST_OPTIONAL:
            raise UnsupportedVersionError(f"chunk type {kind} is not known to this release")
    if len(chunks.get(EXIF, b"")) + len(chunks.get(XMP, b"")) > MAX_METADATA_BYTES:
        raise TooLargeError(f"the metadata is larger than {MAX_METADATA_BYTES} bytes")
    if chunks.get(GRAY):
        raise CorruptError("the gray chunk is not empty")
    if ALPHA in chunks:
        check_alpha(chunks[ALPHA], header.width, header.height)


def _chunk_name(kind: int) -> str:
    return f"{CHUNK_NAMES[kind]} chunk" if kind in CHUNK_NAMES else f"chunk {kind}"


def _checksum(body: bytes | memoryview) -> bytes:
    """The first three bytes of the CRC-32 in little-endian order, i.e. its low 24 bits."""
    return zlib.crc32(body).to_bytes(4, "little")[:CHECKSUM_BYTES]


def _check_start(data: bytes) -> None:
    """Tell a foreign file, a stub and a later version apart before any rule of this version."""
    if not data:
        raise NotHdcError("the file is empty")
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise NotHdcError("this is not an .hdc file")
    version = data[2] >> 4 if len(data) > 2 else PLAIN
    if version not in VERSIONS:
        raise UnsupportedVersionError(
            f"the file has format version {version}, this release reads {PLAIN} and {EXTENDED}"
        )
    if len(data) < len(MAGIC) + CHECKSUM_BYTES:
        raise TruncatedError("the data ends inside the header")


def _check_size(size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise TooLargeError(f"the file is larger than {MAX_FILE_BYTES} bytes")


def _damage(body: memoryview) -> HdcError:
    """Say of a file that fails its checksum whether it visibly ends too early."""
    try:
        _parse(body, MAX_SIDE * MAX_SIDE, b"")
    except TruncatedError as fault:
        return fault
    except HdcError:
        pass
    return ChecksumError("the file does not match its checksum: it is damaged or cut short")
