"""The models beside each other and beside AVIF in a few hundred bytes.

    python benchmarks/few_bytes.py FOLDER --metric-weights METRICS [--budgets 157,315,473]
        [--side 512] [--every 2] [--limit N] [--searched sprdiff] [--sheet PNG]

The middle of every so manieth picture in FOLDER is coded by each model into whole files of at most
so many bytes, smaller than it is where that model does so, and decoded at fidelity 0; by models
named as searched once more, with effort 1 by LPIPS and DISTS, which takes minutes a file. AVIF
codes it at the half, the quarter or the eighth of its size, whatever then is closest in LPIPS;
where no such file is small enough there is no row. Prints a Markdown table of means, and to the
error stream the name of each picture when it is begun. A sheet has a strip for each picture and
budget: the original, then the models, then AVIF.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from measuring import run_command, table
from packets import middle
from PIL import Image

from hdcodec import Codec
from hdcodec.eval import picture_files
from hdcodec.eval.metrics import Reference
from hdcodec.models import FAMILIES

METRICS = ("psnr", "lpips_alex", "dists")
REDUCED = (2, 4, 8)
AVIF_QUALITIES = range(0, 60, 4)

Coded = tuple[str, int, Image.Image]
"""A name, bytes, and the decoded picture."""


def models(
    codecs: dict[str, Codec],
    searches: dict[str, dict[str, Any]],
    image: Image.Image,
    budget: int,
) -> Iterator[Coded]:
    """What each model makes of a picture; `searches` are options of what is named after them."""
    for name, options in searches.items():
        codec = codecs[name.partition(",")[0]]
        data = codec.compress(image, target_size=budget, protect="none", **options)
        yield name, len(data), codec.decompress(data, fidelity=0.0)


def avif(image: Image.Image, budget: int) -> Iterator[Coded]:
    """The best of each size that AVIF gets so small."""
    for part in REDUCED:
        small = image.resize(
            [max(1, side // part) for side in image.size], Image.Resampling.LANCZOS
        )
        best = None
        for quality in AVIF_QUALITIES:
            file = io.BytesIO()
            small.save(file, "AVIF", quality=quality, speed=2)
            if file.tell() > budget:
                break
            best = file
        if best is not None:
            with Image.open(best) as opened:
                shown = opened.convert("RGB").resize(image.size, Image.Resampling.LANCZOS)
            yield "AVIF, reduced", best.getbuffer().nbytes, shown


@click.command()
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--budgets", default="157,315,473", show_default=True)
@click.option("--side", default=512, show_default=True)
@click.option("--every", default=1, show_default=True)
@click.option("--limit", type=int)
@click.option("--searched", default="", help="Names of models.")
@click.option("--sheet", type=click.Path(dir_okay=False, path_type=Path))
def main(
    folder: Path,
    metric_weights: str | None,
    budgets: str,
    side: int,
    every: int,
    limit: int | None,
    searched: str,
    sheet: Path | None,
) -> None:
    """Print the table for the pictures in FOLDER."""
    codecs = {name: Codec(name, device="cpu") for name in FAMILIES}
    search = {"effort": 1, "tune": "perceptual", "metric_weights": metric_weights}
    searches: dict[str, dict[str, Any]] = {name: {} for name in codecs}
    searches |= {f"{name}, searched": search for name in filter(None, searched.split(","))}
    values: dict[tuple[int, str], list[list[float]]] = {}
    strips = []
    for path in picture_files(folder)[::every][:limit]:
        click.echo(path.name, err=True)
        image = middle(path, side)
        reference = Reference(image, METRICS, weights=metric_weights)
        for budget in map(int, budgets.split(",")):
            strip = [image]
            found = [
                (*row, reference.compare(row[2])) for row in models(codecs, searches, image, budget)
            ]
            small = [(*row, reference.compare(row[2])) for row in avif(image, budget)]
            found += sorted(small, key=lambda row: row[3]["lpips_alex"])[:1]
            for name, size, shown, known in found:
                numbers = [float(size), *(known[metric] for metric in METRICS)]
                values.setdefault((budget, name), []).append(numbers)
                strip.append(shown)
            strip += [Image.new("RGB", image.size)] * (len(searches) + 2 - len(strip))
            strips.append(np.concatenate([np.asarray(picture) for picture in strip], 1))
    rows: list[dict[str, object]] = []
    for (budget, name), numbers in sorted(values.items(), key=lambda item: item[0][0]):
        size, psnr, lpips, dists = np.mean(numbers, 0)
        rows.append({
            "at most": budget, "": name, "pictures": len(numbers), "bytes": round(size),
            "PSNR": f"{psnr:.2f}", "LPIPS-Alex": f"{lpips:.3f}", "DISTS": f"{dists:.3f}",
        })  # fmt: skip
    click.echo(table(rows))
    if sheet is not None:
        Image.fromarray(np.concatenate(strips)).save(sheet)


if __name__ == "__main__":
    run_command(main)
