"""constriction's range coder with tables of integer frequencies f, which are given to it as f - 1
with `perfect=False`: so it reproduces them exactly."""

from __future__ import annotations

from copy import copy

import constriction
import numpy as np
from numpy.typing import NDArray

_FAMILY = constriction.stream.model.Categorical(perfect=False)


class QueueEncoder:
    """Writes words of 32 bits."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def encode(self, symbols: NDArray[np.int32], frequencies: NDArray[np.int64]) -> None:
        """Append n symbols, each with its row of `frequencies` (n x K, sums 2**24)."""
        self._coder.encode(symbols, _FAMILY, _weights(frequencies))

    def compressed(self) -> NDArray[np.uint32]:
        """The words so far, with those that end the stream."""
        words: NDArray[np.uint32] = self._coder.get_compressed()
        return words


class QueueDecoder:
    """Reads words of 32 bits."""

    def __init__(self, words: NDArray[np.uint32]) -> None:
        self._coder = constriction.stream.queue.RangeDecoder(words)

    def decode(self, frequencies: NDArray[np.int64]) -> NDArray[np.int32]:
        """A symbol for each row of `frequencies` (n x K, sums 2**24); zeros follow the stream.
        Raises ValueError where it is no encoder's."""
        try:
            found: NDArray[np.int32] = self._coder.decode(_FAMILY, _weights(frequencies))
        except AssertionError as error:
            raise ValueError(str(error)) from error
        return found

    def clone(self) -> QueueDecoder:
        """Another that goes on from here."""
        other = copy(self)
        other._coder = self._coder.clone()
        return other


def _weights(frequencies: NDArray[np.int64]) -> NDArray[np.float32]:
    return (frequencies - 1).astype(np.float32)
