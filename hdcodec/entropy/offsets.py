"""A small grid of whole numbers, most of them like their neighbours, in the range stream.

Each number is predicted from those to the left, above and above to the left (the gradient of
LOCO-I, Weinberger et al. 2000). Coded is whether that is right, if not whether the other of the
first two is, and else the number itself; what comes often becomes cheap. A rectangle costs about
three bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hdcodec._errors import CorruptError

from .coder import Coder
from .tables import TOTAL

OFFSET_MAX = 20

Offsets = NDArray[np.int8]

_FLAT, _EDGE = (32, 1), (2, 1)
"""Counts of right and wrong predictions to begin with, where the three neighbours are equal and
where they are not."""

_GAIN = 4
"""What one more of a kind adds to its count."""


class _Counts:
    """How often each of several symbols came; makes their frequencies."""

    def __init__(self, counts: tuple[int, ...]) -> None:
        self.counts = np.array(counts, np.int64)

    def code(self, coder: Coder, symbol: int | None) -> int:
        """Code one symbol, and count it."""
        given = None if symbol is None else np.array([symbol], np.int32)
        (found,) = coder.code(given, _frequencies(self.counts)[None])
        self.counts[found] += _GAIN
        return int(found)


def _frequencies(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts of K symbols as frequencies that sum to 2**24: each 1 + floor(count (2**24 - K) / sum)
    and what is missing to the first."""
    frequencies: NDArray[np.int64] = 1 + counts * (TOTAL - len(counts)) // counts.sum()
    frequencies[0] += TOTAL - frequencies.sum()
    return frequencies


def code_offsets(coder: Coder, size: tuple[int, int], offsets: Offsets | None) -> Offsets:
    """Code a grid of `size` rows and columns, of numbers -20..20; `offsets` when encoding. Raises
    CorruptError for what no encoder writes."""
    found = np.zeros((size[0] + 1, size[1] + 1), np.int8)  # a row above and a column to the left
    flat, edge, other = _Counts(_FLAT), _Counts(_EDGE), _Counts((1, 1))
    values = _Counts((1,) * (2 * OFFSET_MAX + 1))
    for row, column in np.ndindex(*size):
        value = None if offsets is None else int(offsets[row, column])
        above, left = int(found[row, column + 1]), int(found[row + 1, column])
        corner = int(found[row, column])
        likely, second = _predictions(above, left, corner)
        right = flat if above == left == corner else edge
        if not right.code(coder, None if value is None else int(value != likely)):
            value = likely
        elif second != likely and not other.code(
            coder, None if value is None else int(value != second)
        ):
            value = second
        else:
            value = values.code(coder, None if value is None else value + OFFSET_MAX) - OFFSET_MAX
            if value in (likely, second) and not coder.ended:
                raise CorruptError("the map of qualities says in more words what it says in fewer")
        found[row + 1, column + 1] = value
    return found[1:, 1:].copy()


def _predictions(above: int, left: int, corner: int) -> tuple[int, int]:
    """The likeliest number, and the neighbour to try if it is not that."""
    low, high = sorted((above, left))
    likely = min(max(above + left - corner, low), high)
    return likely, above if likely == left else left
