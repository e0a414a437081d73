"""Time and peak memory of encoding and decoding by the size of the picture.

    python benchmarks/scaling.py ROWS [--megapixels 1,4,12] [--threads 1] [--plot FILE]

The picture is a photograph repeated in mirror images, 4:3. Each size and direction is measured in
a process of its own: seconds of the work alone, the model loaded (on the clock and of the
processor, which differ on a machine that has other work), and the highest resident size of the
process, imports and the whole picture included. Each is a JSON line added to the file ROWS; the
table that is printed and the plot show all its lines.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Row = dict[str, Any]
PHOTO = Path(__file__).parents[1] / "docs" / "astronaut.jpg"
COLOURS = {"encode": "#0072b2", "decode": "#d55e00"}


def make_picture(photo: Path, megapixels: float, path: Path) -> None:
    """Write a picture of so many megapixels, 4:3."""
    import numpy as np
    from PIL import Image

    height = round(math.sqrt(megapixels * 1e6 * 3 / 4))
    width = round(megapixels * 1e6 / height)
    pixels = np.asarray(Image.open(photo).convert("RGB"))
    more = ((0, height - pixels.shape[0]), (0, width - pixels.shape[1]), (0, 0))
    Image.fromarray(np.pad(pixels, more, mode="symmetric")).save(path)


def encode(source: Path, coded: Path, threads: int, device: str, quality: float) -> Row:
    """Compress `source` to `coded`, verification included."""
    codec = loaded(threads, device)
    from hdcodec import images

    def work() -> bytes:
        data = codec.compress(images.load(source), quality=quality)
        coded.write_bytes(data)
        return data

    return measured(work) | {"bytes": coded.stat().st_size}


def decode(source: Path, coded: Path, threads: int, device: str, quality: float) -> Row:
    """Decompress `coded`."""
    codec = loaded(threads, device)
    row = measured(lambda: codec.decompress(coded.read_bytes()))
    return row | {"bytes": coded.stat().st_size}


def loaded(threads: int, device: str) -> Any:
    """A codec with the networks of one device in memory."""

    import torch

    from hdcodec import Codec

    torch.set_num_threads(threads)
    return Codec(device=device)


def measured(work: Callable[[], object]) -> Row:
    """Wall and processor seconds of some work, and the peak memory of this process so far."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return {
        "seconds": round(time.perf_counter() - clock, 2),
        "cpu_seconds": round(time.process_time() - processor, 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def alone(task: Callable[..., Any], *arguments: object) -> Any:
    """The result of a function run in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(task, arguments)


def latest(path: Path) -> list[Row]:
    """The rows of the file, the last one of each size and direction, by size."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    last = {(row["megapixels"], row["direction"]): row for row in rows}
    return [last[key] for key in sorted(last, key=lambda key: (key[0], key[1] != "encode"))]


def print_table(rows: list[Row]) -> None:
    """Markdown."""
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(map(str, row.values())) + " |")


def draw(rows: list[Row], path: Path) -> None:
    """Seconds of the processor and peak memory over megapixels."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    panels = [("cpu_seconds", 1, "CPU seconds"), ("peak_mb", 1000, "peak memory, GB")]
    for axis, (name, unit, label) in zip(axes, panels, strict=True):
        for direction, colour in COLOURS.items():
            own = [row for row in rows if row["direction"] == direction]
            sizes, values = [row["megapixels"] for row in own], [row[name] / unit for row in own]
            axis.plot(sizes, values, "o-", color=colour, label=direction)
        axis.set(xlabel="megapixels", ylabel=label, xlim=(0, None), ylim=(0, None))
        axis.grid(alpha=0.3)
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=110)


@click.command()
@click.argument("rows", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--megapixels", default="1,4,12", show_default=True, help="Sizes; empty for none.")
@click.option("--photo", type=click.Path(exists=True, path_type=Path), default=PHOTO)
@click.option("--quality", default=50.0, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path))
def main(
    rows: Path,
    megapixels: str,
    photo: Path,
    quality: float,
    threads: int,
    device: str,
    plot: Path | None,
) -> None:
    """Measure, and add what was measured to the file ROWS."""
    for size in map(float, filter(None, megapixels.split(","))):
        with tempfile.TemporaryDirectory() as folder:
            source, coded = Path(folder) / "picture.ppm", Path(folder) / "picture.hdc"
            alone(make_picture, photo, size, source)
            for task in (encode, decode):
                facts = {"megapixels": size, "direction": task.__name__}
                facts |= {"device": device, "threads": threads}
                facts |= alone(task, source, coded, threads, device, quality)
                with rows.open("a") as file:
                    file.write(json.dumps(facts) + "\n")
    found = latest(rows)
    print_table(found)
    if plot:
        draw(found, plot)


if __name__ == "__main__":
    main()
