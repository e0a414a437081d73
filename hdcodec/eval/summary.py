"""Means over pictures, of the rows that `run` gives."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from hdcodec.eval import curves
from hdcodec.eval.metrics import METRICS
from hdcodec.eval.points import Point

MEANS = ("bytes", "bpp", "encode_seconds", "decode_seconds")


def codecs(rows: Iterable[Point]) -> list[str]:
    """The names of the codecs in the order they come."""
    return list(dict.fromkeys(row["codec"] for row in rows))


def by_codec(rows: Sequence[Point]) -> dict[str, list[Point]]:
    """The rows of each codec, in the order they come."""
    return {codec: of(rows, codec=codec) for codec in codecs(rows)}


def of(rows: Iterable[Point], **wanted: Any) -> list[Point]:
    """The rows whose fields have the wanted values."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def per_setting(rows: Sequence[Point]) -> list[Point]:
    """One row per codec and setting: the means, and `images`, the number of pictures in them.

    A metric that is undefined for some pictures is the mean over the others, NaN if there are none.
    """
    groups = dict.fromkeys((row["codec"], row["setting"]) for row in rows)
    return [_means(of(rows, codec=codec, setting=setting)) for codec, setting in groups]


def _means(group: list[Point]) -> Point:
    first = group[0]
    names = [name for name in (*MEANS, *METRICS) if name in first]
    means = {name: mean([row[name] for row in group])[0] for name in names}
    return {"codec": first["codec"], "setting": first["setting"], "images": len(group), **means}


def mean(values: Sequence[float]) -> tuple[float, int]:
    """Mean of the numbers that are not NaN, and how many they are."""
    numbers = [value for value in values if not np.isnan(value)]
    return (float(np.mean(numbers)) if numbers else float("nan")), len(numbers)


def mean_at(rows: Sequence[Point], metric: str, bpp: float) -> tuple[float, int]:
    """One codec's metric at exactly `bpp`, and the number of pictures in it.

    Each picture's own curve is read there, then the pictures that reach it are averaged.
    """
    values = [curves.at_rate(*curve, [bpp])[0] for curve in _per_image(rows, metric).values()]
    return mean([METRICS[metric].sign * float(value) for value in values])


def bd_rate(rows: Sequence[Point], anchor: Sequence[Point], metric: str) -> tuple[float, int]:
    """Mean over pictures of the rate difference to the anchor at equal quality, in percent.

    Negative is smaller. Second comes the number of pictures whose two curves overlap.
    """
    ours, theirs = _per_image(rows, metric), _per_image(anchor, metric)
    common = [image for image in ours if image in theirs]
    return mean([curves.bd_rate(*ours[image], *theirs[image]) for image in common])


def _per_image(rows: Iterable[Point], metric: str) -> dict[str, tuple[list[float], list[float]]]:
    """The rates and the qualities of each picture; of a distance its negative."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for row in rows:
        rates, qualities = found.setdefault(row["image"], ([], []))
        rates.append(row["bpp"])
        qualities.append(METRICS[metric].sign * row[metric])
    return found
