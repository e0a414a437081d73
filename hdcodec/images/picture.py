"""The one form in which pictures travel through the codec."""

from __future__ import annotations

from dataclasses import dataclass, replace

from PIL import Image


@dataclass
class Picture:
    """What a viewer would show, and what came with it.

    rgb: mode RGB, sRGB, upright; smooth where nothing is seen. alpha: mode L, same size, or None if
    every pixel is opaque. gray: the three channels of rgb are equal and the source had only one.
    exif: the TIFF structure without its "Exif" prefix, orientation 1. xmp: the XML packet.
    """

    rgb: Image.Image
    alpha: Image.Image | None = None
    gray: bool = False
    exif: bytes | None = None
    xmp: bytes | None = None

    def __post_init__(self) -> None:
        if self.rgb.mode != "RGB":
            raise ValueError(f"rgb must be of mode RGB, not {self.rgb.mode}")
        alpha = self.alpha
        if alpha is not None and (alpha.mode, alpha.size) != ("L", self.rgb.size):
            raise ValueError("alpha must be of mode L and of the size of rgb")


def resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The image at another size, both ways as docs/format.md says: by Lanczos, in one step."""
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def to_pil(picture: Picture) -> Image.Image:
    """Return a new image of mode L, LA, RGB or RGBA; EXIF and XMP are in its `info`."""
    image = picture.rgb.convert("L") if picture.gray else picture.rgb.copy()
    if picture.alpha is not None:
        image.putalpha(picture.alpha)
    if picture.exif:
        image.info["exif"] = b"Exif\0\0" + picture.exif
    if picture.xmp:
        image.info["xmp"] = picture.xmp
    return image


def flatten(picture: Picture, background: tuple[int, int, int] = (255, 255, 255)) -> Picture:
    """Return the picture laid over a colour (sRGB, 0..255 each), without alpha."""
    if picture.alpha is None:
        return picture
    ground = Image.new("RGB", picture.rgb.size, background)
    ground.paste(picture.rgb, mask=picture.alpha)
    gray = picture.gray and len(set(background)) == 1
    return replace(picture, rgb=ground, alpha=None, gray=gray)
