"""A picture is written as it is, or its format is refused by name."""

import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hdcodec import OutputError
from hdcodec.images import check, save

Image.init()
# Neither is opened again without a program of its own.
DOCUMENTS = ("EPS", "PDF")
FEW_COLOURS = {"GIF": 30}


@pytest.mark.parametrize("kind", sorted(set(Image.SAVE) - {"HDC", *DOCUMENTS}))
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(200, 90), (300, 40), (1024, 1024)])
def test_no_format_changes_the_picture_without_a_word(
    astronaut: Image.Image, kind: str, mode: str, size: tuple[int, int]
) -> None:
    if size == (1024, 1024) and kind not in ("ICNS", "ICO"):
        pytest.skip("it holds all sizes that are possible")
    image = astronaut.resize(size).convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(size))
    image.info.clear()
    buffer = io.BytesIO()
    try:
        save(image, buffer, kind)
    except OutputError as error:
        assert kind in str(error)
        return
    with Image.open(buffer) as again:
        assert again.size == size
        gap = np.asarray(again.convert("RGBA")).astype(int) - np.asarray(image.convert("RGBA"))
    assert np.abs(gap).mean() < FEW_COLOURS.get(kind, 4)


@pytest.mark.parametrize(
    ("name", "size", "limit"),
    [
        ("out.ico", (2400, 1600), "at most 256 a side"),
        ("out.ico", (16, 257), "at most 256 a side"),
        ("out.icns", (512, 512), "only 1024x1024"),
        ("out.icns", (2400, 1600), "only 1024x1024"),
        ("out.webp", (16_384, 1), "at most 16383 a side"),
        ("out.jpg", (1, 65_501), "at most 65500 a side"),
    ],
)
def test_a_size_that_a_format_cannot_hold_is_refused(
    tmp_path: Path, name: str, size: tuple[int, int], limit: str
) -> None:
    words = f"{'x'.join(map(str, size))} pixels, {limit}$"
    with pytest.raises(OutputError, match=words):
        save(Image.new("L", size), tmp_path / name)
    with pytest.raises(OutputError, match=words):
        check(name, size=size)
    assert os.listdir(tmp_path) == []


def test_what_fits_is_not_refused() -> None:
    for format, size in (("ico", (256, 3)), (".icns", (1024, 1024)), ("WEBP", (16_383, 16_383))):
        check("a", format, size=size)
    with pytest.raises(OutputError, match="no picture format"):
        check("a.heix")


def test_colours_are_not_lost() -> None:
    with pytest.raises(OutputError, match="SPIDER cannot hold colours"):
        save(Image.new("RGB", (9, 9)), io.BytesIO(), "SPIDER")


@pytest.mark.parametrize("kind", ["JPEG", "MPO"])
@pytest.mark.parametrize("name", ["exif", "xmp"])
def test_metadata_too_long_for_a_jpeg_are_left_out_with_a_warning(
    small_astronaut: Image.Image, kind: str, name: str
) -> None:
    small_astronaut.info = {name: bytes(70_000)}
    buffer = io.BytesIO()
    words = f"the {name.upper()} data is too long for a JPEG and left out"
    with pytest.warns(UserWarning, match=words):
        save(small_astronaut, buffer, kind)
    with Image.open(buffer) as image:
        assert image.size == small_astronaut.size
        assert name not in image.info


def test_metadata_that_just_fit_a_jpeg_are_written(small_astronaut: Image.Image) -> None:
    xmp = b"<" + b"x" * (65_533 - 29 - 2) + b">"
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0".ljust(65_533, b"\0")
    small_astronaut.info = {"xmp": xmp, "exif": exif}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(small_astronaut, buffer, "JPEG")
    assert xmp in buffer.getvalue()
    assert exif in buffer.getvalue()
