"""Photographs in so few bytes that they are coded smaller, beside what can be done by hand.

    python benchmarks/budgets.py FOLDER... --metric-weights METRICS [--budgets 300,1000,3000]
        [--side 512] [--limit N]

By hand: reduced to a longer side of so many pixels whatever the budget, coded at that size, and
enlarged again. AVIF at its lowest quality, which takes what it takes. Means over the pictures, at
their own size against the originals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from measuring import machine, run_command, table

from hdcodec import Codec
from hdcodec.eval import picture_files
from hdcodec.eval.codecs import RIVALS, restore, save, shrink
from hdcodec.eval.metrics import Reference
from hdcodec.images import load, resized

METRICS = ("psnr", "lpips_alex", "dists")
Values = dict[str, float]


def measured(
    codec: Codec, path: Path, sizes: list[int], side: int, weights: str | None
) -> Iterator[tuple[tuple[int, str], Values]]:
    """Budget and codec, and what comes of a picture; 0 is the budget of what has none."""
    image = load(path).rgb
    reference = Reference(image, METRICS, weights=weights)
    small = shrink(image, max(image.size) / side)
    rule = codec.family.scaled_below
    for size in sizes:
        box = codec.encode(image, target_size=size, protect="none")
        row = {"bytes": len(box.data), "side": max(box.header.coded_size)}
        yield (size, "hdc"), row | reference.compare(codec.decode(box))
        codec.family.scaled_below = 0.0
        box = codec.encode(small, target_size=size, protect="none")
        codec.family.scaled_below = rule
        row = {"bytes": len(box.data), "side": max(box.header.coded_size)}
        by_hand = resized(codec.decode(box), image.size)
        yield (size, f"hdc, {side} pixels by hand"), row | reference.compare(by_hand)
    data = save(image, RIVALS["avif"], 0)
    row = {"bytes": len(data), "side": max(image.size)}
    yield (0, "AVIF, lowest quality"), row | reference.compare(restore(data, image.size))


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--budgets", default="300,1000,3000", show_default=True)
@click.option("--side", default=512, show_default=True)
@click.option("--limit", type=int, help="Pictures of each folder.")
def main(
    folders: tuple[Path, ...],
    metric_weights: str | None,
    budgets: str,
    side: int,
    limit: int | None,
) -> None:
    """Print a table for the pictures in FOLDERS."""
    codec, sizes = Codec(device="cpu"), [int(size) for size in budgets.split(",")]
    found = defaultdict[tuple[int, str], list[Values]](list)
    for path in (path for folder in folders for path in picture_files(folder)[:limit]):
        for key, values in measured(codec, path, sizes, side, metric_weights):
            found[key].append(values)
    rows: list[dict[str, object]] = []
    for (size, name), values in found.items():
        means = {key: float(np.mean([value[key] for value in values])) for key in values[0]}
        rows.append({
            "budget": size or None, "codec": name, "pictures": len(values),
            "bytes": round(means["bytes"]), "coded side": round(means["side"]),
            "PSNR": f"{means['psnr']:.2f}", "LPIPS-Alex": f"{means['lpips_alex']:.4f}",
            "DISTS": f"{means['dists']:.4f}",
        })  # fmt: skip
    print(table(rows))
    print(f"\n{machine()}")


if __name__ == "__main__":
    run_command(main)
