"""A file in packets, for links that carry a few hundred bytes at a time: docs/packets.md.

Packets come in any order, again, or not at all; any one that is lost is rebuilt if a parity packet
was sent; what is there up to the first gap makes a picture (`decompress(..., partial=True)`).
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ._errors import ChecksumError, CorruptError, NotHdcError, TooLargeError, TruncatedError
from .format import unpack
from .format.header import MAX_SIDE

MAGIC = b"\xabP"
MOST = 15
"""Packets of a file, the parity packet not counted."""

PARITY = 0
"""The number of a parity packet; those of the others begin with 1."""

_LENGTH = 2
"""Bytes of a length within a parity packet."""


@dataclass(frozen=True)
class Form:
    """How a packet begins: `magic`, then bytes of the image's id, one byte for number and count,
    and bytes of a check."""

    magic: bytes
    id_bytes: int
    check_bytes: int

    @property
    def overhead(self) -> int:
        """Bytes before the content."""
        return len(self.magic) + self.id_bytes + 1 + self.check_bytes


FULL, BARE = Form(MAGIC, 3, 4), Form(b"", 1, 1)
"""For transports that do not know what they carry, and for those that do."""


@dataclass(frozen=True)
class Packet:
    """One packet: the id of the `image` it belongs to, its `number` of `count` (0 for parity), its
    content."""

    image: bytes
    number: int
    count: int
    content: bytes

    def pack(self, form: Form) -> bytes:
        """Its bytes."""
        head = self.image + bytes([self.number << 4 | self.count])
        return form.magic + head + _check(head + self.content, form) + self.content

    @classmethod
    def parse(cls, data: bytes, form: Form) -> Packet:
        """The inverse of `pack`. Raises TruncatedError, NotHdcError, CorruptError."""
        if data[: len(form.magic)] != form.magic:
            raise NotHdcError("this is not a packet of an .hdc file")
        if len(data) <= form.overhead:
            raise TruncatedError("the packet ends inside its header")
        at = len(form.magic) + form.id_bytes + 1
        head, check = data[len(form.magic) : at], data[at : form.overhead]
        content = data[form.overhead :]
        number, count = divmod(head[-1], 16)
        if check != _check(head + content, form):
            raise CorruptError("the packet does not match its check")
        if not count > 0 or number > count:
            raise CorruptError(f"the packet says that it is number {number} of {count}")
        return cls(head[:-1], number, count, content)


@dataclass(frozen=True)
class Joined:
    """What packets of one image make: `data`, a file or a beginning of one; how many of `count`
    packets are in it, and how many others were dropped as damaged or of other images."""

    data: bytes
    packets: int
    count: int
    dropped: int

    @property
    def whole(self) -> bool:
        """Whether it is the whole file."""
        return self.packets == self.count


def room(size: int, count: int, *, parity: bool = False, bare: bool = False) -> int:
    """The most bytes that a file may have to go into `count` packets of at most `size` bytes, and a
    parity packet if asked for. Raises ValueError where there is no room at all."""
    content = size - (BARE if bare else FULL).overhead - _LENGTH * parity
    if content < 1:
        raise ValueError(f"packets of {size} bytes have no room for a picture")
    if not 1 <= count <= MOST:
        raise ValueError(f"a file goes into 1 to {MOST} packets, not {count}")
    return content * count


def split(data: bytes, size: int, *, parity: bool = False, bare: bool = False) -> list[bytes]:
    """The packets of a whole file, each of at most `size` bytes, the parity packet last.

    Raises what `unpack` does of a file that is not whole, ValueError where packets have no room,
    TooLargeError where there would be more than `MOST`.
    """
    unpack(data, max_pixels=MAX_SIDE**2)
    form = BARE if bare else FULL
    content = room(size, 1, parity=parity, bare=bare)
    count = -(-len(data) // content)
    if count > MOST:
        raise TooLargeError(f"{len(data)} bytes take {count} packets, more than {MOST}")
    image = data[-3:][: form.id_bytes]
    parts = [data[k : k + content] for k in range(0, len(data), content)]
    packets = [Packet(image, k + 1, count, part) for k, part in enumerate(parts)]
    if parity:
        packets.append(Packet(image, PARITY, count, _xor(map(_lengthened, parts))))
    return [packet.pack(form) for packet in packets]


def join(packets: Iterable[bytes], *, bare: bool = False) -> Joined:
    """What packets of one image make, whatever their order. Damaged ones are dropped, and those of
    other images than the one that most are of.

    Of a file that was cut twice the packets of one cut are taken.

    Raises TruncatedError where the first packet of the image is missing, NotHdcError where there is
    no packet at all, ChecksumError where all of them make no whole file, since a damaged one passed
    its check.
    """
    form, images, total = BARE if bare else FULL, defaultdict[Any, list[Packet]](list), 0
    for data in packets:
        total += 1
        with suppress(CorruptError, NotHdcError, TruncatedError):
            packet = Packet.parse(data, form)
            images[packet.image, packet.count].append(packet)
    if not images:
        raise NotHdcError("there is no packet of an .hdc file")
    own = max(images.values(), key=lambda found: len({packet.number for packet in found}))
    own = _of_one_size(own)
    count, dropped = own[0].count, total - len(own)
    last = dict.fromkeys(packet for packet in own if packet.number == count)
    for end in last or [None]:
        some = [packet for packet in own if packet.number != count or packet == end]
        joined = _joined(some, count, dropped)
        try:
            if joined.whole:
                unpack(joined.data, max_pixels=MAX_SIDE**2)
            return joined
        except ChecksumError as error:  # the end may be that of another cut of the same file
            fault = error
    raise fault


def _of_one_size(own: list[Packet]) -> list[Packet]:
    """Those packets of a file that was cut twice, into as many but of other sizes, that most are
    of; the last one, which is shorter, may be of either."""
    sizes = {packet: len(packet.content) - _LENGTH * (packet.number == PARITY) for packet in own}
    count = own[0].count
    numbers = dict.fromkeys((sizes[packet], packet.number) for packet in own)
    found = Counter(size for size, number in numbers if number < count)
    if len(found) < 2:
        return own
    most = max(found, key=lambda size: found[size])
    return [p for p in own if sizes[p] == most or (p.number == count and sizes[p] < most)]


def _joined(own: list[Packet], count: int, dropped: int) -> Joined:
    parts = _rebuilt({packet.number: packet.content for packet in reversed(own)}, count)
    there = next((k for k in range(1, count + 1) if k not in parts), count + 1) - 1
    if not there:
        raise TruncatedError("the first packet is missing, without which there is no picture")
    return Joined(b"".join(parts[k] for k in range(1, there + 1)), there, count, dropped)


def _rebuilt(own: dict[int, bytes], count: int) -> dict[int, bytes]:
    """The contents by number, the one that is missing out of the parity packet."""
    parts = {number: content for number, content in own.items() if number != PARITY}
    missing = [k for k in range(1, count + 1) if k not in parts]
    if len(missing) == 1 and PARITY in own:
        lost = _xor([own[PARITY], *map(_lengthened, parts.values())])
        size = int.from_bytes(lost[:_LENGTH], "little")
        if size <= len(lost) - _LENGTH:
            parts[missing[0]] = lost[_LENGTH : _LENGTH + size]
    return parts


def _lengthened(content: bytes) -> bytes:
    return len(content).to_bytes(_LENGTH, "little") + content


def _xor(parts: Iterable[bytes]) -> bytes:
    """All of them, the shorter ones with zeros at their ends."""
    listed: Sequence[bytes] = list(parts)
    size = max(map(len, listed))
    total = 0
    for part in listed:
        total ^= int.from_bytes(part.ljust(size, b"\0"), "little")
    return total.to_bytes(size, "little")


def _check(data: bytes, form: Form) -> bytes:
    """The CRC-32 in little-endian order, or, in one byte, the CRC-8 of AUTOSAR."""
    if form.check_bytes == 1:
        return bytes([crc8(data)])
    return zlib.crc32(data).to_bytes(4, "little")


def crc8(data: bytes) -> int:
    """CRC-8/AUTOSAR: polynomial 0x2f, begun and ended with 0xff. It finds any one flipped bit, and
    any burst of up to 8."""
    rest = 0xFF
    for byte in data:
        rest ^= byte
        for _ in range(8):
            rest = rest << 1 ^ (0x12F if rest & 0x80 else 0)
    return rest ^ 0xFF
