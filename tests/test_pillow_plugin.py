"""Pillow with .hdc files, as a program that has imported the plugin sees them."""

import pickle
import subprocess
import sys
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from headers import header
from PIL import Image, UnidentifiedImageError

import hdcodec
import hdcodec.pillow_plugin
from hdcodec.format import ALPHA, EXIF, GRAY, pack


@pytest.fixture
def picture(small_coffee: Image.Image) -> Image.Image:
    """72 x 48 pixels."""
    return small_coffee.resize((72, 48))


@pytest.fixture
def file(picture: Image.Image, tmp_path: Path) -> Path:
    picture.save(tmp_path / "a.hdc", quality=30)
    return tmp_path / "a.hdc"


def hollow(width: int, height: int, chunks: dict[int, bytes] | None = None) -> bytes:
    """A file with a valid header and checksum, and no pixels."""
    return pack(header(width=width, height=height, quality=100, kept=4), b"", chunks)


def test_the_size_is_known_without_decoding() -> None:
    with Image.open(BytesIO(hollow(3000, 2000))) as image:
        assert (image.format, image.mode, image.size) == ("HDC", "RGB", (3000, 2000))
        assert image.get_format_mimetype() == "image/x-hdc"


def test_opening_imports_no_torch(file: Path) -> None:
    code = (
        "import sys, hdcodec; hdcodec.register(); from PIL import Image\n"
        "print(Image.open(sys.argv[1]).size, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(file)]
    assert subprocess.check_output(command, text=True) == "(72, 48) False\n"


def test_pixels_are_those_of_the_library(file: Path) -> None:
    with Image.open(file) as image:
        image.load()
        assert image.fp is None
    assert image.tobytes() == hdcodec.decompress(file.read_bytes()).tobytes()


def test_a_loaded_image_is_like_any_other(file: Path, picture: Image.Image) -> None:
    with Image.open(file) as image:
        half = image.resize((36, 24))
        again = pickle.loads(pickle.dumps(image))
    assert again.tobytes() == image.tobytes()
    difference = np.asarray(half, dtype=float) - np.asarray(picture.resize((36, 24)), dtype=float)
    assert np.sqrt(np.mean(difference**2)) < 40


def test_a_file_is_known_by_its_content_not_its_name(file: Path) -> None:
    with Image.open(file.rename(file.with_suffix(".png"))) as image:
        assert image.format == "HDC"


def test_a_stream_stays_open(file: Path) -> None:
    with file.open("rb") as stream:
        Image.open(stream).load()
        assert not stream.closed


def test_save_options_reach_the_codec(picture: Image.Image, tmp_path: Path) -> None:
    sizes = {}
    for quality in (5, 95):
        stream = BytesIO()
        picture.save(stream, "HDC", quality=quality)
        assert hdcodec.info(stream.getvalue())["quality"] == quality
        sizes[quality] = len(stream.getvalue())
    cap = (sizes[5] + sizes[95]) // 2
    picture.save(tmp_path / "a.hdc", target_size=cap)
    assert sizes[5] <= (tmp_path / "a.hdc").stat().st_size <= cap


def test_what_cannot_be_saved_leaves_no_file(picture: Image.Image, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="bytes"):
        picture.save(tmp_path / "a.hdc", target_size=5)
    with pytest.raises(ValueError, match="quality"):
        picture.save(tmp_path / "a.hdc", quality=101)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_modes_are_known_before_and_after_loading(picture: Image.Image, mode: str) -> None:
    if mode.endswith("A"):
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    stream = BytesIO()
    picture.convert(mode).save(stream, "HDC")
    with Image.open(stream) as image:
        assert image.mode == mode
        image.load()
        assert (image.mode, image.size) == (mode, picture.size)
    if mode.endswith("A"):
        assert image.getchannel("A").tobytes() == picture.getchannel("A").tobytes()


def test_metadata_are_there_before_loading(picture: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a cup"
    picture.info["exif"] = exif.tobytes()
    picture.info["xmp"] = b"<x:xmpmeta/>"
    plain, full = BytesIO(), BytesIO()
    picture.save(plain, "HDC")
    picture.save(full, "HDC", keep_metadata=True)
    with Image.open(plain) as image:
        assert image.info == {}
    with Image.open(full) as image:
        assert image.getexif()[0x010E] == "a cup"
        assert image.info["xmp"] == b"<x:xmpmeta/>"


def test_save_takes_metadata_and_the_options_of_the_model(picture: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a cup"
    found = []
    for options in ({}, {"exif": exif}, {"exif": exif.tobytes()}, {"xmp": b"<x:xmpmeta/>"}):
        stream = BytesIO()
        picture.save(stream, "HDC", quality=20, **options)
        with Image.open(stream) as image:
            found.append((image.getexif().get(0x010E), image.info.get("xmp")))
    assert found == [
        (None, None), ("a cup", None), ("a cup", None), (None, b"<x:xmpmeta/>"),
    ]  # fmt: skip
    assert "exif" not in picture.info
    searched, plain = BytesIO(), BytesIO()
    picture.save(searched, "HDC", quality=20, effort=1)
    picture.save(plain, "HDC", quality=20)
    assert searched.getvalue() != plain.getvalue()
    with pytest.raises(OSError, match="unknown model"):
        picture.save(BytesIO(), "HDC", model="tcm")
    with pytest.raises(ValueError, match="effort must lie between"):
        picture.save(BytesIO(), "HDC", effort=11)


# Limits and damage


def test_bombs_are_refused_by_their_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(BytesIO(hollow(201, 100)))
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(BytesIO(hollow(150, 100)))
    with warnings.catch_warnings(), Image.open(BytesIO(hollow(100, 100))) as image:
        assert image.size == (100, 100)


def test_without_a_limit_there_is_none(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with Image.open(file) as image:
        image.load()
    with Image.open(BytesIO(hollow(65_535, 65_535))) as image:
        assert image.size == (65_535, 65_535)


@pytest.mark.parametrize(
    "data",
    [
        b"\xabH",
        b"\xabKTX 20\xbb\r\n\x1a\n" + bytes(64),
        hollow(72, 48)[:6],
        hollow(72, 48)[:2] + b"\xf4" + hollow(72, 48)[3:],
        hollow(72, 48, {GRAY: b""})[:-4],
        hollow(72, 48, {EXIF: bytes(99)})[:60],
    ],
    ids=["magic alone", "foreign", "cut header", "later version", "cut chunks", "cut metadata"],
)
def test_what_is_no_file_of_ours_is_not_identified(data: bytes) -> None:
    with pytest.raises(UnidentifiedImageError):
        Image.open(BytesIO(data))


def test_chunks_out_of_order_are_not_identified() -> None:
    data = bytearray(hollow(72, 48, {EXIF: b"x", 200: b"y"}))
    data[data.index(200)] = ALPHA
    with pytest.raises(UnidentifiedImageError):
        Image.open(BytesIO(data))


def test_damage_shows_when_the_pixels_are_wanted(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    with Image.open(BytesIO(data)) as image, pytest.raises(OSError, match="checksum"):
        image.load()
    with Image.open(BytesIO(data)) as image, pytest.raises(OSError, match="checksum"):
        image.verify()
    with Image.open(file) as image:
        image.verify()
