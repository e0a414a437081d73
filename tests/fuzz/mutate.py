"""Damage to .hdc files that knows how they are made, so that it reaches what lies deep in them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from random import Random

from hdcodec.format import ALPHA, EXIF, GRAY, XMP

from .blind import damaged, spliced
from .draft import Chunk, Draft, Section, checksum, png_of, sections, varint

SIDES = (0, 1, 2, 63, 64, 65, 100, 127, 128, 129, 1000, 16_384, 65_535, 65_536, (1 << 28) - 1)
KINDS = (0, ALPHA, EXIF, XMP, GRAY, 5, 127, 128, 200, 255)
LENGTHS = (0, 1, 0x7F, 0x80, 0xFFFF, 1 << 24, (1 << 24) + 1, (1 << 28) - 1, (1 << 32) - 1)
PNG_KINDS = [
    *(b"IHDR", b"IDAT", b"IEND", b"PLTE", b"tRNS", b"zTXt"),
    *(b"iCCP", b"iTXt", b"eXIf", b"acTL", b"fdAT", b"idat"),
]
BOMB = zlib.compress(bytes(1 << 21), 9)
"""Two megabytes out of two thousand bytes."""


def mutant(seeds: Sequence[bytes], random: Random, calm: float = 0.0) -> bytes:
    """A damaged one of `seeds`; of `calm` of them the header stays as it is."""
    data = random.choice(seeds)
    if random.random() < 0.3:
        return _sealed(_blind(data, seeds, random), random)
    draft = _draft(data)
    steps = CONTENT if random.random() < calm else (*CONTENT, *HEADER)
    for _ in range(random.choice((1, 1, 2, 3))):
        draft = random.choice(steps)(draft, random)
    body = bytes(draft)
    if random.random() < 0.1:
        body = damaged(body, random)
    return _sealed(body, random)


@lru_cache(maxsize=64)
def _draft(data: bytes) -> Draft:
    return Draft.of(data)


def _blind(data: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """The body of the file, damaged without a look at what it means."""
    body = data[:-3]
    if random.random() < 0.2:
        return spliced(body, random.choice(seeds), random)
    for _ in range(random.choice((1, 1, 2, 5))):
        body = damaged(body, random)
    return body


def _sealed(body: bytes, random: Random) -> bytes:
    """The body with its checksum; of one in eight the checksum is cut, left out or wrong."""
    chance = random.randrange(24)
    if chance == 0:
        return body
    if chance == 1:
        return body + random.randbytes(3)
    if chance == 2:
        return (body + checksum(body))[: -random.choice((1, 2))]
    return body + checksum(body)


def _side(random: Random) -> bytes:
    value = random.choice(SIDES) if random.random() < 0.7 else random.randrange(1, 130)
    return varint(value, needless=random.random() < 0.05)


def size(draft: Draft, random: Random) -> Draft:
    sides = random.choice(("width", "height", "both"))
    draft = draft if sides == "height" else replace(draft, width=_side(random))
    return draft if sides == "width" else replace(draft, height=_side(random))


def fields(draft: Draft, random: Random) -> Draft:
    kind = random.randrange(8)
    if kind < 3:
        return replace(draft, quality=random.randrange(201))
    if kind < 5:
        return replace(draft, kept=random.randrange(16))
    if kind == 5:
        return replace(draft, quality=random.randrange(201, 256))
    if kind == 6:
        return replace(draft, model=random.randrange(128))
    return replace(draft, version=random.randrange(16))


def flag(draft: Draft, random: Random) -> Draft:
    """Chunks announced and missing, or the other way round; a list without an end."""
    if random.random() < 0.5:
        return replace(draft, listed=not draft.listed)
    return replace(draft, ended=False)


def stream(draft: Draft, random: Random) -> Draft:
    """Another range stream."""
    payload = draft.payload
    kind = random.randrange(6)
    if kind == 0:
        payload = random.randbytes(random.randrange(400))
    elif kind == 1:
        payload = bytes([random.choice((0, 0x55, 0xFF))]) * random.randrange(400)
    elif kind == 2:
        payload += random.randbytes(random.randrange(1, 30))
    else:
        payload = damaged(payload, random)
    return replace(draft, payload=payload)


def order(draft: Draft, random: Random) -> Draft:
    """Chunks mixed up, twice there, or gone."""
    chunks = list(draft.chunks)
    kind = random.randrange(4)
    if kind == 0:
        random.shuffle(chunks)
    elif chunks and kind == 1:
        chunks.insert(random.randrange(len(chunks) + 1), random.choice(chunks))
    elif chunks and kind == 2:
        chunks.pop(random.randrange(len(chunks)))
    else:
        content = random.randbytes(random.randrange(20))
        chunks.insert(random.randrange(len(chunks) + 1), Chunk(random.choice(KINDS), content))
    return replace(draft, chunks=tuple(chunks), listed=draft.listed or bool(chunks))


def chunk(draft: Draft, random: Random) -> Draft:
    """A chunk of another type or with a false length."""
    if not draft.chunks:
        return order(draft, random)
    index = random.randrange(len(draft.chunks))
    old = draft.chunks[index]
    if random.random() < 0.3:
        return draft.with_chunk(index, replace(old, kind=random.choice(KINDS)))
    truth = len(old.content)
    length = random.choice((*LENGTHS, truth + 1, max(0, truth - 1), truth // 2))
    return draft.with_chunk(index, replace(old, length=varint(length, random.random() < 0.1)))


def content(draft: Draft, random: Random) -> Draft:
    """What a chunk holds is damaged, with knowledge of PNG where it is alpha."""
    if not draft.chunks:
        return stream(draft, random)
    index = random.randrange(len(draft.chunks))
    old = draft.chunks[index]
    if old.kind == ALPHA and random.random() < 0.85:
        new = alpha(old.content, random)
    elif old.kind == EXIF and random.random() < 0.3:
        new = random.choice((b"", b"II*\0", b"MM\0*\0\0\0\x08\xff\xff", old.content * 3))
    else:
        new = damaged(old.content, random)
    return draft.with_chunk(index, replace(old, content=new))


def alpha(png: bytes, random: Random) -> bytes:
    """A PNG with damage to one section; checksums of sections fit."""
    parts = sections(png)
    if len(parts) < 3:
        return damaged(png, random)
    kind = random.randrange(7)
    if kind == 0:
        parts[0] = replace(parts[0], body=_ihdr(parts[0].body, random))
    elif kind == 1:
        parts[1] = replace(parts[1], body=_pixels(parts[1].body, random))
    elif kind == 2:
        parts[1] = replace(parts[1], body=damaged(parts[1].body, random))
    elif kind == 3:
        parts.insert(random.randrange(len(parts) + 1), _section(random))
    elif kind == 4:
        place = random.randrange(len(parts))
        parts[place] = replace(parts[place], size=random.choice(LENGTHS))
    elif kind == 5:
        middle = random.randrange(len(parts[1].body) + 1)
        cut_at = slice(None, middle), slice(middle, None)
        parts[1:2] = [replace(parts[1], body=parts[1].body[piece]) for piece in cut_at]
    else:
        random.shuffle(parts)
    return png_of(parts)


def _ihdr(body: bytes, random: Random) -> bytes:
    values = list(struct.unpack(">IIBBBBB", body.ljust(13, b"\0")[:13]))
    place = random.randrange(7)
    choices = (SIDES, SIDES, (1, 2, 4, 8, 16, 255), (0, 2, 3, 4, 6), (0, 1), (0, 1), (0, 1, 2))
    values[place] = random.choice(choices[place])
    return struct.pack(">IIBBBBB", *values)


def _pixels(body: bytes, random: Random) -> bytes:
    """Too few rows, too many, senseless filters, or a bomb."""
    if random.random() < 0.2:
        return BOMB
    try:
        raw = zlib.decompress(body)
    except zlib.error:
        return damaged(body, random)
    return zlib.compress(damaged(raw, random))


def _section(random: Random) -> Section:
    body = random.choice((b"", random.randbytes(13), b"name\0\0" + BOMB, b"name\0\1\0\0\0" + BOMB))
    return Section(random.choice(PNG_KINDS), body)


Step = Callable[[Draft, Random], Draft]
HEADER: tuple[Step, ...] = (size, size, fields, fields, flag, chunk, chunk, order)
CONTENT: tuple[Step, ...] = (stream, stream, content, content, content)
