"""One range stream for a whole picture, written and read through the same interface.

Code that produces or consumes symbols is written once against `Coder`: an encoder returns the
symbols it was given, a decoder returns those it read. constriction's range coder does the coding;
integer frequencies f are handed to it as f - 1 with `perfect=False`, which it reproduces exactly.
"""

from __future__ import annotations

from typing import Protocol

import constriction
import numpy as np
from numpy.typing import NDArray

from hdcodec._errors import CorruptError

Symbols = NDArray[np.int32]
Frequencies = NDArray[np.int64]

_FAMILY = constriction.stream.model.Categorical(perfect=False)
_BLOCK = 1 << 16
_UNIT = 256
_LOG2 = np.array([((257 + k) ** _UNIT - 1).bit_length() - 8 * _UNIT for k in range(256)])
"""log2((257 + k) / 256) in units of 1/256, rounded up; from integers alone."""

_SPARE_BITS = 64
"""What symbols may hold beyond the bytes of a stream: what the coder has not yet written, and zeros
that were."""


class Coder(Protocol):
    """Either direction: `symbols` is given when encoding and ignored when decoding."""

    encoding: bool

    @property
    def bits(self) -> float:
        """What all symbols so far carry, rounded down; the same on every machine."""
        ...

    def code(self, symbols: Symbols | None, frequencies: Frequencies) -> Symbols:
        """Code n symbols in 0..K-1, each with its row of `frequencies` (n x K, sums 2**24)."""
        ...


class Encoder:
    """Writes symbols."""

    encoding = True

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()
        self._units = 0

    @property
    def bits(self) -> float:
        """What the symbols so far cost by their tables, without the coder's own overhead."""
        return self._units / _UNIT

    def code(self, symbols: Symbols | None, frequencies: Frequencies) -> Symbols:
        """Append `symbols`; returns them."""
        assert symbols is not None
        if len(symbols):
            self._coder.encode(symbols, _FAMILY, _weights(frequencies))
            self._units += _information(symbols, frequencies)
        return symbols

    def finish(self, least: int = 0) -> bytes:
        """The stream without the zero bytes at its end (a decoder reads zeros there), but with at
        least `least` bytes and not so few that a decoder would refuse it."""
        words: NDArray[np.uint32] = self._coder.get_compressed()
        least = max(least, -((_SPARE_BITS * _UNIT - self._units) // (8 * _UNIT)))
        return words.astype(">u4").tobytes().rstrip(b"\0").ljust(least, b"\0")


class Decoder:
    """Reads symbols; raises CorruptError where the stream cannot have come from an encoder.

    A stream of n bytes holds at most 8 n + 72 bits of information: what is read beyond them comes
    from the zeros after its end. So a short one that claims many symbols is refused in the block
    of symbols where it runs dry.
    """

    encoding = False

    def __init__(self, stream: bytes) -> None:
        padded = stream + bytes(-len(stream) % 4)
        words = np.frombuffer(padded, dtype=">u4").astype(np.uint32)
        self._coder = constriction.stream.queue.RangeDecoder(words)
        self._limit = _UNIT * (8 * len(stream) + _SPARE_BITS + 8)
        self._units = 0

    @property
    def bits(self) -> float:
        """What the symbols so far cost by their tables, without the coder's own overhead."""
        return self._units / _UNIT

    def code(self, symbols: Symbols | None, frequencies: Frequencies) -> Symbols:
        """Read one symbol per row of `frequencies`."""
        if not len(frequencies):
            return np.zeros(0, np.int32)
        try:
            read: Symbols = self._coder.decode(_FAMILY, _weights(frequencies))
        except (AssertionError, ValueError) as error:
            raise CorruptError("the range stream is corrupt") from error
        self._units += _information(read, frequencies)
        if self._units > self._limit:
            raise CorruptError("the range stream ends before its last symbol")
        return read


class Echo:
    """Reads symbols, and writes every one again; raises CorruptError as Decoder does."""

    encoding = False

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


def code_blocks(
    coder: Coder, symbols: Symbols | None, rows: NDArray[np.intp], table: NDArray[np.int32]
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


def _weights(frequencies: Frequencies) -> NDArray[np.float32]:
    return (frequencies - 1).astype(np.float32)
