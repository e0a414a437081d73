"""What a map of qualities does: faces at equal bytes, and the seams where qualities meet.

    python benchmarks/regions.py faces FOLDER... --metric-weights METRICS [--bpp .02,.035,.05]
    python benchmarks/regions.py seams FOLDER [--limit N]

Faces: those of labels.json, whose pictures are looked for by name in the folders and in the tar
files there. Each picture is coded in so many bits per pixel with faces protected, as the detector
finds them, and without; LPIPS-Alex within the labelled boxes (mean over a picture's faces, then
over pictures) and of the whole picture. Faces higher than 40 % of the shorter side, which are not
protected, are not counted.

Seams: every other column of tiles is 25 better; how far differences between neighbouring pixels
across the borders are from the original's, in levels, and the same of files of either quality
alone: their ratio is 1 where no seam is seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import numpy as np
from labelled import find_pictures, read_labels
from measuring import machine, run_command, table
from PIL import Image

from hdcodec import Codec
from hdcodec.eval import measure, picture_files
from hdcodec.images import load

TILE, BETTER, MARGIN, LEAST = 64, 25, 8, 32
LARGE = 0.4
"""Faces as high as this part of the shorter side need no protection."""
METRIC = ("lpips_alex",)
SIDE = 512
ALL, LARGER, SMALLER = "all", f"shorter side of {SIDE} pixels or more", "of fewer"
CASES = {"plain": "none", "protected": "faces"}
"""What is protected in either file."""
Values = dict[str, float]
Corners = tuple[int, int, int, int]


def around(box: Sequence[float], image: Image.Image) -> Corners:
    """A labelled box and some pixels more, at least `LEAST` a side, as a crop of the image."""
    margins = (max(MARGIN, (LEAST - side) / 2) for side in box[2:])
    across, down = (int(-(-margin // 1)) for margin in margins)
    left, top = max(0, int(box[0]) - across), max(0, int(box[1]) - down)
    right, bottom = int(box[0] + box[2]) + across, int(box[1] + box[3]) + down
    return left, top, min(image.width, right), min(image.height, bottom)


def faces(
    codec: Codec, image: Image.Image, boxes: list[Corners], bpp: float, weights: str | None
) -> Values:
    """Bytes and LPIPS of one picture with and without protection."""
    found: Values = {"faces": len(boxes)}
    for name, protect in CASES.items():
        data = codec.compress(image, bpp=bpp, protect=protect)
        shown = codec.decompress(data)
        parts = [(image.crop(box), shown.crop(box)) for box in boxes]
        seen = [measure(*part, METRIC, weights=weights)["lpips_alex"] for part in parts]
        whole = measure(image, shown, METRIC, weights=weights)["lpips_alex"]
        found |= {f"{name} bytes": len(data), f"{name} faces": float(np.mean(seen))}
        found[f"{name} whole"] = whole
    return found


def labelled(folders: Iterable[Path]) -> dict[str, tuple[Image.Image, list[Corners]]]:
    """The pictures with faces that are not large, and the crops around these."""
    found = {}
    labels = {name: label for name, label in read_labels().items() if label["faces"]}
    for name, pixels in sorted(find_pictures(folders, set(labels)).items()):
        image = Image.fromarray(pixels)
        largest = LARGE * min(image.size)
        boxes = [around(box, image) for box in labels[name]["faces"] if box[3] < largest]
        boxes = [box for box in boxes if min(box[2] - box[0], box[3] - box[1]) >= LEAST]
        if boxes:
            found[name] = image, boxes
    return found


def seams(codec: Codec, image: Image.Image, quality: float, fidelity: float) -> Values:
    """Errors of steps across the borders of tiles, with a map and without."""
    borders = range(TILE, image.width // TILE * TILE, TILE)
    places = [(x, 0, TILE, image.height, BETTER) for x in (0, *borders)[::2]]
    original = np.asarray(image, float)

    def error(quality: float, regions: list[tuple[int, ...]]) -> float:
        data = codec.compress(image, quality=quality, regions=regions, protect="none")
        shown = np.asarray(codec.decompress(data, fidelity=fidelity), float)
        off = shown - original
        return float(np.mean([abs(off[:, k] - off[:, k - 1]).mean() for k in borders]))

    alone = (error(quality, []) + error(quality + BETTER, [])) / 2
    return {"mapped": error(quality, places), "alone": alone}


@click.group()
def main() -> None:
    """Faces at equal bytes, and seams between qualities."""


@main.command("faces")
@click.argument("folders", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--bpp", default=".02,.035,.05", show_default=True)
@click.option("--each", is_flag=True, help="Print a line for every picture too.")
def faces_table(
    folders: tuple[Path, ...], metric_weights: str | None, bpp: str, each: bool
) -> None:
    """Print a table for the labelled pictures in FOLDERS."""
    codec, found = Codec(device="cpu"), defaultdict[tuple[str, str], list[Values]](list)
    for name, (image, boxes) in labelled(folders).items():
        for rate in bpp.split(","):
            values = faces(codec, image, boxes, float(rate), metric_weights)
            for group in (ALL, LARGER if min(image.size) >= SIDE else SMALLER):
                found[group, rate].append(values)
            if each:
                print(name, rate, values, flush=True)
    print(table([faces_row(*key, found[key]) for key in sorted(found)]))
    print(f"\n{machine()}")


def faces_row(group: str, rate: str, values: list[Values]) -> dict[str, object]:
    """Means over the pictures of a group."""
    means = {name: float(np.mean([value[name] for value in values])) for name in values[0]}
    row: dict[str, object] = {"": group, "bpp": rate, "pictures": len(values)}
    row["faces"] = round(sum(value["faces"] for value in values))
    row |= {f"bytes, {name}": round(means[f"{name} bytes"]) for name in CASES}
    for part in ("faces", "whole"):
        plain, protected = (means[f"{name} {part}"] for name in CASES)
        row |= {f"{part}, plain": round(plain, 3), f"{part}, protected": round(protected, 3)}
        row[f"{part}, %"] = round(100 * protected / plain - 100, 1)
    return row


@main.command("seams")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--limit", type=int)
def seams_table(folder: Path, limit: int | None) -> None:
    """Print a table for the pictures in FOLDER."""
    codec, rows = Codec(device="cpu"), []
    images = [load(path).rgb for path in picture_files(folder)[:limit]]
    for quality in (20, 40, 60):
        for fidelity in (0.0, 0.75):
            means = _means([seams(codec, image, quality, fidelity) for image in images])
            ratio = round(means["mapped"] / means["alone"], 3)
            rows.append({"quality": quality, "fidelity": fidelity} | means | {"ratio": ratio})
    print(table(rows))
    print(f"\n{machine()}")


def _means(rows: list[Values]) -> dict[str, float]:
    return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}


if __name__ == "__main__":
    run_command(main)
