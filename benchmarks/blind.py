"""A sheet without names: two decoders of the same pictures, the original between them.

    python benchmarks/blind.py ORIGINALS ONE OTHER SHEET.png [--rows 12] [--side 160] [--seed 0]
    python benchmarks/blind.py ORIGINALS ONE OTHER SHEET.png --answers lr=rllr...

Pictures of three folders that have the same name belong together. Each row shows a spot of one of
them where the original has most texture, twice as large, ONE left or right of it by a coin. Which
side ONE is on stands in SHEET.json, not to be opened before all rows are judged: `--answers`, a
letter for each row from above (l, r, or = where neither is better), then says how often each was
preferred, without drawing anything.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from measuring import run_command
from PIL import Image

from hdcodec.eval import picture_files

ZOOM, GAP, STEP = 2, 8, 16
CHOSEN = {"l": "left", "r": "right", "=": "neither"}

Pixels = np.ndarray


class Spot(NamedTuple):
    """A square of a picture: how much texture it has, and its left upper corner."""

    texture: float
    name: str
    left: int
    top: int


@click.command()
@click.argument("originals", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("one", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("other", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("sheet", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--rows", default=12, show_default=True, type=click.IntRange(1, 100))
@click.option("--side", default=160, show_default=True, type=click.IntRange(32, 512))
@click.option("--seed", default=0, show_default=True, help="Of the coin.")
@click.option("--answers", help="Judges a sheet that is there.")
def main(
    originals: Path,
    one: Path,
    other: Path,
    sheet: Path,
    rows: int,
    side: int,
    seed: int,
    answers: str | None,
) -> None:
    """Draw SHEET, or count what was preferred on it."""
    key = sheet.with_suffix(".json")
    if answers is not None:
        click.echo(counted(json.loads(key.read_text()), answers, (str(one), str(other))))
        return
    files = {path.name: path for path in picture_files(originals)}
    shared = [name for name in files if (one / name).exists() and (other / name).exists()]
    if not shared:
        raise click.ClickException("no picture is in all three folders")
    spots = sorted((spot(name, pixels(files[name]), side) for name in shared), reverse=True)[:rows]
    coin = np.random.default_rng(seed).integers(2, size=len(spots))
    drawn = []
    for place, right in zip(spots, coin, strict=True):
        cuts = [cut(folder / place.name, place, side) for folder in (one, originals, other)]
        drawn.append(row(cuts[::-1] if right else cuts))
    Image.fromarray(np.concatenate(drawn)).save(sheet)
    sides = ["right" if right else "left" for right in coin]
    key.write_text(json.dumps({"first": sides, "spots": [place[1:] for place in spots]}))


def pixels(path: Path) -> Pixels:
    """H x W x 3."""
    return np.asarray(Image.open(path).convert("RGB"))


def spot(name: str, image: Pixels, side: int) -> Spot:
    """Where a picture has most texture: the square whose median gradient is largest, since edges
    are steep but few."""
    light = image.astype(float).mean(2)
    steep = np.abs(np.diff(light, axis=0))[:, 1:] + np.abs(np.diff(light, axis=1))[1:]
    height, width = light.shape
    places = [
        Spot(float(np.median(steep[top : top + side, left : left + side])), name, left, top)
        for top in range(0, max(1, height - side + 1), STEP)
        for left in range(0, max(1, width - side + 1), STEP)
    ]
    return max(places)


def cut(path: Path, place: Spot, side: int) -> Pixels:
    """The square, enlarged without smoothing; white where the picture ends."""
    image = pixels(path)[place.top : place.top + side, place.left : place.left + side]
    missing = [(0, side - length) for length in image.shape[:2]]
    square = np.pad(image, [*missing, (0, 0)], constant_values=255)
    return square.repeat(ZOOM, 0).repeat(ZOOM, 1)


def row(cuts: list[Pixels]) -> Pixels:
    """Three squares side by side, white between them and below."""
    gap = np.full((len(cuts[0]), GAP, 3), 255, np.uint8)
    wide = np.concatenate([cuts[0], gap, cuts[1], gap, cuts[2]], 1)
    return np.pad(wide, [(0, GAP), (0, 0), (0, 0)], constant_values=255)


def counted(key: dict[str, list[str]], answers: str, names: tuple[str, str]) -> str:
    """How often each was preferred, and how likely so clear a result is by chance alone."""
    if len(answers) != len(key["first"]) or set(answers) - set(CHOSEN):
        raise click.ClickException(f"{len(key['first'])} answers l, r or = are needed")
    found = Counter(
        "neither" if CHOSEN[answer] == "neither" else names[CHOSEN[answer] != side]
        for answer, side in zip(answers, key["first"], strict=True)
    )
    one, other = (found[name] for name in names)
    judged, most = one + other, max(one, other)
    tail = sum(math.comb(judged, k) for k in range(most, judged + 1)) / 2**judged
    chance = min(1.0, 2 * tail)
    told = ", ".join(f"{name} {found[name]}" for name in (*names, "neither"))
    return f"{told}; by chance as clear in {100 * chance:.0f} % of cases"


if __name__ == "__main__":
    run_command(main)
