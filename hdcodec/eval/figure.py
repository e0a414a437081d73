"""Pictures side by side at equal bytes: the original, rivals, this codec."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from hdcodec._errors import TargetError
from hdcodec.eval.codecs import RIVALS, Rival, restore, save, shrink
from hdcodec.eval.metrics import pixels, psnr

FACTORS = (1, 1.5, 2, 3, 4, 6, 8, 12, 16)
PAPER, INK, GRAY = "white", "black", "#666666"
GAP, FONT_SIZE = 8, 15

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Panel:
    """A picture with a title and a line of smaller print under it."""

    image: Image.Image
    title: str
    note: str

    def cut(self, box: Box | None, width: int | None) -> "Panel":
        """The part inside `box` (left, top, right, bottom), shrunk to `width` where it is wider."""
        image = self.image.crop(box) if box else self.image
        factor = max(1.0, image.width / (width or image.width))
        return Panel(shrink(image, factor), self.title, self.note)


@dataclass(frozen=True)
class Shown:
    """A whole file, the picture in it, and by how much its sides were divided before coding."""

    data: bytes
    image: Image.Image
    factor: float = 1

    def panel(self, name: str) -> Panel:
        """The picture under its name, size and rate."""
        bpp = len(self.data) * 8 / (self.image.width * self.image.height)
        scaled = "" if self.factor == 1 else f", coded at 1/{self.factor:g} size"
        return Panel(self.image, name, f"{len(self.data):,} bytes, {bpp:.3f} bpp{scaled}")


def not_smaller(name: str, image: Image.Image, size: int) -> Shown:
    """A rival's best file of at least `size` bytes, as near to it as its integer quality allows.

    Where its lowest quality is larger, the picture is coded at a fraction of its size; of the
    fractions that reach `size` the one with the best PSNR is taken, in favour of the rival.
    Raises TargetError where none does.
    """
    best: tuple[float, Shown] | None = None
    for factor in FACTORS:
        data = _closest(RIVALS[name], shrink(image, factor), size)
        if data is None:
            continue
        coded = Shown(data, restore(data, image.size), factor)
        quality = psnr(pixels(image), pixels(coded.image))
        if best and quality <= best[0]:
            break
        best = quality, coded
    if best is None:
        side = f"{image.width}x{image.height}"
        raise TargetError(f"{RIVALS[name].format} cannot code {side} in {size} bytes")
    return best[1]


def _closest(rival: Rival, image: Image.Image, size: int) -> bytes | None:
    """The smallest file of at least `size` bytes; None where every quality is above, or below."""
    low, high = -1, 0
    data = save(image, rival, high)
    if len(data) > size:
        return None
    while len(data) < size:
        if high == rival.highest:
            return None
        low, high = high, min(2 * high + 1, rival.highest)
        data = save(image, rival, high)
    while high - low > 1:
        middle = (low + high) // 2
        tried = save(image, rival, middle)
        if len(tried) >= size:
            high, data = middle, tried
        else:
            low = middle
    return data


def side_by_side(
    image: Image.Image,
    code: Callable[[Image.Image], Shown],
    name: str = "hdcodec",
    *,
    rivals: Sequence[str] = ("avif",),
    box: Box | None = None,
    width: int | None = None,
) -> Image.Image:
    """One row: `image`, rivals with no fewer bytes, and what `code` makes of it, each labelled.

    `box` cuts out the part to show, `width` is the greatest width of one of them.
    """
    ours = code(image)
    theirs = [
        not_smaller(rival, image, len(ours.data)).panel(RIVALS[rival].format) for rival in rivals
    ]
    whole = Panel(image, "original", f"{image.width} x {image.height} pixels")
    panels = (whole, *theirs, ours.panel(name))
    return row([panel.cut(box, width) for panel in panels])


def row(panels: Sequence[Panel]) -> Image.Image:
    """The panels from left to right with their labels under them."""
    width = sum(p.image.width for p in panels) + GAP * (len(panels) - 1)
    height = max(p.image.height for p in panels)
    sheet = Image.new("RGB", (width, height + 3 * FONT_SIZE), PAPER)
    left = 0
    for panel in panels:
        sheet.paste(panel.image, (left, 0))
        _label(sheet, panel, left, height)
        left += panel.image.width + GAP
    return sheet


def _label(sheet: Image.Image, panel: Panel, left: int, top: int) -> None:
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_SIZE)
    draw.text((left + 2, top + 2), panel.title, INK, font)
    draw.text((left + 2, top + 3 + FONT_SIZE), panel.note, GRAY, font)


def contact_sheet(rows: Iterable[Image.Image]) -> Image.Image:
    """Rows under one another, left-aligned."""
    found = list(rows)
    height = sum(r.height for r in found) + GAP * (len(found) - 1)
    sheet = Image.new("RGB", (max(r.width for r in found), height), PAPER)
    top = 0
    for picture in found:
        sheet.paste(picture, (0, top))
        top += picture.height + GAP
    return sheet
