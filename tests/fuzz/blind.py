"""Damage to bytes of any kind."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

EDGES = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)
WORDS = tuple(
    value.to_bytes(4, order)
    for value in (0, 1, 0x7F, 0xFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
    for order in ("big", "little")
)
LONGEST = 1 << 16


def flipped(data: bytes, random: Random) -> bytes:
    """One to four bits are others."""
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        out[random.randrange(len(out))] ^= 1 << random.randrange(8)
    return bytes(out)


def overwritten(data: bytes, random: Random) -> bytes:
    """A byte or a word is another."""
    place = random.randrange(len(data))
    new = random.choice(WORDS) if random.random() < 0.4 else bytes([_byte(random)])
    return data[:place] + new + data[place + len(new) :]


def cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data))]


def shortened(data: bytes, random: Random) -> bytes:
    """A piece is missing."""
    start, end = _piece(data, random)
    return data[:start] + data[end:]


def doubled(data: bytes, random: Random) -> bytes:
    """A piece comes again, somewhere."""
    start, end = _piece(data, random)
    place = random.randrange(len(data))
    return data[:place] + data[start:end] + data[place:]


def longer(data: bytes, random: Random) -> bytes:
    """Something is put in or added."""
    place = random.choice((len(data), random.randrange(len(data))))
    filling = random.randbytes(random.randrange(1, 40)) if random.random() < 0.7 else bytes(3000)
    return data[:place] + filling + data[place:]


def spliced(data: bytes, other: bytes, random: Random) -> bytes:
    """The start of one and the end of another."""
    return data[: random.randrange(len(data))] + other[random.randrange(len(other)) :]


DAMAGES: tuple[Callable[[bytes, Random], bytes], ...] = (
    flipped,
    flipped,
    overwritten,
    cut,
    shortened,
    doubled,
    longer,
)


def damaged(data: bytes, random: Random) -> bytes:
    """The bytes after one of DAMAGES; there is at least one byte to begin with."""
    return random.choice(DAMAGES)(data or b"\0", random)[:LONGEST]


def _byte(random: Random) -> int:
    return random.choice(EDGES) if random.random() < 0.5 else random.randrange(256)


def _piece(data: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data))
    return start, min(len(data), start + random.choice((1, 2, 3, 4, 8, 30)))
