"""The kernel distance of two sets of patches, and the features of what was measured."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float16]
"""Patches x channels; 2 x patches x channels of a picture: the original's, the decoded one's."""

DEGREE = 3


def kernel_distance(a: Features, b: Features) -> float:
    """The squared maximum mean discrepancy of two sets of patches under the kernel (x·y + 1)³.

    The estimate is the unbiased one: around 0 for two draws from one source, below it for a set and
    itself. NaN where a set has fewer than two patches.
    """
    if min(len(a), len(b)) < 2:
        return math.nan
    return _within(a) + _within(b) - 2 * float(_kernel(a, b).mean())


def distance_of_pictures(pairs: Iterable[Features]) -> float:
    """That of all patches of the originals and all of the decoded pictures, 2 x patches x channels
    each."""
    found = [pair for pair in pairs if pair.size]
    return kernel_distance(*np.concatenate(found, axis=1)) if found else math.nan


def _kernel(a: Features, b: Features) -> NDArray[np.float64]:
    return np.asarray((a.astype(np.float64) @ b.astype(np.float64).T + 1) ** DEGREE)


def _within(a: Features) -> float:
    """The mean over all pairs of different patches."""
    kernel, count = _kernel(a, a), len(a)
    return float(kernel.sum() - np.trace(kernel)) / (count * (count - 1))


class FeatureStore:
    """Features by key, each in a file of its own where a folder is given."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._kept: dict[Hashable, Features] = {}

    def get(self, key: Hashable) -> Features | None:
        """What was added under that key, if anything was."""
        if key not in self._kept and self._folder and self._file(key).exists():
            self._kept[key] = np.load(self._file(key))
        return self._kept.get(key)

    def add(self, key: Hashable, features: Features) -> None:
        """Keep features, on disk before this returns."""
        self._kept[key] = features
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
            np.save(self._file(key), features)

    def _file(self, key: Hashable) -> Path:
        assert self._folder is not None
        return self._folder / f"{hashlib.sha256(repr(key).encode()).hexdigest()[:24]}.npy"
