"""The best quality within a number of bytes, for families whose quality is a whole number."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import count

from .family import Stream

GUESSES = 4
"""How often the next quality is guessed from the bytes of the last; after that it bisects."""

DOUBLINGS = 7
"""How often the bytes double, about, from the lowest quality to the highest."""

TRIALS = 4
"""Qualities at which a slow encoder is tried at most where a file has a size to keep to."""


def highest(
    encode: Callable[[int], Stream], last: int, budget: int, start: int
) -> tuple[int, Stream]:
    """The highest quality of 0..`last` whose stream has at most `budget` bytes.

    Where none has, quality 0. Begins at `start` and goes by how far the bytes are from the budget,
    at last by bisection.
    """
    return _tried(encode, -1, last, budget, start, count())


def nearby(
    encode: Callable[[int], Stream], start: int, last: int, budget: int, fallback: Stream
) -> Stream:
    """What `highest` finds in a few trials, for an encoder too slow for more whose best quality is
    near `start`, or above. `fallback` where none of them is small enough."""
    _, best = _tried(encode, max(-1, start - TRIALS), last, budget, start, range(TRIALS))
    return best if len(best.payload) <= budget else fallback


def _tried(
    encode: Callable[[int], Stream],
    low: int,
    last: int,
    budget: int,
    start: int,
    trials: Iterable[int],
) -> tuple[int, Stream]:
    """The highest quality above `low` that fits the budget, after at most so many trials, and its
    stream; where none fits, the stream tried last."""
    high, best, quality = last + 1, None, start
    for trial in trials:
        stream = encode(quality)
        size = len(stream.payload)
        if size <= budget:
            low, best = quality, stream
        else:
            high = quality
        if high - low <= 1:
            break
        guess = quality + round(last / DOUBLINGS * math.log2(max(1, budget) / max(1, size)))
        middle = (low + high) // 2
        quality = min(max(guess, low + 1), high - 1) if trial < GUESSES else middle
    return max(low, 0), best or stream
