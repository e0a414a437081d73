"""Draws what the models and AVIF make of pictures in a few hundred bytes.

    python docs/make_few_bytes.py OUT.webp PICTURE... [--sizes 157,315,473] [--side 512]
        [--width 240]

A row for each picture and size: the original, AVIF and each model at fidelity 0. With `--side` the
middle of a picture is taken, else all of it. AVIF is coded at the fraction of the size that is best
in PSNR, in no fewer bytes than the first model; where it cannot, its place says so.
"""

from pathlib import Path

import click
from make_figures import Panel, contact_sheet, not_smaller, row
from PIL import Image

from hdcodec import Codec, TargetError, images
from hdcodec.eval.codecs import shrink
from hdcodec.models import FAMILIES

BLANK = "#dddddd"


def panels(codecs: list[Codec], image: Image.Image, size: int) -> list[Panel]:
    """The pictures of a row."""
    made = []
    for codec in codecs:
        data = codec.compress(image, target_size=size, protect="none")
        made.append((codec.decompress(data, fidelity=0.0), codec.name, f"{len(data)} bytes"))
    try:
        rival = not_smaller("avif", image, size)
        shown, note = rival.image, f"{len(rival.data)} bytes, coded at 1/{rival.factor:g} size"
    except TargetError:
        shown, note = Image.new("RGB", image.size, BLANK), f"none in {size} bytes"
    original = image, "original", f"{image.width} x {image.height} pixels"
    return [original, (shown, "AVIF", note), *made]


def middle(image: Image.Image, side: int) -> Image.Image:
    """A square of `side` pixels, or less where the picture is smaller."""
    width, height = (min(side, length) for length in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


@click.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("pictures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--sizes", default="157,315,473", show_default=True, help="Bytes.")
@click.option("--side", type=click.IntRange(1))
@click.option("--width", type=click.IntRange(1), default=240, show_default=True)
def main(out: Path, pictures: tuple[Path, ...], sizes: str, side: int | None, width: int) -> None:
    """Put what is made of the PICTURES into OUT."""
    codecs, rows = [Codec(name, device="cpu") for name in FAMILIES], []
    for path in pictures:
        image = images.load(path).rgb
        image = middle(image, side) if side else image
        for size in map(int, sizes.split(",")):
            made = panels(codecs, image, size)
            rows.append(row([(shrink(one, one.width / width), *told) for one, *told in made]))
    contact_sheet(rows).save(out, quality=80)


if __name__ == "__main__":
    main()
