"""What weights of 8 bits, half of what a browser has to fetch, would cost in quality.

    python benchmarks/eight_bits.py PICTURE... --metric-weights METRICS [--quality 20 ...]

Of each tensor of 1,024 numbers or more, each output channel is rounded to 255 levels; the pictures
are decoded with these weights and with the shipped ones. The last columns are what the conformance
suite looks at: how far the two pictures are apart at a quarter of the size, of 255.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from statistics import mean
from typing import Any

import click
import numpy as np
from measuring import machine, table
from PIL import Image

from hdcodec import Codec, weights
from hdcodec.conformance.suite import shrunk
from hdcodec.eval import Reference
from hdcodec.weights import NETWORKS

LEVELS, LEAST = 127, 1024


def rounded(data: bytes) -> tuple[bytes, int]:
    """A safetensors file of float16 with its numbers rounded, and the bytes that it would take."""
    (size,) = struct.unpack("<Q", data[:8])
    head: dict[str, Any] = json.loads(data[8 : 8 + size])
    out, taken = bytearray(data), 0
    for name, entry in head.items():
        if name == "__metadata__":
            continue
        first, end = (8 + size + offset for offset in entry["data_offsets"])
        numbers = np.frombuffer(data[first:end], np.float16).astype(np.float32)
        if numbers.size < LEAST or len(entry["shape"]) < 2:
            taken += end - first
            continue
        rows = numbers.reshape(entry["shape"][0], -1)
        step = np.maximum(np.abs(rows).max(1, keepdims=True) / LEVELS, 1e-8)
        out[first:end] = (np.round(rows / step) * step).astype(np.float16).tobytes()
        taken += numbers.size + 4 * len(rows)
    return bytes(out), taken


def gap(one: Image.Image, other: Image.Image) -> tuple[float, int]:
    """Mean and largest difference at a quarter of the size."""
    first, second = (np.asarray(shrunk(x)).astype(int) for x in (one, other))
    found = np.abs(first - second)
    return float(found.mean()), int(found.max())


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--quality", "qualities", type=float, multiple=True, default=(20, 60, 95))
def main(
    pictures: tuple[Path, ...], metric_weights: str | None, qualities: tuple[float, ...]
) -> None:
    """Print a table."""
    shipped, coarse = (Codec(device="cpu", backend="onnx") for _ in range(2))
    graphs: Any = coarse.networks.graphs  # type: ignore[attr-defined]
    data, taken = rounded(weights.find(1).read(NETWORKS))
    graphs._tensors = data
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
    print(f"{taken / 1e6:.1f} MB instead of {len(data) / 1e6:.1f}; {len(pictures)} pictures")
    print(f"{machine()}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
