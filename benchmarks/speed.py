"""Encode and decode times, throughput and peak memory of hdc and of Pillow's codecs, in one run.

    python benchmarks/speed.py PICTURE [--runs 5] [--threads 2] [--device cpu] [--json]

Times are medians in process, models loaded; memory is the highest resident size of a process that
does nothing but this codec's work, imports included.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import click
from PIL import Image

Coder = tuple[Callable[[Image.Image], bytes], Callable[[bytes], object]]


def hdc_coder(device: str, threads: int, quality: float) -> Coder:
    """Ours at a quality, without the verification pass."""
    import torch

    from hdcodec import Codec

    torch.set_num_threads(threads)
    codec = Codec(device=device)
    return lambda image: codec.compress(image, quality=quality, verify=False), codec.decompress


def pillow_coder(name: str, **options: int) -> Coder:
    """One of Pillow's formats."""

    def encode(image: Image.Image) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, name, **options)
        return buffer.getvalue()

    return encode, lambda data: Image.open(io.BytesIO(data)).load()


def coders(device: str, threads: int) -> dict[str, Callable[[], Coder]]:
    """What is measured, by name."""
    return {
        "hdc q25": lambda: hdc_coder(device, threads, 25),
        "hdc q50": lambda: hdc_coder(device, threads, 50),
        "avif speed 6 q20": lambda: pillow_coder("AVIF", quality=20, speed=6, max_threads=threads),
        "avif speed 1 q20": lambda: pillow_coder("AVIF", quality=20, speed=1, max_threads=threads),
        "webp q1": lambda: pillow_coder("WEBP", quality=1, method=6),
    }


def measure(name: str, path: Path, runs: int, threads: int, device: str) -> dict[str, object]:
    """One row: median seconds, megapixels per second, bytes, peak memory."""
    encode, decode = coders(device, threads)[name]()
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
        "encode_s": round(times[0], 3), "decode_s": round(times[1], 3),
        "encode_mp_per_s": round(pixels / times[0], 2),
        "decode_mp_per_s": round(pixels / times[1], 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }  # fmt: skip


@click.command()
@click.argument("picture", type=click.Path(exists=True, path_type=Path))
@click.option("--runs", default=5, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="JSON lines instead of a table.")
def main(picture: Path, runs: int, threads: int, device: str, as_json: bool) -> None:
    """Measure all codecs on PICTURE, each in a process of its own."""
    rows = []
    for name in coders(device, threads):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(measure, (name, picture, runs, threads, device)))
    if as_json:
        print("\n".join(map(json.dumps, rows)))
        return
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(map(str, row.values())) + " |")


if __name__ == "__main__":
    main()
