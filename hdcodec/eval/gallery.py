"""The pictures of a run on which one codec did worst and best, decoded once more to be seen."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from hdcodec.eval import summary
from hdcodec.eval.codecs import Curve, shrink
from hdcodec.eval.metrics import METRICS
from hdcodec.eval.points import CODING_FAULTS, Files, Original, Point

RANKING = ("dists", "lpips_vgg", "lpips_alex", "wd", "msssim", "ssim", "psnr")
EACH = 3
SHOWN_PIXELS = 1 << 20


@dataclass(frozen=True)
class Example:
    """A picture before and after, both shrunk by `factor` if they are large, and its row."""

    row: Point
    original: Image.Image
    decoded: Image.Image
    factor: float


@dataclass(frozen=True)
class Gallery:
    """Examples of one curve at one setting, ranked by a metric: worst first, best first."""

    codec: str
    setting: float
    metric: str
    worst: Sequence[Example] = ()
    best: Sequence[Example] = ()


def gallery(
    rows: Sequence[Point],
    names: Sequence[str],
    curve: Curve,
    paths: Iterable[Path],
    files: Files | None = None,
) -> Gallery | None:
    """The extremes of a curve at its middle setting; None where nothing can be ranked.

    The metric is the first of RANKING among `names` that is defined there. Pictures that can no
    longer be coded are left out.
    """
    setting = curve.settings[len(curve.settings) // 2]
    found = summary.of(rows, codec=curve.name, setting=setting)
    for metric in (name for name in RANKING if name in names):
        ranked = _ranked(found, metric)
        if ranked:
            count = min(EACH, len(ranked) // 2)
            places, kept = {path.name: path for path in paths}, files or Files()
            worst, best = (
                list(_examples(some, curve, places, kept))
                for some in (ranked[: max(1, count)], ranked[::-1][:count])
            )
            return Gallery(curve.name, setting, metric, worst, best)
    return None


def _ranked(rows: Iterable[Point], metric: str) -> list[Point]:
    """The rows in which the metric is a number, worst first."""
    known = [row for row in rows if math.isfinite(row[metric])]
    return sorted(known, key=lambda row: METRICS[metric].sign * float(row[metric]))


def _examples(
    rows: Iterable[Point], curve: Curve, paths: Mapping[str, Path], files: Files
) -> Iterator[Example]:
    for row in rows:
        try:
            original = Original.load(paths[row["image"]])
            file = files.get(original, curve, row["setting"])
            decoded = curve.decode(file.data, original.image.size)
        except CODING_FAULTS:
            continue
        factor = max(1.0, math.sqrt(row["width"] * row["height"] / SHOWN_PIXELS))
        yield Example(row, shrink(original.image, factor), shrink(decoded, factor), factor)
