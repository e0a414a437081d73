"""Draws a picture, and files of it in few bytes without and with its faces protected.

    python docs/make_regions.py docs/regions.webp docs/astronaut.jpg

Below are the surroundings of the face that is found most surely.
"""

from pathlib import Path

import click
import numpy as np
from PIL import Image

from hdcodec import Codec, detect
from hdcodec.images import load


@click.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("picture", type=click.Path(exists=True, path_type=Path))
@click.option("--size", default=1400, show_default=True, help="Bytes of each file.")
@click.option("--width", default=300, show_default=True, help="Of each picture.")
def main(out: Path, picture: Path, size: int, width: int) -> None:
    """Put PICTURE, its file without protection and with it side by side, in OUT."""
    codec, image = Codec(device="cpu"), load(picture).rgb
    shown, sizes = [image], []
    for protect in ("none", "faces"):
        data = codec.compress(image, target_size=size, protect=protect)
        shown.append(codec.decompress(data))
        sizes.append(f"{len(data):,}")
    face = detect.faces(np.asarray(image))[0]
    side = min(1.6 * face.height, *image.size)
    left = min(max(0, face.x + (face.width - side) / 2), image.width - side)
    top = min(max(0, face.y + (face.height - side) / 2), image.height - side)
    height = round(width * image.height / image.width)
    sheet = Image.new("RGB", (width * len(shown), height + width))
    for at, seen in enumerate(shown):
        whole = seen.resize((width, height), Image.Resampling.LANCZOS)
        crop = seen.resize(
            (width, width), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side)
        )
        sheet.paste(whole, (width * at, 0))
        sheet.paste(crop, (width * at, height))
    sheet.save(out, quality=85, method=6)
    click.echo(f"{sizes[0]} and {sizes[1]} bytes")


if __name__ == "__main__":
    main()
