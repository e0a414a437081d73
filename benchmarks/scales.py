"""From which quality on a picture is better coded at its own size than smaller.

    python benchmarks/scales.py FOLDER... --metric-weights METRICS [--budgets 80,150,300]
        [--qualities 0,10,20,30] [--view N] [--model NAME] [--fidelity F] [--limit N]

Each picture is coded in so many bytes under each rule: at the smallest scale whose best quality is
at least this one. Means over the pictures, decoded and enlarged, against the originals. What is
best is a family's `scaled_below`; choose it by pictures that no results are shown of. With `--view`
the rules are of its `large_below`, and pictures are compared as a screen of so many pixels on the
longer side shows them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from measuring import run_command, table

from hdcodec import Codec
from hdcodec.eval import picture_files
from hdcodec.eval.codecs import shrink
from hdcodec.eval.metrics import Reference
from hdcodec.images import load

METRICS = ("psnr", "lpips_alex", "dists")
Values = dict[str, float]


def measured(
    codec: Codec,
    path: Path,
    sizes: list[int],
    rules: list[float],
    view: int | None,
    weights: str | None,
    dial: dict[str, float],
) -> Iterator[tuple[tuple[int, float], Values]]:
    """Budget and rule, and what they make of a picture."""
    image = load(path).rgb
    factor = max(1.0, max(image.size) / (view or max(image.size)))
    reference = Reference(shrink(image, factor), METRICS, weights=weights)
    known = dict[bytes, Values]()
    for size in sizes:
        for rule in rules:
            setattr(codec.family, "large_below" if view else "scaled_below", rule)
            box = codec.encode(image, target_size=size, protect="none")
            if box.data not in known:
                quality = codec.family.settings(box.header.parameters)["quality"]
                known[box.data] = {"scale": box.header.scale, "quality": quality}
                known[box.data] |= reference.compare(shrink(codec.decode(box, **dial), factor))
            yield (size, rule), known[box.data]


def numbers(text: str) -> list[float]:
    """What stands between commas."""
    return [float(part) for part in text.split(",")]


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--budgets", default="80,150,300,600,1000,1500", show_default=True)
@click.option("--qualities", default="0,5,10,15,20,30,40", show_default=True)
@click.option("--view", type=click.IntRange(1))
@click.option("--model", default="hdc", show_default=True)
@click.option(
    "--fidelity", type=float, help="Of the decoded pictures; the model's own unless given."
)
@click.option("--limit", type=int, help="Pictures of each folder.")
def main(
    folders: tuple[Path, ...],
    metric_weights: str | None,
    budgets: str,
    qualities: str,
    view: int | None,
    model: str,
    fidelity: float | None,
    limit: int | None,
) -> None:
    """Print a table for the pictures in FOLDERS."""
    codec, found = Codec(model, device="cpu"), defaultdict[tuple[int, float], list[Values]](list)
    dial = {} if fidelity is None else {"fidelity": fidelity}
    sizes, rules = list(map(int, numbers(budgets))), numbers(qualities)
    for path in (path for folder in folders for path in picture_files(folder)[:limit]):
        for key, values in measured(codec, path, sizes, rules, view, metric_weights, dial):
            found[key].append(values)
    rows: list[dict[str, object]] = []
    for (size, rule), values in sorted(found.items()):
        means = {name: float(np.mean([value[name] for value in values])) for name in values[0]}
        rows.append({
            "bytes": size, "at least": f"{rule:g}", "pictures": len(values),
            "scale": f"{means['scale']:.1f}", "quality": f"{means['quality']:.1f}",
            "PSNR": f"{means['psnr']:.2f}", "LPIPS-Alex": f"{means['lpips_alex']:.4f}",
            "DISTS": f"{means['dists']:.4f}",
        })  # fmt: skip
    print(table(rows))


if __name__ == "__main__":
    run_command(main)
