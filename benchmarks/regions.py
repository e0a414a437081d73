"""What a map of qualities does: faces at equal bytes, and the seams where qualities meet.

    python benchmarks/regions.py FOLDER --metric-weights METRICS [--bpp .02,.035,.05] [--limit N]

Faces: pictures in which the detector finds some, coded in so many bits per pixel with them
protected and without; LPIPS-Alex within their boxes and of the whole picture. Seams: every other
column of tiles is 25 better; how far differences between neighbouring pixels across the borders are
from the original's, in levels, and the same of files of either quality alone: their ratio is 1
where no seam is seen.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import click
import numpy as np
from measuring import table
from PIL import Image

from hdcodec import Codec, detect
from hdcodec.detect import Box
from hdcodec.eval import measure, picture_files
from hdcodec.images import load

TILE, BETTER, MARGIN, LEAST = 64, 25, 8, 32
METRIC = ("lpips_alex",)
Values = dict[str, float]


def around(box: Box, image: Image.Image) -> tuple[int, int, int, int]:
    """The box and some pixels more, as a crop of the image."""
    right, bottom = box.x + box.width + MARGIN, box.y + box.height + MARGIN
    left, top = max(0, int(box.x) - MARGIN), max(0, int(box.y) - MARGIN)
    return left, top, min(image.width, int(right)), min(image.height, int(bottom))


def faces(codec: Codec, image: Image.Image, bpp: float, weights: str | None) -> Values:
    """LPIPS of one picture with and without protection; nothing where no face is large enough."""
    boxes = [around(box, image) for box in detect.faces(np.asarray(image))]
    boxes = [box for box in boxes if min(box[2] - box[0], box[3] - box[1]) >= LEAST]
    found: Values = {"faces": len(boxes)} if boxes else {}
    for name, protect in (("plain", "none"), ("protected", "faces")) if boxes else ():
        data = codec.compress(image, bpp=bpp, protect=protect)
        shown = codec.decompress(data)
        parts = [(image.crop(box), shown.crop(box)) for box in boxes]
        seen = [measure(*part, METRIC, weights=weights)["lpips_alex"] for part in parts]
        whole = measure(image, shown, METRIC, weights=weights)["lpips_alex"]
        found |= {f"{name} bytes": len(data), f"{name} faces": float(np.mean(seen))}
        found[f"{name} whole"] = whole
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


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--bpp", default=".02,.035,.05", show_default=True)
@click.option("--limit", type=int)
def main(folder: Path, metric_weights: str | None, bpp: str, limit: int | None) -> None:
    """Print two tables for the pictures in FOLDER."""
    codec = Codec(device="cpu")
    images = [load(path).rgb for path in picture_files(folder)[:limit]]
    found = defaultdict[str, list[Values]](list)
    for image in images:
        for rate in bpp.split(","):
            if values := faces(codec, image, float(rate), metric_weights):
                found[f"faces, {rate} bpp"].append(values)
    if found:
        named = [({"": name, "pictures": len(rows)}, rows) for name, rows in found.items()]
        print(table([head | _means(rows) for head, rows in named]))
    rows = []
    for quality in (20, 40, 60):
        for fidelity in (0.0, 0.75):
            means = _means([seams(codec, image, quality, fidelity) for image in images])
            ratio = round(means["mapped"] / means["alone"], 3)
            rows.append({"quality": quality, "fidelity": fidelity} | means | {"ratio": ratio})
    print(table(rows))


def _means(rows: list[Values]) -> dict[str, float]:
    return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}


if __name__ == "__main__":
    main()
