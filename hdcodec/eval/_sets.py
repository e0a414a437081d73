"""The kernel distance of two sets of patches, and the features of what was measured."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Hashable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hdcodec._atomic import write_bytes

Features = NDArray[np.float16]
"""Patches x channels; 2 x patches x channels of a picture: the original's, the decoded one's."""

DEGREE = 3

ROWS = 256
"""Patches that are compared with all others at once."""


def kernel_distance(a: Features, b: Features) -> float:
    """The squared maximum mean discrepancy of two sets of patches under the kernel (x·y + 1)³.

    The estimate is the unbiased one: around 0 for two draws from one source, below it for a set and
    itself. NaN where a set has fewer than two patches.
    """
    if min(len(a), len(b)) < 2:
        return math.nan
    return _within(a) + _within(b) - 2 * _kernel(a, b) / (len(a) * len(b))


def distance_of_pictures(pairs: Iterable[Features]) -> float:
    """That of all patches of the originals and all of the decoded pictures, 2 x patches x channels
    each."""
    found = [pair for pair in pairs if pair.size]
    return kernel_distance(*np.concatenate(found, axis=1)) if found else math.nan


def _kernel(a: Features, b: Features) -> float:
    """The sum of the kernel over all pairs, so many rows at a time as memory holds."""
    left, right = a.astype(np.float64), b.astype(np.float64).T
    parts = (left[start : start + ROWS] @ right for start in range(0, len(a), ROWS))
    return sum(float(((part + 1) ** DEGREE).sum()) for part in parts)


def _within(a: Features) -> float:
    """The mean over all pairs of different patches."""
    own = (a.astype(np.float64) ** 2).sum(1)
    return (_kernel(a, a) - float(((own + 1) ** DEGREE).sum())) / (len(a) * (len(a) - 1))


class FeatureStore:
    """Features by key, each in a file of its own where a folder is given; a damaged file counts as
    none."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._kept: dict[Hashable, Features] = {}

    def get(self, key: Hashable) -> Features | None:
        """What was added under that key, if anything was."""
        if key not in self._kept and self._folder and self._file(key).exists():
            found = _read(self._file(key))
            if found is not None:
                self._kept[key] = found
        return self._kept.get(key)

    def add(self, key: Hashable, features: Features) -> None:
        """Keep features, on disk before this returns."""
        self._kept[key] = features
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
            data = io.BytesIO()
            np.save(data, features)
            write_bytes(self._file(key), data.getvalue(), force=True)

    def _file(self, key: Hashable) -> Path:
        assert self._folder is not None
        return self._folder / f"{hashlib.sha256(repr(key).encode()).hexdigest()[:24]}.npy"


def _read(path: Path) -> Features | None:
    """What such a file holds; None where that is no features of a picture."""
    try:
        found: Features = np.load(path)
    except (EOFError, ValueError):
        return None
    whole = isinstance(found, np.ndarray) and found.dtype == np.float16
    return found if whole and found.ndim == 3 and len(found) == 2 else None
