"""The best quality within a number of bytes, for families whose quality is a whole number."""

from __future__ import annotations

from collections.abc import Callable

from .family import Stream

TRIALS = 4
"""Qualities at which a slow encoder is tried where a file has a size to keep to."""


def highest(encode: Callable[[int], Stream], last: int, budget: int) -> tuple[int, Stream]:
    """The highest quality of 0..`last` whose stream has at most `budget` bytes, by bisection.

    Where none has, quality 0.
    """
    found, best, low, high = 0, encode(0), 1, last
    if len(best.payload) > budget:
        return found, best
    while low <= high:
        middle = (low + high) // 2
        trial = encode(middle)
        if len(trial.payload) <= budget:
            found, best, low = middle, trial, middle + 1
        else:
            high = middle - 1
    return found, best


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
