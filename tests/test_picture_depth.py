"""Samples of more than 8 bits come in right, or their kind is named."""

import io
import struct
import zlib

import numpy as np
import pytest
from crafted import png_chunk, png_file
from PIL import Image

from hdcodec import ImageError
from hdcodec.images import from_pil, load

WIDTH, HEIGHT = 16, 8
RAMP = np.linspace(0, 65_535, WIDTH * HEIGHT).round().astype(np.uint16).reshape(HEIGHT, WIDTH)


def tiff(samples: np.ndarray, order: str = "<", planes: int = 1, **changes: int) -> io.BytesIO:
    """A TIFF of H x W or H x W x C samples, each plane or all of them in one strip; tags tNNN."""
    channels = samples.shape[2] if samples.ndim == 3 else 1
    bits, kind = samples.dtype.itemsize * 8, {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    data = samples.astype(samples.dtype.newbyteorder(order))
    strips = [data.tobytes()]
    if planes == 2:
        strips = [data[:, :, channel].tobytes() for channel in range(channels)]
    tags: dict[int, list[int]] = {256: [samples.shape[1]], 257: [samples.shape[0]], 258: [bits]}
    tags |= {258: [bits] * channels, 259: [1], 262: [2 if channels > 2 else 1], 277: [channels]}
    tags |= {278: [samples.shape[0]], 284: [planes], 339: [kind] * channels}
    tags[279] = [len(strip) for strip in strips]
    tags[273] = [8 + sum(tags[279][:number]) for number in range(len(strips))]
    tags |= {int(name[1:]): [value] for name, value in changes.items()}
    body, extra = b"".join(strips), b""
    start = 8 + len(body) + 2 + 12 * len(tags) + 4
    table = b""
    for tag, values in sorted(tags.items()):
        form, packed = (4, struct.pack(order + f"{len(values)}I", *values))
        if len(packed) > 4:
            place, extra = struct.pack(order + "I", start + len(extra)), extra + packed
        else:
            place = packed
        table += struct.pack(order + "HHI", tag, form, len(values)) + place
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(body))
    directory = struct.pack(order + "H", len(tags)) + table + bytes(4)
    return io.BytesIO(head + body + directory + extra)


def shown(source: io.BytesIO, channel: int = 0) -> np.ndarray:
    return np.asarray(load(source).rgb)[:, :, channel].astype(int)


WANTED = np.floor(RAMP / 257 + 0.5).astype(int)


def test_the_tiffs_made_here_are_tiffs() -> None:
    assert np.array_equal(shown(tiff(RAMP)), WANTED)
    assert np.array_equal(shown(tiff(RAMP, ">")), WANTED)
    assert np.array_equal(shown(tiff((RAMP >> 8).astype(np.uint8), t262=0)), 255 - (RAMP >> 8))


def test_16_bits_where_0_is_white() -> None:
    assert np.array_equal(shown(tiff(65_535 - RAMP, t262=0)), WANTED)


@pytest.mark.parametrize("order", ["<", ">"])
def test_floats_where_0_is_white(order: str) -> None:
    values = (1 - RAMP / 65_535).astype(np.float32)
    assert np.abs(shown(tiff(values, order, t262=0)) - WANTED).max() <= 1


def test_16_bits_where_0_is_white_in_a_big_endian_file_is_named() -> None:
    with pytest.raises(ImageError, match="cannot be read: it is a TIFF of gray, 1 x 16 bits"):
        load(tiff(RAMP, ">", t262=0))


def test_12_bits() -> None:
    values = (RAMP >> 4).reshape(-1, 2).astype(int)
    packed = np.stack(
        [values[:, 0] >> 4, (values[:, 0] & 15) << 4 | values[:, 1] >> 8, values[:, 1] & 255], 1
    )
    samples = packed.astype(np.uint8).reshape(HEIGHT, -1)
    found = shown(tiff(samples, t256=WIDTH, t258=12))
    assert np.abs(found - WANTED).max() <= 1


def colours(channels: int) -> np.ndarray:
    return np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1], RAMP[::-1, ::-1] | 1][:channels], axis=2)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planes", [1, 2])
def test_16_bit_rgb_in_one_or_in_separate_planes(order: str, planes: int) -> None:
    samples = colours(3)
    picture = load(tiff(samples, order, planes))
    assert np.abs(np.asarray(picture.rgb).astype(int) - samples / 257).max() <= 1


def test_16_bit_rgb_with_alpha_in_separate_planes() -> None:
    samples = colours(4)
    picture = load(tiff(samples, "<", 2, t338=2))
    assert picture.alpha is not None
    assert np.abs(np.asarray(picture.alpha).astype(int) - samples[:, :, 3] / 257).max() <= 1
    with Image.open(tiff(colours(3), ">", 2)) as image:
        assert np.abs(np.asarray(from_pil(image).rgb) - colours(3) / 257).max() <= 1


def test_16_bit_cmyk_in_separate_planes_is_named() -> None:
    with pytest.raises(ImageError, match="16-bit CMYK in separate planes"):
        load(tiff(colours(4), "<", 2, t262=5))


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ((RAMP / 2).astype(np.float16), "gray, 1 x 16 bits, floating point"),
        (RAMP.astype(np.float64), "gray, 1 x 64 bits, floating point"),
        (RAMP.astype(np.uint64), "gray, 1 x 64 bits, unsigned"),
        (np.dstack([RAMP] * 5), "RGB, 5 x 16 bits, unsigned"),
        (colours(3).astype(np.float32), "RGB, 3 x 32 bits, floating point"),
    ],
)
def test_the_kind_of_a_tiff_that_is_not_read_is_named(samples: np.ndarray, words: str) -> None:
    with pytest.raises(ImageError) as caught:
        load(tiff(samples))
    assert str(caught.value) == (
        f"the input cannot be read: it is a TIFF of {words}; convert it to gray or RGB of 16 bits"
    )


def png(samples: np.ndarray, key: bytes) -> io.BytesIO:
    """A 16-bit RGB PNG with a transparent colour."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, 2, 0, 0, 0)
    chunks = png_chunk(b"tRNS", key), png_chunk(b"IDAT", zlib.compress(rows))
    return io.BytesIO(png_file(header, *chunks))


KEYS = [(0x1234, 0x5678, 0x9ABC), (0, 0, 200), (3, 3, 3), (0xFFFF, 0xFFFF, 0xFFFF)]


@pytest.mark.parametrize("key", KEYS)
def test_a_transparent_colour_of_16_bits_is_compared_in_all_of_them(key: tuple[int, ...]) -> None:
    samples = np.zeros((4, 4, 3), np.uint16) + np.array(key, np.uint16)
    samples[1, 1] ^= 1
    samples[2, 2, 0] ^= 0x80
    samples[3, 3, 2] ^= 0x100
    for picture in (load(png(samples, struct.pack(">3H", *key))), opened(samples, key)):
        assert picture.alpha is not None
        seen = np.asarray(picture.alpha) == 255
        assert np.array_equal(np.argwhere(seen), [[1, 1], [2, 2], [3, 3]])


def opened(samples: np.ndarray, key: tuple[int, ...]):  # type: ignore[no-untyped-def]
    with Image.open(png(samples, struct.pack(">3H", *key))) as image:
        return from_pil(image)


def test_a_transparent_colour_of_16_bits_of_which_8_are_left_is_refused() -> None:
    with Image.open(png(colours(3), struct.pack(">3H", *KEYS[0]))) as image:
        image.load()
        with pytest.raises(ImageError, match="transparent colour of 16 bits"):
            from_pil(image)
