"""Pictures made to do harm, or merely odd: each is read as a viewer would, or is one error."""

import io
import os
import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from crafted import png_chunk, png_file
from PIL import EpsImagePlugin, Image

from hdcodec import HdcError, ImageError, TooLargeError
from hdcodec.format import EXIF, XMP
from hdcodec.images import attach, load, save

# What Pillow warns of on odd files is left to the program.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:::PIL.{module}")
    for module in ("Image", "IcoImagePlugin", "TiffImagePlugin")
]


def png(size: tuple[int, int], *others: bytes, pixels: bytes | None = None) -> bytes:
    """A black PNG of 8 bits a channel."""
    raw = zlib.compress(bytes(size[1] * (1 + 3 * size[0]))) if pixels is None else pixels
    header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    return png_file(header, *others, png_chunk(b"IDAT", raw))


def icon(size: int, inside: bytes) -> bytes:
    """An ICO that says so of the size of the PNG inside."""
    entry = struct.pack("<BBBBHHII", size, size, 0, 0, 1, 32, len(inside), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + inside


def tiff(*, bits: int = 8, kind: int = 1, data: bytes = bytes(16), **changes: int) -> bytes:
    """4 x 4 gray pixels; `kind` 1 is unsigned, 2 signed, 3 float. Tags are named tNNN."""
    tags = {256: 4, 257: 4, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: 4, 279: len(data)}
    tags[339] = kind
    tags |= {int(name[1:]): value for name, value in changes.items()}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items())]
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory


def jpeg(**options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 10, 10)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def exif(*entries: tuple[int, int, int, int]) -> bytes:
    """A block of raw entries: tag, type, count, value."""
    content = b"".join(struct.pack(">HHII", *entry) for entry in entries)
    return b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", len(entries)) + content + bytes(4)


def patched(kind: str, offset: int, fields: str, *values: int) -> bytes:
    """A small file of a format with other numbers in its header."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, kind)
    data = bytearray(buffer.getvalue())
    struct.pack_into(fields, data, offset, *values)
    return bytes(data)


PROMISES = {
    "png of 400 megapixels": png((20_000, 20_000), pixels=b""),
    "png of 2**31 a side": png((2**31 - 1, 2**31 - 1), pixels=b""),
    "icon with such a png": icon(16, png((20_000, 20_000), pixels=b"")),
    "gif of 4 gigapixels": patched("GIF", 6, "<HH", 65_535, 65_535),
    "bmp of 2**31 a side": patched("BMP", 18, "<ii", 2**31 - 1, 2**31 - 1),
    "dds of 2**32 a side": patched("DDS", 12, "<II", 2**32 - 1, 2**32 - 1),
    "tiff of 3.6 gigapixels": tiff(t256=60_000, t257=60_000, t278=60_000),
    "ppm of 400 megapixels": b"P6 20000 20000 255\n" + bytes(100),
    "png of one row too wide": png((65_536, 1)),
    "icon with such a row": icon(16, png((65_536, 1))),
}


@pytest.mark.parametrize("name", PROMISES)
def test_sizes_beyond_the_limits_are_refused(name: str) -> None:
    with pytest.raises(TooLargeError):
        load(io.BytesIO(PROMISES[name]))


def test_an_icon_with_a_picture_of_another_size_is_that_picture() -> None:
    assert load(io.BytesIO(icon(16, png((50, 20))))).rgb.size == (50, 20)


DAMAGED = {
    "png without pixels": png((40, 30), pixels=b""),
    "png with half its pixels": png((40, 30), pixels=zlib.compress(bytes(15 * 121))[:-4]),
    "jpeg without its end": jpeg(quality=95)[:-100],
    "tiff whose strips are elsewhere": tiff(t273=1 << 30),
    "tiff of 64-bit floats": tiff(bits=64, kind=3, data=bytes(128)),
    "tiff of 64-bit integers": tiff(bits=64, data=bytes(128)),
    "ppm of a negative size": b"P6 -5 12 255\n" + bytes(100),
    "pfm without a scale": b"Pf 3 3 nan\n" + bytes(100),
    "qoi without pixels": patched("QOI", 4, ">II", 4000, 4000)[:40],
    "text": b"A picture is worth a thousand words.\n" * 99,
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>',
    "pdf": b"%PDF-1.7\n1 0 obj<<>>endobj\n%%EOF",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_cannot_be_read_is_one_error(name: str) -> None:
    with pytest.raises(ImageError, match=r"^the input (is not|cannot)") as caught:
        load(io.BytesIO(DAMAGED[name]))
    assert "\n" not in str(caught.value)


ODD = {
    "text that goes on": png((4, 4), png_chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(1 << 22)))),
    "many texts": png(
        (4, 4), *[png_chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(1_000_000)))] * 70
    ),
    "pixels that go on for 4 MiB": png((4, 4), pixels=zlib.compress(bytes(1 << 22))),
    "1 bit tiff": tiff(bits=1, data=b"\xf0" * 4),
    "16 bit tiff": tiff(bits=16, data=bytes(32)),
    "16 bit signed tiff": tiff(bits=16, kind=2, data=bytes(32)),
    "32 bit tiff": tiff(bits=32, data=b"\xff" * 64),
    "float tiff": tiff(bits=32, kind=3, data=np.array([np.nan, np.inf] * 8, "<f4").tobytes()),
    "exif that refers to itself": jpeg(exif=exif((0x112, 3, 1, 6 << 16), (0x8769, 4, 1, 8))),
    "exif of 4 gigabytes": jpeg(exif=exif((0x112, 3, 1, 6 << 16), (0x927C, 7, 2**32 - 1, 8))),
    "exif of five thousand entries": jpeg(exif=exif(*[(0x8825, 4, 1, 8)] * 5000)),
    "an orientation of 65535": jpeg(exif=exif((0x112, 3, 1, 65_535 << 16))),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_but_whole_is_read(name: str) -> None:
    picture = load(io.BytesIO(ODD[name]))
    assert picture.rgb.size in ((4, 4), (8, 8))
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save(picture.rgb, buffer)
    assert load(buffer).rgb.size == picture.rgb.size


def test_an_orientation_that_is_text_is_a_warning() -> None:
    data = jpeg(exif=exif((0x112, 2, 4, int.from_bytes(b"abc\0", "big"))))
    with pytest.warns(UserWarning, match="EXIF data is ignored"):
        assert load(io.BytesIO(data)).exif is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_profile_of_megabytes_that_is_none_is_a_warning(kind: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, kind, icc_profile=bytes(12 << 20))
    buffer.seek(0)
    with pytest.warns(UserWarning, match="colour profile is ignored"):
        assert load(buffer).rgb.size == (8, 8)


def test_a_profile_that_goes_on_is_a_warning() -> None:
    endless = png_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(64 << 20)))
    with pytest.warns(UserWarning, match="colour profile is ignored"):
        assert load(io.BytesIO(png((4, 4), endless))).rgb.size == (4, 4)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (9, 9), colour) for colour in ((250, 0, 0), (0, 0, 250))]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    with pytest.warns(UserWarning, match="only the first of 2 frames is coded"):
        red, _, blue = load(buffer).rgb.getpixel((4, 4))  # type: ignore[misc]
    assert red > 200 > 50 > blue


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 24 17\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.fixture
def ghostscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there once a program called gs has run."""
    program, trace = tmp_path / "bin" / "gs", tmp_path / "trace"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho > {trace}\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    return trace


@pytest.mark.skipif(os.name != "posix", reason="the program is a shell script")
def test_no_program_is_run_to_draw_a_picture(ghostscript: Path) -> None:
    with pytest.raises(ImageError, match="the input is a drawing in EPS"):
        load(io.BytesIO(POSTSCRIPT))
    assert not ghostscript.exists()
    with Image.open(io.BytesIO(POSTSCRIPT)) as image, pytest.raises(Exception, match="gs"):
        image.load()
    assert ghostscript.exists(), "Pillow no longer runs gs: then this test shows nothing"


class Endless(io.RawIOBase):
    """A pipe that never ends; `given` bytes have been read from it."""

    given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        self.given += len(buffer)
        return len(buffer)


def test_an_endless_pipe_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[load.__module__], "MAX_STREAM_BYTES", 1 << 20)
    pipe = Endless()
    with pytest.raises(TooLargeError, match="the input has more than 1048576 bytes"):
        load(io.BufferedReader(pipe))
    assert pipe.given < 2 << 20


BROKEN_EXIF = (b"", b"nonsense", b"II*\0", b"MM\0*\0\0\0\x08\xff\xff", exif((0x8769, 4, 1, 8))[6:])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("block", BROKEN_EXIF)
@pytest.mark.parametrize("xmp", [None, b"\xff\0<x/>"])
def test_broken_metadata_of_a_file_do_not_lose_its_picture(
    small_coffee: Image.Image, kind: str, block: bytes, xmp: bytes | None
) -> None:
    if kind not in Image.registered_extensions().values() or kind not in Image.SAVE:
        pytest.skip(f"this Pillow writes no {kind}")
    image = attach(small_coffee, {EXIF: block} | ({XMP: xmp} if xmp else {}))
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save(image, buffer, kind)
        again = load(buffer)
    assert again.rgb.size == small_coffee.size


def test_tags_on_other_strips_do_not_break_a_tiff(small_coffee: Image.Image) -> None:
    """Cameras put the size and the compression of the picture into its EXIF block."""
    tags = Image.Exif()
    tags[0x100], tags[0x101], tags[0x103], tags[0x111], tags[0x10F] = 7, 9, 5, 12_345, "Maker"
    small_coffee.info["exif"] = tags.tobytes()
    buffer = io.BytesIO()
    save(small_coffee, buffer, "TIFF")
    again = load(buffer)
    assert again.rgb.tobytes() == small_coffee.tobytes()
    kept = Image.Exif()
    kept.load(again.exif or b"")
    assert kept[0x10F] == "Maker"


def test_every_case_here_is_refused_or_read_and_never_a_surprise() -> None:
    """All of them cut at some places, too."""
    for data in (PROMISES | DAMAGED | ODD).values():
        for size in {len(data) * part // 7 for part in range(1, 7)}:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    load(io.BytesIO(data[:size]))
                except HdcError as error:
                    assert "\n" not in str(error)
