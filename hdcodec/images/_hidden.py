"""Colours where nothing is seen: what lies under full transparency is filled from its neighbours.

Whatever a program left there would cost bytes and bleed into the edge of what is seen.
"""

from __future__ import annotations

from PIL import Image


def fill_hidden(rgb: Image.Image, alpha: Image.Image) -> Image.Image:
    """Return `rgb` with smooth colours where `alpha` is 0; all other pixels stay as they are.

    Each pixel takes its colour from the finest level of a pyramid that knows one around it.
    """
    if alpha.getextrema()[0] != 0:
        return rgb
    if alpha.getbbox() is None:
        return Image.new("RGB", rgb.size)
    return _filled(rgb, alpha.point(_SEEN))


_SEEN = [0] + [255] * 255


def _filled(rgb: Image.Image, seen: Image.Image) -> Image.Image:
    """`rgb` with the pixels where `seen` is 0 filled from those where it is 255."""
    if seen.getextrema() == (255, 255):
        return rgb
    half = Image.merge("RGBA", (*rgb.split(), seen)).reduce(2)  # the mean of what is seen
    around = _filled(half.convert("RGB"), half.getchannel("A").point(_SEEN))
    box = 0, 0, rgb.width / 2, rgb.height / 2
    around = around.resize(rgb.size, Image.Resampling.BILINEAR, box=box)
    around.paste(rgb, mask=seen)
    return around
