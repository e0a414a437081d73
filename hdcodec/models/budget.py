"""The best quality within a number of bytes, for families whose quality is a whole number."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count

from .family import Stream

GUESSES = 4
DOUBLINGS = 7
"""Of the bytes, from the lowest quality to the highest: about so many."""

TRIALS = 4
"""Qualities at which a slow encoder is tried where a file has a size to keep to."""


def highest(
    encode: Callable[[int], Stream], last: int, budget: int, start: int
) -> tuple[int, Stream]:
    """The highest quality of 0..`last` whose stream has at most `budget` bytes.

    Where none has, quality 0. Begins at `start` and goes by how far the bytes are from the budget,
    at last by bisection.
    """
    low, high, best, quality = -1, last + 1, None, start
    for trial in count():
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


def nearby(
    encode: Callable[[int], Stream], start: int, last: int, budget: int, fallback: Stream
) -> Stream:
    """What `highest` finds, for an encoder too slow for it whose best quality is near `start`:
    a few above or below are tried. `fallback` where none of them is small enough."""
    trial = encode(start)
    if len(trial.payload) > budget:
        for lower in range(start - 1, max(-1, start - TRIALS), -1):
            trial = encode(lower)
            if len(trial.payload) <= budget:
                return trial
        return fallback
    best = trial
    for higher in range(start + 1, min(start + TRIALS, last + 1)):
        trial = encode(higher)
        if len(trial.payload) > budget:
            break
        best = trial
    return best
