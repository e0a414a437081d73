"""constriction's range coder in Python alone, for systems that constriction has no wheel for.

64 bits of state, words of 32 bits, frequencies of 24 bits: the words and the symbols are those of
constriction's `stream.queue`. The method is Martin's (1979, "Range encoding: an algorithm for
removing redundancy from a digitised message").
"""

from __future__ import annotations

from bisect import bisect_right
from copy import copy

import numpy as np
from numpy.typing import NDArray

PRECISION = 24
WORD = 1 << 32
STATE = 1 << 64


class RangeEncoder:
    """Narrows an interval, which begins as all of 0..2**64 - 1, by one symbol after the other."""

    def __init__(self) -> None:
        self._words: list[int] = []
        self._low, self._width = 0, STATE - 1

    def encode(self, symbols: NDArray[np.int32], frequencies: NDArray[np.int64]) -> None:
        """Append n symbols, each with its row of `frequencies` (n x K, sums 2**24)."""
        chosen = np.arange(len(symbols)), symbols
        counts = frequencies[chosen]
        starts = frequencies.cumsum(1)[chosen] - counts
        for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
            unit = self._width >> PRECISION
            self._low += start * unit
            self._width = count * unit
            if self._width < WORD:
                self._write(self._low)
                self._low, self._width = self._low % WORD * WORD, self._width * WORD

    def compressed(self) -> NDArray[np.uint32]:
        """The words so far, and one or two that end the stream: whatever follows, it says these
        symbols."""
        ended = copy(self)
        ended._words = self._words.copy()
        if self._width < STATE - 1:  # there were symbols
            point = self._low + WORD - 1
            ended._write(point)
            if point % STATE // WORD == (self._low + self._width) % STATE // WORD:
                ended._words.append(0)
        return np.array(ended._words, np.uint32)

    def _write(self, number: int) -> None:
        """Append the upper word of a state, whose carry beyond 64 bits goes into the words
        before."""
        if number >= STATE:
            last = len(self._words) - 1
            while self._words[last] == WORD - 1:
                self._words[last] = 0
                last -= 1
            self._words[last] += 1
        self._words.append(number % STATE // WORD)


class RangeDecoder:
    """Narrows the interval as the encoder did; of the stream's place in it and its lower end only
    the difference counts."""

    def __init__(self, words: NDArray[np.uint32]) -> None:
        self._words, self._next = words.tolist(), 2
        first, second = (*self._words[:2], 0, 0)[:2]
        self._point, self._width = first * WORD + second, STATE - 1

    def decode(self, frequencies: NDArray[np.int64]) -> NDArray[np.int32]:
        """A symbol for each row of `frequencies` (n x K, sums 2**24); zeros follow the stream.
        Raises ValueError where it is no encoder's."""
        columns, found = frequencies.shape[1], []
        ends = frequencies.cumsum(1).reshape(-1).data
        for row in range(0, len(ends), columns):
            unit = self._width >> PRECISION
            place = bisect_right(ends, self._point // unit, row, row + columns)
            if place == row + columns:
                raise ValueError("the stream lies outside of all symbols")
            start = ends[place - 1] if place > row else 0
            self._point -= start * unit
            self._width = (ends[place] - start) * unit
            if self._width < WORD:
                self._point, self._width = self._point * WORD + self._word(), self._width * WORD
            found.append(place - row)
        return np.array(found, np.int32)

    def clone(self) -> RangeDecoder:
        """Another that goes on from here."""
        return copy(self)

    def _word(self) -> int:
        self._next += 1
        return self._words[self._next - 1] if self._next <= len(self._words) else 0
