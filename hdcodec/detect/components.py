"""Connected components of a map of yes and no."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.intp]


def label(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.intp], int]:
    """The component of each pixel that is set, in the order of `mask[mask]`, and their number.

    Pixels that share a side belong together. The work is done on runs, the unbroken stretches of a
    row, of which there are far fewer.
    """
    rows, width = mask.shape
    flat = np.zeros(rows * (width + 1) + 1, dtype=np.int8)  # a column that is not set ends each row
    flat[1:].reshape(rows, width + 1)[:, :width] = mask
    edges = np.flatnonzero(np.diff(flat))
    begins, ends = edges[::2], edges[1::2]
    above, below = _touching(begins, ends, width + 1)
    runs, count = _joined(len(begins), above, below)
    return np.repeat(runs, ends - begins), count


def _touching(begins: Indices, ends: Indices, stride: int) -> tuple[Indices, Indices]:
    """The pairs of runs of which one lies above the other."""
    first = np.searchsorted(ends, begins + stride, side="right")
    last = np.searchsorted(begins, ends + stride, side="left")
    counts = np.maximum(last - first, 0)
    above = np.repeat(np.arange(len(begins)), counts)
    within = np.arange(len(above)) - np.repeat(np.cumsum(counts) - counts, counts)
    return above, np.repeat(first, counts) + within


def _joined(count: int, above: Indices, below: Indices) -> tuple[Indices, int]:
    """The component of each of `count` runs, given the pairs that touch, and their number: each
    run takes the lowest number that a neighbour has, until all that touch have the same."""
    lowest = np.arange(count)
    while (lowest[above] != lowest[below]).any():
        least = np.minimum(lowest[above], lowest[below])
        np.minimum.at(lowest, lowest[above], least)
        np.minimum.at(lowest, lowest[below], least)
        while (lowest != lowest[lowest]).any():
            lowest = lowest[lowest]
    names, component = np.unique(lowest, return_inverse=True)
    return component, len(names)
