"""Photographs in so few bytes that they are coded smaller, beside what can be done by hand.

    python benchmarks/budgets.py FOLDER... --metric-weights METRICS [--budgets 300,1000,3000]
        [--side 512] [--view 1024] [--limit N]

By hand: reduced to a longer side of so many pixels whatever the budget, coded at that size, and
enlarged again. Large: at the size that is right for small pictures, whatever a screen shows. AVIF
at its lowest quality, which takes what it takes. Means over the pictures, against the originals:
as a screen shows them, with a longer side of `--view` pixels; LPIPS-Alex also at their own size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
from measuring import machine, run_command, table
from PIL import Image

from hdcodec import Codec
from hdcodec.eval import picture_files
from hdcodec.eval.codecs import RIVALS, restore, save, shrink
from hdcodec.eval.metrics import Reference
from hdcodec.images import load, resized
from hdcodec.models.family import Family

METRICS = ("psnr", "lpips_alex", "dists")
OWN = "lpips_alex"
"""What is measured at the pictures' own size, too; the others would take long."""

OWN_SIZE = "own size: "
Values = dict[str, float]
Decoded = tuple[int, str, int, int, Image.Image]
"""A budget (0 where there is none), a codec, bytes, the longer side as coded, and the picture."""


def decoded(codec: Codec, image: Image.Image, sizes: list[int], side: int) -> Iterator[Decoded]:
    """What comes of a picture."""
    small = shrink(image, max(image.size) / side)
    for size in sizes:
        for name, given, rules in (
            ("hdc", image, {}),
            ("hdc, large", image, {"large_below": codec.family.scaled_below}),
            (f"hdc, {side} pixels by hand", small, {"large_below": 0.0, "scaled_below": 0.0}),
        ):
            with ruled(codec.family, rules):
                box = codec.encode(given, target_size=size, protect="none")
            shown = resized(codec.decode(box), image.size)
            yield size, name, len(box.data), max(box.header.coded_size), shown
    data = save(image, RIVALS["avif"], 0)
    yield 0, "AVIF, lowest quality", len(data), max(image.size), restore(data, image.size)


@contextmanager
def ruled(family: Family, rules: Mapping[str, float]) -> Iterator[None]:
    """Give a family other rules of when pictures are coded smaller."""
    before = {name: getattr(family, name) for name in rules}
    for name, value in rules.items():
        setattr(family, name, value)
    yield
    for name, value in before.items():
        setattr(family, name, value)


def measured(
    codec: Codec, path: Path, sizes: list[int], side: int, view: int, weights: str | None
) -> Iterator[tuple[tuple[int, str], Values]]:
    """Budget and codec, and what comes of a picture."""
    image = load(path).rgb
    factor = max(1.0, max(image.size) / view)
    seen = Reference(shrink(image, factor), METRICS, weights=weights)
    own = Reference(image, (OWN,), weights=weights)
    for size, name, count, coded, shown in decoded(codec, image, sizes, side):
        row = {"bytes": float(count), "side": coded} | seen.compare(shrink(shown, factor))
        yield (size, name), row | {OWN_SIZE: own.compare(shown)[OWN]}


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--budgets", default="300,1000,3000", show_default=True)
@click.option("--side", default=512, show_default=True)
@click.option("--view", default=1024, show_default=True)
@click.option("--limit", type=int, help="Pictures of each folder.")
def main(
    folders: tuple[Path, ...],
    metric_weights: str | None,
    budgets: str,
    side: int,
    view: int,
    limit: int | None,
) -> None:
    """Print a table for the pictures in FOLDERS."""
    codec, sizes = Codec(device="cpu"), [int(size) for size in budgets.split(",")]
    found = defaultdict[tuple[int, str], list[Values]](list)
    for path in (path for folder in folders for path in picture_files(folder)[:limit]):
        for key, values in measured(codec, path, sizes, side, view, metric_weights):
            found[key].append(values)
    rows: list[dict[str, object]] = []
    for (size, name), values in found.items():
        means = {key: float(np.mean([value[key] for value in values])) for key in values[0]}
        rows.append({
            "budget": size or None, "codec": name, "pictures": len(values),
            "bytes": round(means["bytes"]), "coded side": round(means["side"]),
            "PSNR": f"{means['psnr']:.2f}", "LPIPS-Alex": f"{means['lpips_alex']:.3f}",
            "DISTS": f"{means['dists']:.3f}",
            "at own size": f"{means[OWN_SIZE]:.3f}",
        })  # fmt: skip
    print(table(rows))
    print(f"\n{machine()}")


if __name__ == "__main__":
    run_command(main)
