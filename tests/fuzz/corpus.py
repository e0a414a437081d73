"""What is damaged: small intact files of every kind, made anew for each run."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from PIL import Image, ImageCms

from hdcodec.format import ALPHA, EXIF, GRAY, XMP, Header, pack
from hdcodec.images import Picture, detach

XMP_PACKET = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'


def scene(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Ramps and rings; alpha, if any, falls from top to bottom."""
    bands = Image.linear_gradient("L"), Image.radial_gradient("L"), Image.linear_gradient("L")
    image = Image.merge("RGB", bands).resize((width, height)).convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def exif() -> bytes:
    """A block with every directory, without its prefix."""
    tags = Image.Exif()
    tags[0x0112], tags[0x010F], tags[0x0100] = 1, "Maker", 7
    tags[0x8769] = {0x8827: 400, 0x927C: b"note", 0x829A: 0.01}
    tags[0x8825] = {1: "N", 2: (1.0, 2.0, 3.0)}
    return tags.tobytes().removeprefix(b"Exif\0\0")


def hollow_files() -> list[bytes]:
    """Files whose range stream means nothing: for the parser alone."""
    alpha = {
        size: detach(Picture(scene(*size), _alpha(size, mode)))[ALPHA]
        for size, mode in {(40, 30): "L", (65, 7): "1", (1, 1): "L"}.items()
    }
    stream = bytes(range(1, 60))
    return [
        pack(_header(768, 512, 100, 7), stream),
        pack(_header(1, 1, 0, 0), b""),
        pack(_header(65_535, 128, 200, 15), stream),
        pack(_header(127, 16_384, 1, 1), stream, {GRAY: b"", XMP: b"<x/>", 200: b"later"}),
        pack(_header(40, 30, 50, 2), stream, {ALPHA: alpha[40, 30], EXIF: exif()}),
        pack(_header(65, 7, 50, 2), b"\1", {ALPHA: alpha[65, 7], XMP: XMP_PACKET, GRAY: b""}),
        pack(replace(_header(500, 400, 50, 2), scale=9), stream, {XMP: XMP_PACKET}),
        pack(_header(90, 20, 50, 2), b"\1", {EXIF: exif(), XMP: XMP_PACKET}),
        pack(_header(1, 1, 50, 2), b"\1", {ALPHA: alpha[1, 1], EXIF: b"MM\0*", 255: bytes(300)}),
    ]


def _header(width: int, height: int, quality: int, kept: int) -> Header:
    """Of the hdc family."""
    return Header(width, height, 1, bytes([kept, quality]))


def coded_files(codec: Any) -> list[bytes]:
    """Files that decode to pictures; `codec` is a hdcodec.Codec."""
    return [
        codec.compress(scene(1, 1), quality=50),
        codec.compress(scene(64, 64), quality=100, kept=15),
        codec.compress(scene(96, 70), quality=30, max_side=50),
        codec.compress(scene(65, 33, "L"), quality=20, kept=5),
        codec.compress(scene(70, 40, "RGBA"), quality=40, kept=3),
        codec.compress(scene(33, 44, "LA"), quality=0),
        codec.compress(_described(scene(50, 64, "RGBA")), quality=70, kept=9, keep_metadata=True),
        codec.compress(_described(scene(128, 100)), quality=90, keep_metadata=True),
    ]


def picture_files() -> list[bytes]:
    """Small files of all common formats and modes, as Pillow writes them."""
    return list(_pictures())


def _pictures() -> Iterator[bytes]:
    rgb, tags = scene(24, 17), b"Exif\0\0" + exif()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile[:24] + bytes(12) + profile[36:]  # the time at which it was made
    yield _saved(rgb, "PNG", exif=tags, icc_profile=profile)
    yield _saved(scene(24, 17, "LA"), "PNG")
    yield _saved(rgb.quantize(16), "PNG", transparency=bytes(range(0, 160, 10)))
    yield _saved(Image.new("I;16", (9, 5), 40_000), "PNG")
    yield _saved(rgb.convert("1"), "PNG")
    yield _saved(rgb, "JPEG", exif=tags, icc_profile=profile, comment=b"text")
    yield _saved(rgb, "JPEG", progressive=True)
    yield _saved(rgb.convert("CMYK"), "JPEG")
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg"):
        yield _saved(rgb, "TIFF", compression=compression)
    for mode in ("F", "I", "1", "CMYK", "P"):
        yield _saved(rgb.convert(mode), "TIFF")
    frames = [rgb.quantize(16), rgb.rotate(90).quantize(16)]
    yield _saved(frames[0], "GIF", save_all=True, append_images=frames[1:], transparency=3)
    yield _saved(rgb, "WEBP", exif=tags)
    yield _saved(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(90)])
    for kind in ("BMP", "TGA", "PPM", "ICO", "JPEG2000", "PCX", "SGI", "DDS", "QOI", "AVIF"):
        if kind in Image.SAVE:
            yield _saved(rgb, kind)
    yield b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 24 17\n%%EndComments\nshowpage\n%%EOF\n"


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _alpha(size: tuple[int, int], mode: str) -> Image.Image:
    return Image.linear_gradient("L").resize(size).convert(mode).convert("L")


def _described(image: Image.Image) -> Image.Image:
    image.info |= {"exif": b"Exif\0\0" + exif(), "xmp": XMP_PACKET.replace(b"6", b"1")}
    return image
