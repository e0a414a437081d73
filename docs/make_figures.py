"""Makes the README's comparison: original, rivals at no fewer bytes, this codec.

    python docs/make_figures.py OUT.webp PICTURE... --bpp 0.05 [--crop 384x384+200+60] [--width 400]
        [--against avif --against vvc]

Several pictures become the rows of one sheet.
"""

import re
from functools import partial
from pathlib import Path

import click
from PIL import Image

import hdcodec
from hdcodec import images
from hdcodec.eval.figure import Box, Shown, contact_sheet, side_by_side


def parse_crop(_: click.Context, __: click.Parameter, text: str | None) -> Box | None:
    """WIDTHxHEIGHT+LEFT+TOP to (left, top, right, bottom)."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)x(\d+)\+(\d+)\+(\d+)", text)
    if match is None:
        raise click.BadParameter("not WIDTHxHEIGHT+LEFT+TOP")
    width, height, left, top = map(int, match.groups())
    return left, top, left + width, top + height


def code(
    codec: hdcodec.Codec, bpp: float, fidelity: float, image: Image.Image
) -> Shown:
    """The file of a picture, and what it decodes to."""
    data = codec.compress(image, bpp=bpp)
    return Shown(data, codec.decompress(data, fidelity=fidelity))


@click.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("pictures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--bpp", default=0.05, show_default=True, help="Cap on the bits per pixel.")
@click.option("--crop", callback=parse_crop, metavar="WxH+X+Y", help="The part to show.")
@click.option("--width", type=click.IntRange(1), help="Greatest width of one picture.")
@click.option("--against", "rivals", multiple=True, default=("avif",), show_default=True)
@click.option("--fidelity", default=0.75, show_default=True)
@click.option("--model", default="hdc", show_default=True)
@click.option("--device", default="auto", show_default=True)
def main(
    out: Path,
    pictures: tuple[Path, ...],
    bpp: float,
    crop: Box | None,
    width: int | None,
    rivals: tuple[str, ...],
    fidelity: float,
    model: str,
    device: str,
) -> None:
    """Put the PICTURES side by side with rivals at equal bytes, in OUT."""
    codec = hdcodec.Codec(model=model, device=device)
    ours = partial(code, codec, bpp, fidelity)
    shown = partial(side_by_side, code=ours, rivals=rivals, box=crop, width=width)
    rows = [shown(images.load(path).rgb) for path in pictures]
    contact_sheet(rows).save(out, quality=90)


if __name__ == "__main__":
    main()
