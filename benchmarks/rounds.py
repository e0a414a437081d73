"""What each round of training brought: pictures coded by revisions of this project, at one size.

    python benchmarks/rounds.py FOLDER REVISION... [--bpp 0.03] [--fidelity 0,0.5,1]
        [--metric-weights DIR] [--limit N] [--hours 2.9,6.9,...] [--reach dists=0.15]
        [--floor 0,0.1]

Every revision is taken out of the repository and codes the pictures in a process of its own, with
the weights it came with; today's metrics compare what it decoded. Sizes are caps met by the highest
quality that fits. Prints a Markdown table. Its "turned" is LPIPS-Alex of both pictures mirrored
along a diagonal, less their first four rows and columns: what a decoder draws to please the network
as it is shown pictures in training, and not the eye, does not please it so. "Patterns" is what
`hdcodec.train.patterns` measures: grids, dots and weaves that the original has not.

With `--hours`, the core-hours of training behind each revision, a metric is fitted as a floor and
a power of them, and the hours are printed after which it would reach what `--reach` names, if it
kept falling at this pace. Hours may be counted in several ways, and every `--floor` is tried with
each: where one above the wanted value fits as well, the curve does not say that training is enough.
PSNR, which rises, is fitted as the root of the mean square error, in levels of 255, that it means.
"""

from __future__ import annotations

import io
import math
import os
import subprocess
import sys
import tarfile
import tempfile
from itertools import product
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import torch
from PIL import Image

from hdcodec.eval import measure, picture_files
from hdcodec.perceptual import patterns

METRICS = ("psnr", "lpips_alex", "dists")
ROOT = Path(__file__).parents[1]
CODING = """
import sys
from pathlib import Path
from PIL import Image
from hdcodec import Codec
out, bpp, dials, *pictures = sys.argv[1:]
codec = Codec(device="cpu")
for picture in pictures:
    with Image.open(picture) as image:
        data = codec.compress(image.convert("RGB"), bpp=float(bpp), verify=False)
    name = Path(picture).stem
    Path(out, name + ".hdc").write_bytes(data)
    for dial in dials.split(","):
        codec.decompress(data, fidelity=float(dial)).save(Path(out, f"{name} {dial}.png"))
"""


def take_out(revision: str, folder: Path) -> None:
    """The package and the weights of a revision, in `folder`."""
    archive = subprocess.run(
        ["git", "archive", revision, "hdcodec", "weights"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def code(revision: str, pictures: list[Path], bpp: float, dials: list[str], out: Path) -> None:
    """Files and decoded pictures of a revision, in `out`."""
    with tempfile.TemporaryDirectory() as folder:
        take_out(revision, Path(folder))
        argv = [sys.executable, "-c", CODING, str(out), str(bpp), ",".join(dials)]
        away = {**os.environ, "PYTHONPATH": folder}
        names = [str(picture.resolve()) for picture in pictures]
        subprocess.run([*argv, *names], cwd=folder, env=away, check=True)


class Means(NamedTuple):
    """Means over the pictures: one line of the table."""

    bpp: float
    psnr: float
    lpips_alex: float
    dists: float
    turned: float
    patterns: float

    def __str__(self) -> str:
        rate, psnr, *rest = self
        return " | ".join([f"{rate:.4f} | {psnr:.2f}", *(f"{v:.3f}" for v in rest)])


def distances(original: Image.Image, decoded: Image.Image, weights: str | None) -> list[float]:
    """The metrics, LPIPS-Alex of both turned, and patterns."""
    found = measure(original, decoded, METRICS, weights=weights)
    other = measure(turned(original), turned(decoded), ("lpips_alex",), weights=weights)
    seen = float(patterns(*(pixels(picture) for picture in (decoded, original))))
    return [*found.values(), *other.values(), seen]


def pixels(picture: Image.Image) -> torch.Tensor:
    """1 x 3 x H x W in [0, 1]."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255


def turned(picture: Image.Image) -> Image.Image:
    """Mirrored along a diagonal and four pixels off."""
    mirrored = picture.transpose(Image.Transpose.TRANSPOSE)
    return mirrored.crop((4, 4, *mirrored.size))


def means(pictures: list[Path], dial: str, out: Path, weights: str | None) -> Means:
    """Of the files and decoded pictures in `out`."""
    found = []
    for path in pictures:
        with Image.open(path) as image:
            original = image.convert("RGB")
        size = Path(out, f"{path.stem}.hdc").stat().st_size
        decoded = Image.open(Path(out, f"{path.stem} {dial}.png"))
        rate = 8 * size / (original.width * original.height)
        found.append([rate, *distances(original, decoded, weights)])
    return Means(*(sum(values) / len(values) for values in zip(*found, strict=True)))


class Pace(NamedTuple):
    """floor + factor * hours^power, and the root of the mean square of what it misses."""

    floor: float
    factor: float
    power: float
    error: float

    def reaches(self, value: float) -> str:
        """When it has fallen to `value`."""
        if value <= self.floor:
            return "never"
        hours = ((value - self.floor) / self.factor) ** (1 / self.power)
        return f"after {hours:.0f} hours"


def pace(hours: list[float], values: list[float], floor: float) -> Pace:
    """How values, all above the floor, fall with the hours; fitted to their logarithms."""
    above = np.array(values) - floor
    power, start = np.polyfit(np.log(hours), np.log(above), 1)
    missed = above - np.exp(start) * np.array(hours) ** power
    return Pace(floor, math.exp(start), float(power), float(np.sqrt(np.square(missed).mean())))


def falling(metric: str, value: float) -> float:
    """The value of a metric, of PSNR the error in levels."""
    return 255 * 10 ** (-value / 20) if metric == "psnr" else value


def listed(text: str) -> list[float]:
    """Comma-separated numbers."""
    return [float(number) for number in text.split(",")]


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("revisions", nargs=-1, required=True)
@click.option("--bpp", default=0.03, show_default=True)
@click.option("--fidelity", default="0,0.5,1", show_default=True)
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--limit", type=int, help="Only the first N pictures.")
@click.option("--hours", multiple=True, help="Core-hours of training behind each revision.")
@click.option("--reach", multiple=True, metavar="METRIC=VALUE", help="Fitted to the hours.")
@click.option("--floor", default="0", show_default=True, help="Floors to try, comma-separated.")
def main(
    folder: Path,
    revisions: tuple[str, ...],
    bpp: float,
    fidelity: str,
    metric_weights: str | None,
    limit: int | None,
    hours: tuple[str, ...],
    reach: tuple[str, ...],
    floor: str,
) -> None:
    """Code the pictures of FOLDER by every REVISION and print means over them."""
    pictures, dials = picture_files(folder)[:limit], fidelity.split(",")
    print("| revision | fidelity | bpp | PSNR | LPIPS-Alex | DISTS | turned | patterns |")
    print("|---" * 8 + "|")
    rows: dict[str, list[Means]] = {dial: [] for dial in dials}
    for revision in revisions:
        with tempfile.TemporaryDirectory() as out:
            code(revision, pictures, bpp, dials, Path(out))
            for dial in dials:
                rows[dial].append(means(pictures, dial, Path(out), metric_weights))
                print(f"| {revision} | {dial} | {rows[dial][-1]} |", flush=True)
    for target, counted, (dial, found) in product(reach, hours, rows.items()):
        name, _, wanted = target.partition("=")
        values = [falling(name, getattr(row, name)) for row in found]
        for least in listed(floor):
            if least >= min(values):
                raise click.UsageError(f"{name} has fallen below the floor {least:g}")
            fit = pace(listed(counted), values, least)
            print(
                f"{counted.split(',')[-1]} hours, fidelity {dial}: {name} - {least:g} ~ "
                f"hours^{fit.power:.3f}, misses {fit.error:.4f}, "
                f"{wanted} {fit.reaches(falling(name, float(wanted)))}"
            )


if __name__ == "__main__":
    main()
