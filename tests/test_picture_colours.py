"""What the chunks of a PNG say of its colours counts, in the order of the PNG specification."""

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from crafted import png_chunk
from PIL import Image, ImageCms

from hdcodec.images import from_pil, load

SRGB_POINTS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3_POINTS = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


def gama(value: int) -> bytes:
    return png_chunk(b"gAMA", struct.pack(">I", value))


def chrm(points: tuple[int, ...]) -> bytes:
    return png_chunk(b"cHRM", struct.pack(">8I", *points))


def cicp(*codes: int) -> bytes:
    return png_chunk(b"cICP", bytes(codes))


def iccp(profile: bytes) -> bytes:
    return png_chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))


SRGB = png_chunk(b"sRGB", b"\0")
SRGB_ICC = iccp(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


def png(image: Image.Image, *chunks: bytes) -> io.BytesIO:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    data = buffer.getvalue()
    return io.BytesIO(data[:33] + b"".join(chunks) + data[33:])


def shown(colour: tuple[int, int, int], *chunks: bytes) -> tuple[int, ...]:
    return load(png(Image.new("RGB", (5, 4), colour), *chunks)).rgb.getpixel((2, 2))  # type: ignore


def encoded(linear: float) -> float:
    """Linear 0..1 to sRGB 0..255."""
    return 255 * (12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize(
    ("exponent", "value"), [(1.0, 100_000), (1.8, 55_556), (2.2, 45_455), (2.6, 38_462)]
)
@pytest.mark.parametrize("level", [40, 127, 220])
def test_gamma(exponent: float, value: int, level: int) -> None:
    wanted = encoded((level / 255) ** exponent)
    found = shown((level,) * 3, gama(value))
    if exponent == 2.2:
        assert found == (level,) * 3  # how sRGB was written before it had a chunk
    else:
        assert np.abs(np.array(found) - wanted).max() <= 2


def test_mid_gray_of_gamma_1_is_light() -> None:
    assert shown((127, 127, 127), gama(100_000)) == pytest.approx((187, 187, 187), abs=1)


def test_a_gray_png_has_its_gamma_and_stays_gray() -> None:
    picture = load(png(Image.new("L", (5, 4), 127), gama(100_000)))
    assert picture.gray
    assert picture.rgb.getpixel((0, 0)) == pytest.approx((187, 187, 187), abs=1)


@pytest.mark.parametrize("chunks", [[cicp(12, 13, 0, 1)], [chrm(P3_POINTS), gama(45_455)]])
def test_red_of_p3_is_more_than_red(chunks: list[bytes]) -> None:
    red, green, blue = shown((220, 30, 30), *chunks)
    assert 236 <= red <= 244
    assert max(green, blue) <= 10


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ((1, 13, 0, 1), lambda level: level),
        ((1, 8, 0, 1), lambda level: encoded(level / 255)),
        ((1, 4, 0, 1), lambda level: encoded((level / 255) ** 2.2)),
        ((9, 1, 0, 1), lambda level: encoded(((level / 255 + 0.099) / 1.099) ** (1 / 0.45))),
        ((6, 13, 0, 1), lambda level: level),
    ],
)
def test_gray_keeps_to_its_curve_in_all_primaries(
    code: tuple[int, ...], wanted: Callable[[float], float]
) -> None:
    for level in (60, 128, 230):
        assert shown((level,) * 3, cicp(*code)) == pytest.approx((wanted(level),) * 3, abs=2)


def test_green_of_bt2020_leaves_srgb() -> None:
    assert shown((0, 255, 0), cicp(9, 13, 0, 1)) == pytest.approx((0, 255, 0), abs=3)
    red, green, blue = shown((120, 200, 120), cicp(9, 13, 0, 1))
    assert green > 204 and red < 100 and blue < 120


@pytest.mark.parametrize(
    ("chunks", "wanted"),
    [
        ([cicp(1, 13, 0, 1), gama(100_000)], 127),
        ([cicp(1, 8, 0, 1), SRGB_ICC], 187),
        ([cicp(1, 8, 0, 1), SRGB, gama(45_455)], 187),
        ([SRGB_ICC, gama(100_000)], 127),
        ([SRGB, gama(100_000), chrm(P3_POINTS)], 127),
        ([gama(45_455), chrm(SRGB_POINTS)], 127),
        ([chrm(P3_POINTS)], 127),
        ([], 127),
    ],
)
def test_which_chunk_counts(chunks: list[bytes], wanted: int) -> None:
    assert shown((127, 127, 127), *chunks) == pytest.approx((wanted,) * 3, abs=1)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ((9, 16, 0, 1), r"9-16-0-1 \(PQ\)"),
        ((9, 18, 0, 1), r"9-18-0-1 \(HLG\)"),
        ((1, 13, 1, 1), "1-13-1-1"),
        ((1, 13, 0, 0), "1-13-0-0"),
        ((200, 13, 0, 1), "200-13-0-1"),
        ((1, 13), "1-13"),
        ((), ""),
    ],
)
def test_a_code_that_is_not_known_is_ignored_with_a_warning(
    code: tuple[int, ...], words: str
) -> None:
    with pytest.warns(UserWarning, match=f"the colour code {words}.* is ignored"):
        assert shown((127, 9, 200), cicp(*code)) == (127, 9, 200)


@pytest.mark.parametrize(
    "chunks",
    [
        [gama(1)],
        [gama(100_000), chrm((0,) * 8)],
        [gama(100_000), chrm((31270, 32900) * 4)],
        [gama(100_000), chrm((2**32 - 1,) * 8)],
    ],
)
def test_impossible_numbers_are_ignored_with_a_warning(chunks: list[bytes]) -> None:
    with pytest.warns(UserWarning, match="the colour profile is ignored"):
        assert shown((127, 9, 200), *chunks) == (127, 9, 200)
    assert shown((127, 9, 200), gama(0)) == (127, 9, 200)


def test_an_image_that_pillow_opened_has_its_colours_too() -> None:
    with Image.open(png(Image.new("RGB", (5, 4), (220, 30, 30)), cicp(12, 13, 0, 1))) as image:
        assert from_pil(image).rgb.getpixel((2, 2)) == pytest.approx((241, 0, 0), abs=5)
    with Image.open(png(Image.new("RGB", (5, 4), (127, 127, 127)), gama(100_000))) as image:
        image.load()
        assert from_pil(image).rgb.getpixel((2, 2)) == pytest.approx((187,) * 3, abs=1)


def test_threads_that_overlap_leave_no_traces() -> None:
    """Neither in the filters of warnings nor in the settings of Pillow."""
    from PIL import ImageFile, PngImagePlugin

    long = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 22)))
    image = Image.effect_noise((64, 64), 50).convert("RGB")
    files = [
        png(image, gama(100_000)).getvalue(),
        png(image, long).getvalue(),
        png(image, cicp(9, 16, 0, 1)).getvalue(),
        png(image).getvalue()[:-300],
    ]

    def state() -> list[object]:
        values: list[object] = [list(warnings.filters), warnings.showwarning]
        for module in (Image, ImageFile, PngImagePlugin):
            values += [value for name, value in vars(module).items() if name.isupper()]
        return [repr(value) for value in values]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, seen = state(), []

        def work(start: int) -> None:
            for number in range(25):
                load(io.BytesIO(files[(start + number) % len(files)]))
                seen.append(state() == before)

        threads = [threading.Thread(target=work, args=(start,)) for start in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 200
        assert all(seen)
