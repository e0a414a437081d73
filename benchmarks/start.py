"""What whole commands take, start and all, by backend and beside another checkout, in one run.

    python benchmarks/start.py PICTURE [--runs 7] [--beside CHECKOUT]

Each command is a process of its own; the variants take turns. Medians of seconds and of the highest
resident size, after a first turn that does not count. CHECKOUT is another revision of this
repository, which is run by the same Python.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import click
from measuring import cost, machine, run_command, table
from PIL import Image

ROOT = Path(__file__).parents[1]
SMALL = (128, 128)
PLAIN = ["--protect", "none"]
"""Not known to revisions without detectors."""


def commands(picture: Path, folder: Path) -> dict[str, list[object]]:
    """Arguments of hdc by what they do, in an order in which each finds its input."""
    small = folder / "small.png"
    with Image.open(picture) as image:
        image.convert("RGB").crop((0, 0, *SMALL)).save(small)
        size = f"{image.width} x {image.height}"
    found: dict[str, list[object]] = {"hdc --help": ["--help"]}
    for path, told in ((small, f"{SMALL[0]} x {SMALL[1]}"), (picture, size)):
        packed, shown = folder / f"{path.stem}.hdc", folder / f"{path.stem}-decoded.png"
        compress = ["compress", "-f", path, packed]
        found[f"hdc compress, {told}, faces looked for"] = compress
        found[f"hdc compress, {told}"] = [*compress, *PLAIN]
        found[f"hdc decompress, {told}"] = ["decompress", "-f", packed, shown]
    found["hdc info"] = ["info", folder / f"{picture.stem}.hdc"]
    return found


@click.command()
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--runs", type=click.IntRange(1), default=7, show_default=True)
@click.option("--beside", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(picture: Path, runs: int, beside: Path | None) -> None:
    """Print a table of commands on PICTURE."""
    variants = {name: {"HDC_BACKEND": name, "PYTHONPATH": str(ROOT)} for name in ("onnx", "torch")}
    if beside is not None:
        variants["beside"] = {"PYTHONPATH": str(beside.resolve())}
    print(f"{machine()}\n")
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        for what, arguments in commands(picture.resolve(), Path(folder)).items():
            lines = {name: [sys.executable, "-m", "hdcodec", *arguments] for name in variants}
            if beside is not None and not (beside / "hdcodec" / "detect").is_dir():
                lines["beside"] = [part for part in lines["beside"] if part not in PLAIN]
            turns = [
                {name: cost(lines[name], **own) for name, own in variants.items()}
                for _ in range(runs + 1)
            ]
            row: dict[str, object] = {"command": what}
            for kind, unit in enumerate(("s", "MB")):
                for name in variants:
                    median = statistics.median(turn[name][kind] for turn in turns[1:])
                    row[f"{name}, {unit}"] = f"{median:.2f}" if unit == "s" else round(median)
            rows.append(row)
    print(table(rows))


if __name__ == "__main__":
    run_command(main)
