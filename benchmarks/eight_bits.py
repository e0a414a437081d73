"""What the weights of 8 bits cost in quality that the page of `hdc web` has.

    python benchmarks/eight_bits.py PICTURE... --metric-weights METRICS [--quality 20 ...]
        [--model NAME]

The pictures are decoded with these weights and with the shipped ones. The last columns are what the
conformance suite looks at: how far the two are apart at a quarter of the size, of 255.
"""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

import click
import numpy as np
from measuring import machine, run_command, table
from PIL import Image

from hdcodec import Codec, weights
from hdcodec._eight_bits import packed
from hdcodec.conformance.suite import shrunk
from hdcodec.eval import Reference
from hdcodec.weights import NETWORKS


def gap(one: Image.Image, other: Image.Image) -> tuple[float, int]:
    """Mean and largest difference at a quarter of the size."""
    first, second = (np.asarray(shrunk(x)).astype(int) for x in (one, other))
    found = np.abs(first - second)
    return float(found.mean()), int(found.max())


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--quality", "qualities", type=float, multiple=True, default=(20, 60, 95))
@click.option("--model", default="hdc", show_default=True)
def main(
    pictures: tuple[Path, ...],
    metric_weights: str | None,
    qualities: tuple[float, ...],
    model: str,
) -> None:
    """Print a table."""
    shipped, coarse = (Codec(model, device="cpu", backend="onnx") for _ in range(2))
    graphs: Any = coarse.networks.graphs  # type: ignore[attr-defined]
    data = weights.find(shipped.model_id).read(NETWORKS)
    small, graphs._tensors = packed(data, getattr(shipped.family, "precise", ()))
    found: dict[float, list[tuple[float, ...]]] = {quality: [] for quality in qualities}
    for path in pictures:
        with Image.open(path) as image:
            pixels = image.convert("RGB")
        reference = Reference(pixels, ["lpips_alex", "psnr"], weights=metric_weights)
        for quality in qualities:
            file = shipped.compress(pixels, quality=quality, protect="none")
            one, other = shipped.decompress(file), coarse.decompress(file)
            told = [reference.compare(x) for x in (one, other)]
            metrics = [x[name] for name in ("lpips_alex", "psnr") for x in told]
            found[quality].append((*metrics, *gap(one, other)))
    rows: list[dict[str, object]] = []
    for quality, values in found.items():
        lpips, lpips_8, psnr, psnr_8, off, worst = zip(*values, strict=True)
        rows.append(
            {
                "quality": f"{quality:g}",
                "lpips": f"{mean(lpips):.4f}",
                "lpips, 8 bits": f"{mean(lpips_8):.4f}",
                "psnr": f"{mean(psnr):.2f}",
                "psnr, 8 bits": f"{mean(psnr_8):.2f}",
                "off by": f"{mean(off):.2f}",
                "at worst": f"{max(worst):.0f}",
            }
        )
    print(f"{len(small) / 1e6:.1f} MB instead of {len(data) / 1e6:.1f}; {len(pictures)} pictures")
    print(f"{machine()}\n\n{table(rows)}")


if __name__ == "__main__":
    run_command(main)
