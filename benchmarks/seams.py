"""How far pictures decoded in tiles are from the same pictures decoded whole.

    python benchmarks/seams.py PICTURE... [--qualities 0,10,40,80] [--side 512] [--float32]

The tiles are the smallest that there are, 384 pixels a side with their surroundings, so no pixel is
far from a seam. Differences are those of eight-bit values.
"""

from __future__ import annotations

import copy
from pathlib import Path

import click
import numpy as np
from PIL import Image

from hdcodec import Codec
from hdcodec.models.tiles import LEAST_AREA


def gaps(whole: Codec, tiled: Codec, image: Image.Image, quality: float, kept: int) -> np.ndarray:
    """The absolute differences of a picture's pixels, at every end of the fidelity dial."""
    data = whole.compress(image, quality=quality, kept=kept, verify=False)
    pairs = [
        [np.asarray(codec.decompress(data, fidelity=f)).astype(int) for codec in (whole, tiled)]
        for f in (0.0, 1.0)
    ]
    return np.concatenate([np.abs(one - other).ravel() for one, other in pairs])


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--qualities", default="0,10,40,80", show_default=True)
@click.option("--kept", default=5, show_default=True)
@click.option("--side", default=512, show_default=True, help="Pixels that are cut from the middle.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--float32", is_flag=True, help="Decode in float32 on every CPU.")
def main(
    pictures: tuple[Path, ...], qualities: str, kept: int, side: int, device: str, float32: bool
) -> None:
    """Print a table of the differences over all PICTURES."""
    whole = Codec(device=device, precision="float32" if float32 else "auto")
    tiled = copy.copy(whole)
    tiled.networks = copy.copy(whole.networks)
    tiled.networks.area = LEAST_AREA
    print("| quality | largest | mean | share above 1 |\n|---|---|---|---|")
    for quality in map(float, qualities.split(",")):
        found = []
        for path in pictures:
            image = Image.open(path).convert("RGB")
            left, top = ((length - min(side, length)) // 2 for length in image.size)
            crop = image.crop((left, top, left + side, top + side))
            found.append(gaps(whole, tiled, crop, quality, kept))
        gap = np.concatenate(found)
        print(
            f"| {quality:g} | {gap.max()} | {gap.mean():.4f} | {(gap > 1).mean():.6f} |", flush=True
        )


if __name__ == "__main__":
    main()
