"""Times, throughput, memory and startup of hdc, and of Pillow's codecs beside it, in one run.

    python benchmarks/speed.py PICTURE --metric-weights METRICS > docs/speed.md
    python benchmarks/speed.py PICTURE --runs 1 --only webp --json

Encoding and decoding are timed in process, with models loaded, as medians after one untimed pass;
memory is the highest resident size of a process that does nothing but this codec's work, imports
included. Startup is a whole command in a process of its own.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
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
SMALL = (128, 128)


def hdc_coder(device: str, threads: int, options: Mapping[str, Any]) -> Coder:
    """Ours with options of `Codec.compress`, without the verification pass."""
    import torch

    from hdcodec import Codec

    torch.set_num_threads(threads)
    codec = Codec(device=device)
    return lambda image: codec.compress(image, verify=False, **options), codec.decompress


def pillow_coder(name: str, plugin: str | None = None, **options: int) -> Coder:
    """One of Pillow's formats."""
    if plugin:
        import_module(plugin)

    def encode(image: Image.Image) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, name, **options)
        return buffer.getvalue()

    return encode, lambda data: Image.open(io.BytesIO(data)).load()


def coders(
    devices: Sequence[str], threads: int, metric_weights: str | None = None
) -> dict[str, Callable[[], Coder]]:
    """What can be measured here, by name; with metric weights a search by them, too."""
    settings = dict(SETTINGS)
    if metric_weights:
        tuned = {"tune": "perceptual", "metric_weights": metric_weights}
        settings[TUNED] = {"quality": 50, "effort": 1} | tuned
    found: dict[str, Callable[[], Coder]] = {
        f"hdc, {name}, {device}": lambda d=device, o=options: hdc_coder(d, threads, o)
        for device in devices
        for name, options in settings.items()
    }
    if features.check("avif"):
        for speed in (6, 1):
            options = {"quality": 20, "speed": speed, "max_threads": threads}
            found[f"AVIF speed {speed}, quality 20"] = lambda o=options: pillow_coder("AVIF", **o)
    if features.check("webp"):
        found["WebP, quality 1"] = lambda: pillow_coder("WEBP", quality=1, method=6)
    if find_spec("pillow_jxl"):
        for effort in (7, 3):
            jxl = {"quality": 10, "effort": effort, "num_threads": threads}
            found[f"JPEG XL effort {effort}, quality 10"] = lambda o=jxl: pillow_coder(
                "JXL", "pillow_jxl", **o
            )
    return found


def measure(
    name: str,
    path: Path,
    runs: int,
    threads: int,
    devices: Sequence[str],
    metric_weights: str | None = None,
) -> Row:
    """One row: bytes, median seconds, megapixels per second, peak memory."""
    encode, decode = coders(devices, threads, metric_weights)[name]()
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
        "peak MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "GPU MB": gpu_megabytes(name),
    }  # fmt: skip


def gpu_megabytes(name: str) -> int | None:
    """The most that torch has held on the GPU, for rows that use one."""
    if "cuda" not in name:
        return None
    import torch

    return round(torch.cuda.max_memory_allocated() / 2**20)


def apart(function: Callable[..., Any], *arguments: object) -> Any:
    """Calls a function in a process of its own; this one stays small, as its size is passed on."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def available_devices() -> list[str]:
    """Those that torch finds here."""

    import torch

    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def startup(runs: int) -> list[Row]:
    """One row per command: median seconds."""
    with tempfile.TemporaryDirectory() as folder:
        small, packed = Path(folder, "small.png"), Path(folder, "small.hdc")
        Image.effect_mandelbrot(SMALL, (-2, -1.2, 0.6, 1.2), 50).convert("RGB").save(small)
        hdc = [sys.executable, "-m", "hdcodec"]
        picture = f"a picture of {SMALL[0]} x {SMALL[1]}"
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "python -c 'import torch'": [sys.executable, "-c", "import torch"],
            "hdc --help": [*hdc, "--help"],
            f"hdc compress, {picture}": [*hdc, "compress", "-f", str(small), str(packed)],
            "hdc info": [*hdc, "info", str(packed)],
            f"hdc decompress, {picture}": [*hdc, "decompress", "-f", str(packed), str(small)],
        }
        return [{"command": name, "s": median_of(runs, c)} for name, c in commands.items()]


def median_of(runs: int, command: Sequence[str]) -> float:
    """Seconds of a command, after a first run that does not count.

    Without a timeout, with which Python waits in steps of up to 50 ms.
    """
    seconds = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return round(statistics.median(seconds[1:]), 3)


def markdown(rows: Sequence[Mapping[str, object]]) -> str:
    """A table without the columns that are empty in all rows."""
    heads = [head for head in rows[0] if any(row[head] is not None for row in rows)]
    lines = [heads, ["---"] * len(heads)]
    lines += [["" if row[head] is None else f"{row[head]:,}" if isinstance(row[head], int)
               else str(row[head]) for head in heads] for row in rows]  # fmt: skip
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def machine() -> str:
    """What the figures were made on, in one line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "pillow"))
    python = f"Python {platform.python_version()}"
    return f"{processor()}, {cores} core{'s' * (cores != 1)}, {python}, {versions}"


def processor() -> str:
    """Its name, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def document(picture: Path, rows: Sequence[Row], starts: Sequence[Row]) -> str:
    """The page docs/speed.md."""
    with Image.open(picture) as image:
        size = f"{image.width} x {image.height}"
    return f"""# Speed

Made by `python benchmarks/speed.py {picture.name} --metric-weights METRICS` on
{time.strftime("%Y-%m-%d")}: {machine()}.

## Encoding and decoding

One picture of {size} pixels, medians in process; memory of the whole process, imports included.

{markdown(rows)}
## Startup

Whole commands, medians, files in the page cache.

{markdown(starts)}"""


@click.command()
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
@click.option("--device", "devices", multiple=True, help="cpu, cuda; all there are unless given.")
@click.option("--only", default="", metavar="TEXT", help="Only codecs with this in their name.")
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="JSON lines instead of Markdown.")
def main(
    picture: Path,
    runs: int,
    threads: int,
    devices: tuple[str, ...],
    only: str,
    metric_weights: str | None,
    as_json: bool,
) -> None:
    """Measure all codecs on PICTURE, each in a process of its own, and the start of commands."""
    places = list(devices) or apart(available_devices)
    rows = []
    for name in coders(places, threads, metric_weights):
        if only.lower() in name.lower():
            print(name, file=sys.stderr)
            rows.append(apart(measure, name, picture, runs, threads, places, metric_weights))
    starts = startup(runs) if not only or only == "start" else []
    if as_json:
        print("\n".join(map(json.dumps, [*rows, *starts])))
    elif starts and rows:
        print(document(picture, rows, starts), end="")
    else:
        print(markdown(rows or starts), end="")


if __name__ == "__main__":
    main()
