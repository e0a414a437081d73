"""How far pictures decoded in tiles are from the same pictures decoded whole.

    python benchmarks/seams.py PICTURE... [--float32]

The tiles are the smallest that there are, 384 pixels a side with their surroundings, so no pixel of
the 512 x 512 from the middle of each picture is far from a seam. Differences are those of eight-bit
values.
"""

from __future__ import annotations

import copy
from pathlib import Path

import click
import numpy as np
from measuring import run_command, table
from PIL import Image

from hdcodec import Codec
from hdcodec.models.tiles import LEAST_AREA

QUALITIES = (0, 10, 40, 80)
KEPT, SIDE = 5, 512


def gaps(whole: Codec, tiled: Codec, path: Path, quality: float) -> np.ndarray:
    """The absolute differences of a picture's pixels, at both ends of the fidelity dial."""
    image = Image.open(path).convert("RGB")
    left, top = ((length - min(SIDE, length)) // 2 for length in image.size)
    crop = image.crop((left, top, left + SIDE, top + SIDE))
    data = whole.compress(crop, quality=quality, kept=KEPT, verify=False, protect="none")
    pairs = [
        [np.asarray(codec.decompress(data, fidelity=f)).astype(int) for codec in (whole, tiled)]
        for f in (0.0, 1.0)
    ]
    return np.concatenate([np.abs(one - other).ravel() for one, other in pairs])


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--float32", is_flag=True, help="Decode in float32 on every CPU.")
def main(pictures: tuple[Path, ...], float32: bool) -> None:
    """Print a table of the differences over all PICTURES."""
    whole = Codec(device="cpu", precision="float32" if float32 else "auto")
    tiled = copy.copy(whole)
    tiled.networks = copy.copy(whole.networks)
    tiled.networks.area = LEAST_AREA
    rows = []
    for quality in QUALITIES:
        gap = np.concatenate([gaps(whole, tiled, path, quality) for path in pictures])
        row = {"quality": quality, "largest": int(gap.max()), "mean": f"{gap.mean():.4f}"}
        rows.append(row | {"share above 1": f"{(gap > 1).mean():.6f}"})
    print(table(rows))


if __name__ == "__main__":
    run_command(main)
