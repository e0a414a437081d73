"""Makes the README's comparison: original, rivals at no fewer bytes, this codec.

    python docs/make_figures.py OUT.webp PICTURE... --bpp 0.05 [--width 400]
        [--against avif --against vvc]

Several pictures become the rows of one sheet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from PIL import Image, ImageDraw, ImageFont

from hdcodec import Codec, TargetError, images
from hdcodec.eval import measure
from hdcodec.eval.codecs import RIVALS, largest_within, restore, save, shrink

FACTORS = (1, 1.5, 2, 3, 4, 6, 8, 12, 16)
GAP, FONT_SIZE = 8, 15

Panel = tuple[Image.Image, str, str]
"""A picture, its title, and a line of smaller print."""


@dataclass(frozen=True)
class Shown:
    """A whole file, the picture in it, and by how much its sides were divided before coding."""

    data: bytes
    image: Image.Image
    factor: float = 1

    def panel(self, name: str) -> Panel:
        bpp = len(self.data) * 8 / (self.image.width * self.image.height)
        scaled = "" if self.factor == 1 else f", coded at 1/{self.factor:g} size"
        return self.image, name, f"{len(self.data):,} bytes, {bpp:.3f} bpp{scaled}"


def not_smaller(name: str, image: Image.Image, size: int) -> Shown:
    """A rival's best file of at least `size` bytes, as near to it as its integer quality allows.

    Where its lowest quality is larger, the picture is coded at a fraction of its size; of the
    fractions that reach `size` the one with the best PSNR is taken, in favour of the rival.
    Raises TargetError where none does.
    """
    rival, best, best_psnr = RIVALS[name], None, 0.0
    for factor in FACTORS:
        small = shrink(image, factor)
        data, quality = largest_within(small, rival, size)
        if len(data) > size or (len(data) < size and quality == rival.highest):
            continue
        if len(data) < size:
            data = save(small, rival, quality + 1)
        coded = Shown(data, restore(data, image.size), factor)
        psnr = measure(image, coded.image, ["psnr"])["psnr"]
        if psnr <= best_psnr:
            break
        best, best_psnr = coded, psnr
    if best is None:
        side = f"{image.width}x{image.height}"
        raise TargetError(f"{rival.format} cannot code {side} in {size} bytes")
    return best


def side_by_side(
    image: Image.Image,
    ours: Shown,
    rivals: Sequence[str] = ("avif",),
    width: int | None = None,
) -> Image.Image:
    """One row: `image`, rivals with no fewer bytes than `ours`, and that, each labelled.

    `width` is the greatest width of one of them.
    """
    theirs = [not_smaller(name, image, len(ours.data)) for name in rivals]
    panels = [(image, "original", f"{image.width} x {image.height} pixels")]
    panels += [one.panel(RIVALS[name].format) for name, one in zip(rivals, theirs, strict=True)]
    panels.append(ours.panel("hdcodec"))
    return row(
        [
            (shrink(one, max(1, one.width / (width or one.width))), *labels)
            for one, *labels in panels
        ]
    )


def row(panels: Sequence[Panel]) -> Image.Image:
    """The panels from left to right with their labels under them."""
    height = max(image.height for image, _, _ in panels)
    width = sum(image.width + GAP for image, _, _ in panels) - GAP
    sheet = Image.new("RGB", (width, height + 3 * FONT_SIZE), "white")
    draw, font, left = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE), 0
    for image, title, note in panels:
        sheet.paste(image, (left, 0))
        draw.text((left + 2, height + 2), title, "black", font)
        draw.text((left + 2, height + 3 + FONT_SIZE), note, "#666666", font)
        left += image.width + GAP
    return sheet


def contact_sheet(rows: Sequence[Image.Image]) -> Image.Image:
    """Rows under one another, left-aligned."""
    size = max(r.width for r in rows), sum(r.height + GAP for r in rows) - GAP
    sheet, top = Image.new("RGB", size, "white"), 0
    for picture in rows:
        sheet.paste(picture, (0, top))
        top += picture.height + GAP
    return sheet


@click.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("pictures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--bpp", default=0.05, show_default=True, help="Cap on the bits per pixel.")
@click.option("--width", type=click.IntRange(1), help="Greatest width of one picture.")
@click.option("--against", "rivals", multiple=True, default=("avif",), show_default=True)
@click.option("--fidelity", default=0.75, show_default=True)
def main(
    out: Path,
    pictures: tuple[Path, ...],
    bpp: float,
    width: int | None,
    rivals: tuple[str, ...],
    fidelity: float,
) -> None:
    """Put the PICTURES side by side with rivals at equal bytes, in OUT."""
    codec, rows = Codec(), []
    for path in pictures:
        image = images.load(path).rgb
        data = codec.compress(image, bpp=bpp, protect="none")
        ours = Shown(data, codec.decompress(data, fidelity=fidelity))
        rows.append(side_by_side(image, ours, rivals, width))
    contact_sheet(rows).save(out, quality=90)


if __name__ == "__main__":
    main()
