"""The quality ladder: which share of indices goes with which LIC quality, by measurement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hdcodec import images
from hdcodec.codec import Codec
from hdcodec.eval import Reference
from hdcodec.models.latent.qualities import QUALITIES

KEPT = (0, 3, 6, 9)
GRID = tuple(range(0, QUALITIES, 40))


class GridPoint(NamedTuple):
    """Means over the pictures at one quality index and kept code."""

    qindex: int
    kept: int
    bpp: float
    distortion: float


def measure_grid(
    codec: Codec, pictures: Sequence[Path], weights: Path | None, say: Callable[[str], None]
) -> list[GridPoint]:
    """All pairs of GRID and KEPT on the pictures.

    Distortion is 150 MSE + LPIPS-Alex + DISTS, so that neither pixels, nor the network
    the codec was trained with, nor the one it was not trained with, decides alone.
    """
    pairs = [(qindex, kept) for kept in KEPT for qindex in GRID]
    rows: list[list[tuple[float, float]]] = []
    for path in pictures:
        say(f"{path.name}, {len(rows) + 1} of {len(pictures)}")
        rows.append(_measure(codec, path, pairs, weights))
    points = []
    for (qindex, kept), found in zip(pairs, np.mean(rows, axis=0).tolist(), strict=True):
        point = GridPoint(qindex, kept, *found)
        say(f"qindex {qindex} kept {kept}: {point.bpp:.4f} bpp, {point.distortion:.4f}")
        points.append(point)
    return points


def _measure(
    codec: Codec, path: Path, pairs: Sequence[tuple[int, int]], weights: Path | None
) -> list[tuple[float, float]]:
    """Rate and distortion of one picture at each pair of quality index and kept code."""
    image = images.load(path).rgb
    names = ("psnr", "lpips_alex", "dists")
    original = Reference(image, names, weights=str(weights) if weights else None)
    found = []
    for qindex, kept in pairs:
        data = codec.compress(image, quality=qindex / 2, kept=kept, verify=False, protect="none")
        seen = original.compare(codec.decompress(data))
        distortion = 150 * 10 ** (-seen["psnr"] / 10) + seen["lpips_alex"] + seen["dists"]
        found.append((8 * len(data) / (image.width * image.height), distortion))
    return found


def choose(points: Sequence[GridPoint]) -> list[int]:
    """A kept code for each of the 201 quality indices.

    A code is best at a quality if no other code reaches less distortion at the same rate on its own
    curve; between the grid's qualities the nearer one decides.
    """
    best = [_best_code(points, qindex) for qindex in GRID]
    return [best[min(len(best) - 1, round(q / (GRID[1] - GRID[0])))] for q in range(QUALITIES)]


def _best_code(points: Sequence[GridPoint], qindex: int) -> int:
    gains = {p.kept: _rival(points, p) - p.distortion for p in points if p.qindex == qindex}
    return max(gains, key=lambda kept: (gains[kept], -kept))


def _rival(points: Sequence[GridPoint], point: GridPoint) -> float:
    """The distortion of the stream without indices at the rate of `point`."""
    curve = sorted((p.bpp, p.distortion) for p in points if p.kept == 0)
    rates, distortions = zip(*curve, strict=True)
    return float(np.interp(np.log(point.bpp), np.log(rates), distortions))
