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
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from measuring import apart, peak_megabytes, table

Row = dict[str, Any]
PHOTO = Path(__file__).parents[1] / "docs" / "astronaut.jpg"
QUALITY = 50
COLOURS = {"encode": "#0072b2", "decode": "#d55e00"}


def make_picture(megapixels: float, path: Path) -> None:
    """Write a picture of so many megapixels, 4:3."""
    import numpy as np
    from PIL import Image

    height = round(math.sqrt(megapixels * 1e6 * 3 / 4))
    width = round(megapixels * 1e6 / height)
    pixels = np.asarray(Image.open(PHOTO).convert("RGB"))
    more = ((0, height - pixels.shape[0]), (0, width - pixels.shape[1]), (0, 0))
    Image.fromarray(np.pad(pixels, more, mode="symmetric")).save(path)


def measure(direction: str, source: Path, coded: Path, threads: int, device: str) -> Row:
    """Compress `source` to `coded`, verification included, or decompress that: seconds, the peak
    memory of this process, bytes."""
    import torch

    from hdcodec import Codec, images

    torch.set_num_threads(threads)
    codec = Codec(device=device)
    clock, processor = time.perf_counter(), time.process_time()
    if direction == "encode":
        coded.write_bytes(codec.compress(images.load(source), quality=QUALITY, protect="none"))
    else:
        codec.decompress(coded.read_bytes())
    return {
        "seconds": round(time.perf_counter() - clock, 2),
        "cpu_seconds": round(time.process_time() - processor, 2),
        "peak_mb": peak_megabytes(),
        "bytes": coded.stat().st_size,
    }


def latest(path: Path) -> list[Row]:
    """The rows of the file, the last one of each size and direction, by size."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    last = {(row["megapixels"], row["direction"]): row for row in rows}
    return [last[key] for key in sorted(last, key=lambda key: (key[0], key[1] != "encode"))]


def draw(rows: list[Row], path: Path) -> None:
    """Seconds of the processor and peak memory over megapixels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = [("cpu_seconds", 1, "CPU seconds"), ("peak_mb", 1000, "peak memory, GB")]
    for axis, (name, unit, label) in zip(figure.subplots(1, 2), panels, strict=True):
        for direction, colour in COLOURS.items():
            own = [row for row in rows if row["direction"] == direction]
            sizes, values = [row["megapixels"] for row in own], [row[name] / unit for row in own]
            axis.plot(sizes, values, "o-", color=colour, label=direction)
        axis.set(xlabel="megapixels", ylabel=label, xlim=(0, None), ylim=(0, None))
        axis.grid(alpha=0.3)
    figure.axes[0].legend(frameon=False)
    figure.savefig(path, dpi=110)


@click.command()
@click.argument("rows", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--megapixels", default="1,4,12", show_default=True, help="Sizes; empty for none.")
@click.option("--threads", default=1, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path))
def main(rows: Path, megapixels: str, threads: int, device: str, plot: Path | None) -> None:
    """Measure, and add what was measured to the file ROWS."""
    for size in map(float, filter(None, megapixels.split(","))):
        with tempfile.TemporaryDirectory() as folder:
            source, coded = Path(folder) / "picture.ppm", Path(folder) / "picture.hdc"
            apart(make_picture, size, source)
            for direction in COLOURS:
                facts = {"megapixels": size, "direction": direction}
                facts |= {"device": device, "threads": threads}
                facts |= apart(measure, direction, source, coded, threads, device)
                with rows.open("a") as file:
                    file.write(json.dumps(facts) + "\n")
    found = latest(rows)
    print(table(found))
    if plot:
        draw(found, plot)


if __name__ == "__main__":
    main()
