"""One range stream for a whole picture, written and read through the same interface.

Code that produces or consumes symbols is written once against `Coder`: an encoder returns the
symbols it was given, a decoder returns those it read. constriction's range coder does the coding,
or, on systems that it has no wheel for, the same one in Python.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hdcodec._errors import CorruptError

Symbols = NDArray[np.int32]
Frequencies = NDArray[np.int64]


def _range_coder() -> tuple[Any, Any]:
    """The classes that encode and decode: constriction's, or those in Python."""
    try:
        from .constricted import QueueDecoder, QueueEncoder
    except ImportError:
        from .range_coder import RangeDecoder, RangeEncoder

        return RangeEncoder, RangeDecoder
    return QueueEncoder, QueueDecoder


ENCODER, DECODER = _range_coder()

_BLOCK = 1 << 16
_UNIT = 256
_LOG2 = np.array([((257 + k) ** _UNIT - 1).bit_length() - 8 * _UNIT for k in range(256)])
"""log2((257 + k) / 256) in units of 1/256, rounded up; from integers alone."""

_SPARE_BITS = 64
"""Bits that symbols may carry beyond the bytes of a stream: what the coder has not written yet, and
zero bytes at the end, which are left out."""

_AHEAD = 64
"""Bytes of zeros or ones after a beginning: more than a coder looks ahead."""


class Coder(Protocol):
    """Either direction: `symbols` is given when encoding and ignored when decoding."""

    ended: bool
    """Whether the stream is a beginning of one that has ended: what is read now are guesses."""

    @property
    def bits(self) -> float:
        """What all symbols so far carry, rounded down; the same on every machine."""
        ...

    def code(self, symbols: Symbols | None, frequencies: Frequencies) -> Symbols:
        """Code n symbols in 0..K-1, each with its row of `frequencies` (n x K, sums 2**24)."""
        ...


class _Counter:
    """Counts what symbols carry, in units of 1/256 bit."""

    _units = 0

    @property
    def bits(self) -> float:
        """What the symbols so far cost by their tables, without the coder's own overhead."""
        return self._units / _UNIT


class Encoder(_Counter):
    """Writes symbols."""

    ended = False

    def __init__(self) -> None:
        self._coder = ENCODER()

    def code(self, symbols: Symbols | None, frequencies: Frequencies) -> Symbols:
        """Append `symbols`; returns them."""
        assert symbols is not None
        if len(symbols):
            self._coder.encode(symbols, frequencies)
            self._units += _information(symbols, frequencies)
        return symbols

    def finish(self, least: int = 0) -> bytes:
        """The stream without the zero bytes at its end (a decoder reads zeros there), but with at
        least `least` bytes and not so few that a decoder would refuse it."""
        words: NDArray[np.uint32] = self._coder.compressed()
        least = max(least, -((_SPARE_BITS * _UNIT - self._units) // (8 * _UNIT)))
        return words.astype(">u4").tobytes().rstrip(b"\0").ljust(least, b"\0")


class Decoder(_Counter):
    """Reads symbols; raises CorruptError where the stream cannot have come from an encoder.

    A stream of n bytes holds at most 8 n + 72 bits of information: what is read beyond them comes
    from the zeros after its end. So a short one that claims many symbols is refused in the block
    of symbols where it runs dry.
    """

    ended = False

    def __init__(self, stream: bytes) -> None:
        self._coder = DECODER(_words(stream + bytes(-len(stream) % 4)))
        self._limit = _UNIT * (8 * len(stream) + _SPARE_BITS + 8)

    def code(self, symbols: Symbols | None, frequencies: Frequencies) -> Symbols:
        """Read one symbol per row of `frequencies`."""
        if not len(frequencies):
            return np.zeros(0, np.int32)
        try:
            read: Symbols = self._coder.decode(frequencies)
        except ValueError as error:
            raise CorruptError("the range stream is corrupt") from error
        self._units += _information(read, frequencies)
        if self._units > self._limit:
            raise CorruptError("the range stream ends before its last symbol")
        return read


class Echo:
    """Reads symbols, and writes every one again; raises CorruptError as Decoder does."""

    ended = False

    def __init__(self, stream: bytes) -> None:
        self._decoder, self._encoder = Decoder(stream), Encoder()

    @property
    def bits(self) -> float:
        """What the symbols so far cost by their tables, without the coder's own overhead."""
        return self._decoder.bits

    def code(self, symbols: Symbols | None, frequencies: Frequencies) -> Symbols:
        """Read one symbol per row of `frequencies`, and append it to the new stream."""
        return self._encoder.code(self._decoder.code(None, frequencies), frequencies)

    def finish(self, least: int = 0) -> bytes:
        """The new stream, as Encoder.finish gives it."""
        return self._encoder.finish(least)


class PrefixDecoder(_Counter):
    """Reads symbols from the first bytes of a stream, as many as these decide; what comes after is
    the likeliest symbol of each table.

    Whatever bytes follow, the whole stream lies between the one that goes on with zeros and the one
    that goes on with ones. A symbol that is the same in both is the true one.
    """

    def __init__(self, beginning: bytes) -> None:
        rest = -len(beginning) % 4
        self._ends = [
            DECODER(_words(beginning + fill * (rest + _AHEAD))) for fill in (b"\0", b"\xff")
        ]
        self.ended, self.known, self.asked = False, 0, 0

    @property
    def share(self) -> float:
        """How many of the symbols asked for were known, 0..1."""
        return self.known / max(1, self.asked)

    def code(self, symbols: Symbols | None, frequencies: Frequencies) -> Symbols:
        """One symbol per row of `frequencies`, known or likeliest."""
        likeliest: Symbols = frequencies.argmax(1).astype(np.int32)
        self.asked += len(likeliest)
        if not self.ended:
            found = self._certain(frequencies)
            likeliest[: len(found)] = found
            self.known += len(found)
            self.ended = len(found) < len(likeliest)
            self._units += _information(found, frequencies[: len(found)])
        return likeliest

    def _certain(self, frequencies: Frequencies) -> Symbols:
        """The symbols up to the first that is not decided."""
        if not len(frequencies):
            return np.zeros(0, np.int32)
        before = [coder.clone() for coder in self._ends]
        try:
            low, high = (coder.decode(frequencies) for coder in self._ends)
        except ValueError:  # ones that no encoder writes: somewhere in here
            self._ends = before
            if len(frequencies) == 1:
                return np.zeros(0, np.int32)
            half = len(frequencies) // 2
            first: Symbols = self._certain(frequencies[:half])
            rest = self._certain(frequencies[half:]) if len(first) == half else first[:0]
            joined: Symbols = np.concatenate([first, rest])
            return joined
        differ = np.flatnonzero(low != high)
        return np.asarray(low[: differ[0]] if len(differ) else low, np.int32)


def code_blocks(
    coder: Coder, symbols: Symbols | None, rows: NDArray[np.integer[Any]], table: NDArray[np.int32]
) -> Symbols:
    """Code n symbols, the k-th with row `rows[k]` of `table`, in blocks of bounded memory."""
    done = [
        coder.code(
            None if symbols is None else symbols[k : k + _BLOCK],
            table[rows[k : k + _BLOCK]].astype(np.int64),
        )
        for k in range(0, len(rows), _BLOCK)
    ]
    return np.concatenate(done) if done else np.zeros(0, np.int32)


def _information(symbols: Symbols, frequencies: Frequencies) -> int:
    """What symbols carry, in units of 1/256 bit, each rounded down by at most 3."""
    mantissa, exponent = np.frexp(frequencies[np.arange(len(symbols)), symbols])
    part = _LOG2[(512 * mantissa).astype(np.int64) - 256]
    return int((_UNIT * (25 - exponent.astype(np.int64)) - part).sum())


def _words(stream: bytes) -> NDArray[np.uint32]:
    """A stream of whole words as the coder takes it."""
    return np.frombuffer(stream, dtype=">u4").astype(np.uint32)
