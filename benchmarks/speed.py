"""Times, throughput and memory of hdc, and of Pillow's codecs beside it, in one run.

    python benchmarks/speed.py PICTURE --metric-weights METRICS
    python benchmarks/speed.py PICTURE --runs 1 --only webp

Encoding and decoding are timed in process, with models loaded, as medians after one untimed pass;
memory is the highest resident size of a process that does nothing but this codec's work, imports
included. What whole commands take is measured by benchmarks/start.py.
"""

from __future__ import annotations

import io
import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from measuring import apart, machine, peak_megabytes, run_command, table
from PIL import Image, features

Coder = tuple[Callable[[Image.Image], bytes], Callable[[bytes], object]]
Row = dict[str, object]

SETTINGS: dict[str, dict[str, Any]] = {
    "quality 25": {"quality": 25},
    "quality 50": {"quality": 50},
    "quality 50, effort 1": {"quality": 50, "effort": 1},
    "quality 50, effort 5": {"quality": 50, "effort": 5},
}
TUNED = "quality 50, effort 1, perceptual"
OTHER = "sprdiff"


def hdc_coder(model: str, device: str, backend: str, threads: int, **options: Any) -> Coder:
    """Ours with options of `Codec.compress`, without the verification pass and detectors."""
    os.environ["OMP_NUM_THREADS"] = str(threads)

    from hdcodec import Codec

    codec = Codec(model, device, backend=backend)
    chosen = {"verify": False, "protect": "none"} | options
    return lambda image: codec.compress(image, **chosen), codec.decompress


def pillow_coder(name: str, **options: int) -> Coder:
    """One of Pillow's formats."""
    if name == "JXL":
        import_module("pillow_jxl")

    def encode(image: Image.Image) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, name, **options)
        return buffer.getvalue()

    return encode, lambda data: Image.open(io.BytesIO(data)).load()


def coders(threads: int, metric_weights: str | None) -> dict[str, tuple[Any, ...]]:
    """What can be measured here, by name: what makes a coder, and its options; with metric weights
    a search by them, too."""
    settings = {name: {"model": "hdc"} | options for name, options in SETTINGS.items()}
    if metric_weights:
        tuned = {"tune": "perceptual", "metric_weights": metric_weights}
        settings[TUNED] = {"model": "hdc", "quality": 50, "effort": 1} | tuned
    settings[OTHER] = {"model": OTHER, "quality": 50}
    found: dict[str, tuple[Any, ...]] = {
        f"{name if name == OTHER else f'hdc, {name}'}, {place}": (
            hdc_coder,
            {"device": device, "backend": backend, "threads": threads} | options,
        )
        for place, device, backend in apart(places)
        for name, options in settings.items()
    }
    if features.check("avif"):
        for speed in (6, 1):
            options = {"name": "AVIF", "quality": 20, "speed": speed, "max_threads": threads}
            found[f"AVIF speed {speed}, quality 20"] = pillow_coder, options
    if features.check("webp"):
        found["WebP, quality 1"] = pillow_coder, {"name": "WEBP", "quality": 1, "method": 6}
    if find_spec("pillow_jxl"):
        for effort in (7, 3):
            options = {"name": "JXL", "quality": 10, "effort": effort, "num_threads": threads}
            found[f"JPEG XL effort {effort}, quality 10"] = pillow_coder, options
    return found


def places() -> list[tuple[str, str, str]]:
    """Where networks can be computed here: name, device and backend."""
    import torch

    found = [("onnx", "cpu", "onnx"), ("torch", "cpu", "torch")]
    return [*found, ("cuda", "cuda", "torch")] if torch.cuda.is_available() else found


def measure(
    name: str, make: Callable[..., Coder], options: dict[str, Any], path: Path, runs: int
) -> Row:
    """One row: bytes, median seconds, megapixels per second, peak memory."""
    encode, decode = make(**options)
    image = Image.open(path).convert("RGB")
    encoding, decoding = [], []
    for _ in range(runs + 1):
        start = time.perf_counter()
        data = encode(image)
        middle = time.perf_counter()
        decode(data)
        encoding.append(middle - start)
        decoding.append(time.perf_counter() - middle)
    pixels = image.width * image.height / 1e6
    times = statistics.median(encoding[1:]), statistics.median(decoding[1:])
    return {
        "codec": name, "bytes": len(data), "bpp": round(8e-6 * len(data) / pixels, 4),
        "encode s": round(times[0], 3), "decode s": round(times[1], 3),
        "encode MP/s": round(pixels / times[0], 2), "decode MP/s": round(pixels / times[1], 2),
        "peak MB": peak_megabytes(), "GPU MB": gpu_megabytes(name),
    }  # fmt: skip


def gpu_megabytes(name: str) -> int | None:
    """The most that torch has held on the GPU, for rows that use one."""
    if "cuda" not in name:
        return None
    import torch

    return round(torch.cuda.max_memory_allocated() / 2**20)


@click.command()
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
@click.option("--only", default="", metavar="TEXT", help="Codecs with this in their name.")
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
def main(picture: Path, runs: int, threads: int, only: str, metric_weights: str | None) -> None:
    """Measure all codecs on PICTURE, each in a process of its own."""
    print(f"{machine()}, {threads} threads\n")
    rows = []
    for name, (make, options) in coders(threads, metric_weights).items():
        if only.lower() in name.lower():
            print(name, file=sys.stderr)
            rows.append(apart(measure, name, make, options, picture, runs))
    if rows:
        print(table(rows))


if __name__ == "__main__":
    run_command(main)
