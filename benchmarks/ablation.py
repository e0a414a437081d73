"""What each part of the decoder contributes, at equal size of the whole file.

    python benchmarks/ablation.py FOLDER [--bpp 0.03 ...] [--metric-weights DIR] [--side 384]

Every row switches parts of the landed weights off; nothing is trained again, so a row shows what
the part does in the weights as they are, not what a decoder trained without it could do. The rows
of the kept fraction share the bits differently: what indices take, latents lose. Sizes are caps met
by the highest quality that fits. Prints JSON lines, then a table in Markdown.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import torch
from PIL import Image

from hdcodec import Codec, TargetError
from hdcodec._symbols import read_symbols
from hdcodec.eval import measure, picture_files
from hdcodec.format import unpack
from hdcodec.format.header import KEPT_STEPS
from hdcodec.images import load
from hdcodec.models.hdc.model import Ablation

METRICS = ("psnr", "msssim", "lpips_alex", "lpips_vgg", "dists")


@dataclass(frozen=True)
class Variant:
    """A row: the parts that are on, the kept code (None: the ladder's), and the decoder's dials."""

    name: str
    use: Ablation = field(default_factory=Ablation)
    kept: int | None = None
    options: dict[str, Any] = field(default_factory=dict)


def variants() -> Iterator[Variant]:
    """The rows in the order of the table."""
    lic = {"vq": False}
    yield Variant("LIC base", Ablation(enhancement=False, **lic), 0)
    yield Variant("+ enhancement, DRV zero", Ablation(drv=False, **lic), 0)
    yield Variant("+ enhancement, DRV unsampled noise", Ablation(diffusion=False, **lic), 0)
    yield Variant("+ enhancement, DRV diffused", Ablation(**lic), 0)
    yield Variant("VQ decoder without correction, all kept", Ablation(correction=False), KEPT_STEPS)
    yield Variant("full, mask predictor off", Ablation(predictor=False))
    yield Variant("full, DRV zero", Ablation(drv=False))
    yield Variant("full, DRV unsampled noise", Ablation(diffusion=False))
    yield Variant("full, kept by the ladder")
    for kept in (0, 3, 5, 8, 11, 15):
        yield Variant(f"full, kept {100 * (kept / KEPT_STEPS) ** 2:.0f} %", kept=kept)
    for steps in (1, 2, 4, 8):
        yield Variant(f"full, {steps} denoising steps", options={"steps": steps})
    for fidelity in (0.0, 0.25, 0.5, 0.75, 1.0):
        yield Variant(f"full, fidelity {fidelity}", options={"fidelity": fidelity})


def evaluate(
    codec: Codec, variant: Variant, image: Image.Image, bpp: float, weights: str | None
) -> dict[str, float]:
    """Rate, distortions and bits per kept index of one picture; raises TargetError."""
    codec.networks.ablation = variant.use
    data = codec.compress(image, bpp=bpp, kept=variant.kept, verify=False)
    symbols = read_symbols(unpack(data))
    kept = int(symbols.kept.sum())
    return {
        "bpp": 8 * len(data) / (image.width * image.height),
        "bits_per_index": symbols.vq_bits / kept if kept else float("nan"),
        **measure(image, codec.decompress(data, **variant.options), METRICS, weights=weights),
    }


def centre(image: Image.Image, side: int) -> Image.Image:
    """The middle of a picture, at most `side` pixels wide and high."""
    width, height = min(side, image.width), min(side, image.height)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def mean(values: Iterable[float]) -> float:
    """Mean of the numbers among `values`, NaN if there is none."""
    numbers = [v for v in values if not math.isnan(v)]
    return sum(numbers) / len(numbers) if numbers else math.nan


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    names = ("bpp", *METRICS, "bits_per_index")
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for row in rows:
        cells = ["" if math.isnan(row[n]) else f"{row[n]:.4f}" for n in names]
        lines.append(f"| {row['name']} | {' | '.join(cells)} |")
    return "\n".join(lines)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--bpp", "rates", multiple=True, type=float, default=(0.015, 0.03, 0.05))
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--side", default=384, show_default=True, help="Pictures are cut to this side.")
@click.option("--limit", type=int, help="Only the first N pictures.")
@click.option("--threads", default=2, show_default=True)
def main(
    folder: Path,
    rates: tuple[float, ...],
    metric_weights: str | None,
    side: int,
    limit: int | None,
    threads: int,
) -> None:
    """Switch parts off one by one and measure on the pictures of FOLDER."""
    torch.set_num_threads(threads)
    codec = Codec(device="cpu")
    pictures = [centre(load(path).rgb, side) for path in picture_files(folder)[:limit]]
    for rate in rates:
        rows: list[dict[str, Any]] = []
        for variant in variants():
            try:
                found = [evaluate(codec, variant, p, rate, metric_weights) for p in pictures]
            except TargetError:
                continue
            rows.append({"name": variant.name} | {k: mean(f[k] for f in found) for k in found[0]})
            print(json.dumps({"cap": rate, "pictures": len(pictures), **rows[-1]}), flush=True)
        print(f"\nAt most {rate} bpp, {len(pictures)} pictures:\n\n{table(rows)}\n", flush=True)


if __name__ == "__main__":
    main()
