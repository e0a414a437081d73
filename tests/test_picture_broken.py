"""A file that merely ends early is shown as far as it goes; odd text in a PNG is skipped."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from command import Hdc
from crafted import SIGNATURE, png_chunk
from PIL import Image, PngImagePlugin

from hdcodec import HdcError, ImageError
from hdcodec.images import from_pil, load

EARLY = "the file ends early: what is missing of the picture is blank"


def stored(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def rows_alike(found: Image.Image, wanted: Image.Image) -> int:
    """How many rows from the top are as they should be."""
    gap = np.abs(np.asarray(found).astype(int) - np.asarray(wanted)).max(axis=(1, 2))
    return int(np.argmax(gap > 0)) if gap.any() else found.height


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"restart_marker_rows": 1}),
        ("PNG", {}),
        ("PNG", {"compress_level": 0}),
    ],
)
def test_a_file_that_ends_early_is_shown_as_far_as_it_goes(
    astronaut: Image.Image, kind: str, options: dict[str, object], share: float
) -> None:
    data = stored(astronaut, kind, **options)
    whole = load(io.BytesIO(data)).rgb
    with pytest.warns(UserWarning, match=f"^{EARLY}$"):
        picture = load(io.BytesIO(data[: int(len(data) * share)]))
    assert picture.rgb.size == astronaut.size
    assert rows_alike(picture.rgb, whole) > (share - 0.25) * astronaut.height


def test_a_progressive_jpeg_that_ends_early_is_coarse(astronaut: Image.Image) -> None:
    data = stored(astronaut, "JPEG", progressive=True)
    with pytest.warns(UserWarning, match=EARLY):
        picture = load(io.BytesIO(data[: len(data) // 2]))
    gap = np.abs(np.asarray(picture.rgb).astype(int) - np.asarray(astronaut))
    assert 1 < gap.mean() < 15


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_jpeg_without_its_last_bytes_is_whole(
    small_astronaut: Image.Image, mode: str, missing: int
) -> None:
    small_astronaut.info.clear()
    data = stored(small_astronaut.convert(mode), "JPEG")
    whole = load(io.BytesIO(data)).rgb
    with pytest.warns(UserWarning, match=EARLY):
        picture = load(io.BytesIO(data[:-missing]))
    assert rows_alike(picture.rgb, whole) >= 108


def test_a_picture_of_a_camera_that_ends_within_the_first_view(astronaut: Image.Image) -> None:
    views = [astronaut, astronaut.rotate(90)]
    data = stored(astronaut, "MPO", save_all=True, append_images=views[1:])
    with pytest.warns(UserWarning, match=EARLY):
        picture = load(io.BytesIO(data[: len(data) // 3]))
    assert rows_alike(picture.rgb, load(io.BytesIO(data)).rgb) > 256


def test_the_command_says_that_a_file_ends_early(
    hdc: Hdc, small_astronaut: Image.Image, tmp_path: Path
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(stored(small_astronaut, "JPEG")[:-2])
    run = hdc("compress", path)
    assert (run.code, run.err) == (0, f"hdc: warning: {EARLY}\n")


def test_a_transparent_png_that_ends_early_is_transparent_there(astronaut: Image.Image) -> None:
    data = stored(astronaut.convert("RGBA"))
    with pytest.warns(UserWarning, match=EARLY):
        picture = load(io.BytesIO(data[: len(data) // 2]))
    assert picture.alpha is not None
    assert picture.alpha.getpixel((0, 0)) == 255
    assert picture.alpha.getpixel((511, 511)) == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("more", [0, 40, 300])
def test_a_file_with_hardly_any_pixels_is_refused(
    astronaut: Image.Image, kind: str, more: int
) -> None:
    data = stored(astronaut, kind, optimize=True)
    start = data.index(b"IDAT" if kind == "PNG" else b"\xff\xda") + 4
    with pytest.raises(ImageError, match="the input cannot be read"):
        load(io.BytesIO(data[: start + more]))


def test_a_png_that_is_damaged_is_refused(astronaut: Image.Image) -> None:
    data = bytearray(stored(astronaut))
    data[len(data) // 3] ^= 0xFF
    for cut in (len(data), len(data) - 100):
        with pytest.raises(ImageError, match="the input cannot be read"):
            load(io.BytesIO(data[:cut]))


def test_an_interlaced_png_that_ends_early_is_refused() -> None:
    """Its rows are everywhere in the picture."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 1))
    noise = np.random.default_rng(3).integers(0, 256, 13_000, dtype=np.uint8).tobytes()
    raw = png_chunk(b"IDAT", zlib.compress(b"\0" + noise))
    with pytest.raises(ImageError):
        load(io.BytesIO(SIGNATURE + header + raw[:-6000]))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "BMP"])
def test_other_formats_that_end_early_are_refused(astronaut: Image.Image, kind: str) -> None:
    data = stored(astronaut, kind)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        with pytest.raises(HdcError, match="the input cannot be read"):
            load(io.BytesIO(data[: len(data) // 2]))


def test_an_image_of_pillow_that_ends_early_is_refused(astronaut: Image.Image) -> None:
    data = stored(astronaut, "JPEG")
    with Image.open(io.BytesIO(data[: len(data) // 2])) as image, pytest.raises(ImageError):
        from_pil(image)


def with_chunks(
    image: Image.Image, *chunks: bytes, after: bool = False, **options: object
) -> bytes:
    """A PNG with more chunks before its pixels, or after."""
    data = stored(image, **options)
    place = data.index(b"IEND" if after else b"IDAT") - 4
    return data[:place] + b"".join(chunks) + data[place:]


LONG = {
    "zTXt": png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 22))),
    "iTXt": png_chunk(b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(b"x" * (1 << 22))),
    "many": png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1_000_000))) * 70,
    "odd": png_chunk(b"zTXt", b"Comment\0\7" + b"what?"),
    "damaged": png_chunk(b"tEXt", b"Comment\0fine")[:-1] + b"?",
}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("name", LONG)
def test_long_or_odd_text_does_not_matter(
    small_astronaut: Image.Image, name: str, after: bool
) -> None:
    small_astronaut.putalpha(Image.linear_gradient("L").resize(small_astronaut.size))
    wanted = from_pil(small_astronaut)
    exif, xmp = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0", "<x>grüße</x>"
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp, zip=after)
    data = with_chunks(small_astronaut, LONG[name], after=after, exif=exif, pnginfo=info)
    picture = load(io.BytesIO(data))
    assert picture.rgb.tobytes() == wanted.rgb.tobytes()
    assert picture.alpha is not None and wanted.alpha is not None
    assert picture.alpha.tobytes() == wanted.alpha.tobytes()
    assert (picture.exif, picture.xmp) == (exif[6:], xmp.encode())


def test_a_long_profile_is_used(small_coffee: Image.Image) -> None:
    """One of 2 MiB, most of it a tag that no one knows."""
    from test_images import ADOBE, icc_profile

    profile = icc_profile(b"RGB ", 1.0, ADOBE)
    wanted = load(io.BytesIO(stored(small_coffee, icc_profile=profile)))
    longer = struct.pack(">I", len(profile) + (2 << 20)) + profile[4:] + bytes(2 << 20)
    picture = load(io.BytesIO(stored(small_coffee, icc_profile=longer)))
    assert picture.rgb.tobytes() == wanted.rgb.tobytes()
    assert picture.rgb.tobytes() != small_coffee.tobytes()


def test_no_message_names_a_constant_of_pillow(small_coffee: Image.Image) -> None:
    """Not even where the picture is damaged, too."""
    data = bytearray(with_chunks(small_coffee, LONG["zTXt"]))
    data[data.index(b"IDAT") + 4] ^= 0xFF
    with pytest.raises(ImageError) as caught:
        load(io.BytesIO(data))
    assert "MAX_TEXT" not in str(caught.value)
