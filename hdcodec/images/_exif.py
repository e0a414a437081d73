"""The EXIF block as the bytes that it is: what it says of the orientation is put right in place.

Written anew, it would lose what its writer does not know: text beyond ASCII, a camera's own notes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

PREFIX = b"Exif\0\0"
ORIENTATION = 0x112
_THUMBNAIL_START, _THUMBNAIL_BYTES = 0x201, 0x202
_SHORT = 3
_ENTRY_BYTES = 12


def upright(block: bytes, *, turned: bool) -> bytes:
    """Return a block without its prefix, orientation 1 if it has one.

    If the picture was turned, the thumbnail, which would lie on its side, is no longer part of it.
    Raises ValueError if `block` is no EXIF.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None or len(block) < 8:
        raise ValueError("it does not begin as EXIF does")
    data = bytearray(block)
    (start,) = struct.unpack_from(order + "I", data, 4)
    for entry in _entries(data, order, start, ORIENTATION):
        if struct.unpack_from(order + "H", data, entry + 2) == (_SHORT,):
            struct.pack_into(order + "H", data, entry + 8, 1)
        else:
            struct.pack_into(order + "HHIHH", data, entry, ORIENTATION, _SHORT, 1, 1, 0)
    if turned:
        _drop_thumbnail(data, order, start)
    return bytes(data)


def _entries(data: bytes | bytearray, order: str, directory: int, wanted: int) -> Iterator[int]:
    """Where the entries of a tag are in the directory, as far as there is one."""
    if directory + 2 > len(data):
        return
    (count,) = struct.unpack_from(order + "H", data, directory)
    for entry in range(directory + 2, directory + 2 + count * _ENTRY_BYTES, _ENTRY_BYTES):
        if entry + _ENTRY_BYTES > len(data):
            return
        if struct.unpack_from(order + "H", data, entry) == (wanted,):
            yield entry


def _drop_thumbnail(data: bytearray, order: str, directory: int) -> None:
    """Unlink the second directory, and cut its picture off where that is the end of the block."""
    link = directory + 2
    if link > len(data):
        return
    link += _ENTRY_BYTES * struct.unpack_from(order + "H", data, directory)[0]
    if link + 4 > len(data):
        return
    (second,) = struct.unpack_from(order + "I", data, link)
    struct.pack_into(order + "I", data, link, 0)
    places = [
        struct.unpack_from(order + "I", data, entry + 8)[0]
        for tag in (_THUMBNAIL_START, _THUMBNAIL_BYTES)
        for entry in _entries(data, order, second, tag)
    ]
    if second and len(places) == 2 and places[0] > link and sum(places) == len(data):
        del data[places[0] :]
