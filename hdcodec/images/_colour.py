"""From any Pillow mode to eight-bit sRGB and alpha."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from hdcodec._errors import ImageError
from hdcodec.images import _tiff

GRAY_MODES = ("1", "L", "LA", "La", "I", "F")
_ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
_KEYED_MODES = ("1", "L", "P", "RGB")
_WHITES = {"I": (255, 65_535, 2**31 - 1), "F": (1, 255, 65_535)}


def is_gray(image: Image.Image) -> bool:
    """Whether a picture has no colours by its mode, of whatever depth."""
    return image.mode in GRAY_MODES or image.mode.startswith("I;16")


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and float gray to L (LA if a value is keyed as transparent)."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image).astype(np.float32)
    keyed = image.info.get("transparency")
    alpha = np.where(values == keyed, 0, 255) if isinstance(keyed, int) else None
    white = _white(image, values)
    if _tiff.is_negative(image):
        values = np.float32(white) - values
    gray = _scale(values, white)
    if alpha is None:
        return gray
    return Image.merge("LA", (gray, Image.fromarray(alpha.astype(np.uint8))))


def _scale(values: np.ndarray[Any, Any], white: float) -> Image.Image:
    """Map 0..`white` to 0..255, rounding; not-a-number is black. Overwrites `values`."""
    np.nan_to_num(values, copy=False, posinf=white)
    np.clip(values, 0, white, out=values)
    values *= np.float32(255) / np.float32(white)
    values += np.float32(0.5)
    return Image.fromarray(values.astype(np.uint8))


def _white(image: Image.Image, values: np.ndarray[Any, Any]) -> float:
    """The value that stands for white: known up to 16 bits, else the least usual one that fits."""
    if image.mode.startswith("I;16"):
        return 2.0 ** (_tiff.bits(image) or 16) - 1
    if image.mode == "I" and image.format in ("PNG", "PPM"):
        return 65_535
    top = float(values.max(initial=0, where=np.isfinite(values)))
    return next((white for white in _WHITES[image.mode] if top <= white), top)


def split_alpha(
    image: Image.Image, low: Image.Image | None = None
) -> tuple[Image.Image, Image.Image | None]:
    """Return the colours (mode L, RGB, CMYK or LAB) and alpha (mode L; None if all opaque).

    low: the lower bytes of pixels whose upper ones `image` has, where a colour is transparent.
    """
    gray = is_gray(image)
    alpha = None
    if low is not None:
        alpha = _keyed(image, low)
    elif _has_alpha(image):
        image = _with_alpha(image, "LA" if gray else "RGBA")
        alpha = image.getchannel("A")
    if alpha and alpha.getextrema() == (255, 255):
        alpha = None
    if image.mode in ("CMYK", "LAB"):
        return image, alpha
    return image.convert("L" if gray else "RGB"), alpha


def _has_alpha(image: Image.Image) -> bool:
    if image.mode in _ALPHA_MODES:
        return True
    palette = image.palette if image.mode == "P" else None
    if palette is not None and palette.mode.endswith("A"):
        return True
    return image.mode in _KEYED_MODES and image.info.get("transparency") is not None


def _with_alpha(image: Image.Image, mode: str) -> Image.Image:
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        raise ImageError(
            "a transparent colour of 16 bits is known to hdcodec.images.load alone, which opens "
            "the file itself"
        )
    return image.convert(mode)


def _keyed(image: Image.Image, low: Image.Image) -> Image.Image:
    """Alpha 0 where the 16 bits of all channels are those of the transparent colour."""
    key = np.array(image.info["transparency"])
    same = (np.asarray(image) == key >> 8) & (np.asarray(low) == key & 255)
    return Image.fromarray(np.where(same.all(axis=2), 0, 255).astype(np.uint8))


def to_srgb(colours: Image.Image, profile: bytes | None) -> Image.Image:
    """Return `colours` as sRGB, mode RGB. A profile that cannot be used is ignored with a warning.

    Gray stays gray: its three channels are equal.
    """
    if profile or colours.mode == "LAB":
        try:
            converted = _apply_profile(colours, profile)
        except Exception as error:
            warnings.warn(f"the colour profile is ignored: {error}", stacklevel=2)
        else:
            return converted.convert("L").convert("RGB") if colours.mode == "L" else converted
    return colours.convert("RGB")


def _apply_profile(colours: Image.Image, profile: bytes | None) -> Image.Image:
    if colours.mode == "LAB":
        source = ImageCms.createProfile("LAB")
    else:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile or b"")).profile
    if colours.mode == "L" and source.xcolor_space.strip() == "RGB":
        colours = colours.convert("RGB")
    # Optimised, Little CMS samples a gray curve too coarsely for dark tones.
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(source),
        ImageCms.createProfile("sRGB"),
        colours.mode,
        "RGB",
        flags=ImageCms.Flags.NOOPTIMIZE if colours.mode == "L" else ImageCms.Flags.NONE,
    )
    converted = ImageCms.applyTransform(colours, transform)
    if converted is None:
        raise ValueError("it yields no picture")
    return converted
