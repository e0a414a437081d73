"""Bytes in and out: a bounds-checked reader and the variable-length integer."""

from __future__ import annotations

from hdcodec._errors import CorruptError, TruncatedError

VARINT_BYTES = 4


class Reader:
    """Reads `data` from its start. Every read past the end raises TruncatedError."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = memoryview(data)
        self.position = 0

    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self.position

    def byte(self, what: str) -> int:
        """The next byte, 0..255."""
        return self.take(1, what)[0]

    def take(self, count: int, what: str) -> bytes:
        """Return the next `count` bytes; `what` names them should they be missing."""
        if count > self.left():
            raise TruncatedError(
                f"the data ends inside the {what} (needs {count} bytes, has {self.left()})"
            )
        self.position += count
        return bytes(self._data[self.position - count : self.position])


def pack_varint(value: int) -> bytes:
    """LEB128: seven bits a byte, low bits first, the high bit set on all but the last."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def parse_varint(reader: Reader, what: str) -> int:
    """The inverse of pack_varint. Refuses more than VARINT_BYTES and any needless zero byte."""
    value = 0
    for index in range(VARINT_BYTES):
        byte = reader.byte(what)
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if byte == 0 and index > 0:
                raise CorruptError(f"the {what} is not written in its shortest form")
            return value
    raise CorruptError(f"the {what} is longer than {VARINT_BYTES} bytes")
