"""Pictures of every kind come in as a viewer shows them, and go out whole or not at all."""

import io
import os
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from crafted import png_chunk, png_file
from headers import header
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import ExifTags, Image, ImageCms, TiffImagePlugin

from hdcodec import CorruptError, HdcError, ImageError, OutputError, TooLargeError
from hdcodec.format import pack, unpack
from hdcodec.images import (
    Picture,
    attach,
    decode_alpha,
    detach,
    encode_alpha,
    flatten,
    from_pil,
    load,
    save,
    to_pil,
)

# What Pillow warns of on odd files is left to the program.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:::PIL.{module}")
    for module in ("Image", "IcoImagePlugin", "TiffImagePlugin")
]


def stored(image: Image.Image, kind: str = "PNG", **options: object) -> io.BytesIO:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    buffer.seek(0)
    return buffer


def feed(descriptor: int, data: bytes) -> None:
    with open(descriptor, "wb") as stream:
        stream.write(data)


def pixels(image: Image.Image | None) -> np.ndarray:
    assert image is not None
    return np.asarray(image).astype(int)


def ramp(dtype: type, top: float) -> np.ndarray:
    """16 x 256 values from 0 to `top`, left to right."""
    return np.tile(np.linspace(0, top, 256).round(4).astype(dtype), (16, 1))


RAMP = ramp(np.uint8, 255)


def test_rgb_passes_unchanged(astronaut: Image.Image) -> None:
    picture = load(stored(astronaut))
    assert picture.rgb.mode == "RGB"
    assert np.array_equal(pixels(picture.rgb), pixels(astronaut))
    assert (picture.alpha, picture.gray, picture.exif, picture.xmp) == (None, False, None, None)
    assert np.array_equal(pixels(to_pil(picture)), pixels(astronaut))


def test_a_path_and_a_stream_and_a_pipe_give_the_same(
    astronaut: Image.Image, tmp_path: Path
) -> None:
    data = stored(astronaut.reduce(8)).getvalue()
    path = tmp_path / "in.png"
    path.write_bytes(data)
    reading, writing = os.pipe()
    with open(reading, "rb") as pipe_out:
        feeder = threading.Thread(target=feed, args=(writing, data))
        feeder.start()
        piped = load(pipe_out)
        feeder.join()
    for picture in (load(str(path)), load(path), load(io.BytesIO(data)), piped):
        assert np.array_equal(pixels(picture.rgb), pixels(astronaut.reduce(8)))


@pytest.mark.parametrize("mode", ["1", "L"])
def test_gray_stays_gray(small_astronaut: Image.Image, mode: str) -> None:
    gray = small_astronaut.convert(mode)
    picture = load(stored(gray))
    assert picture.gray
    assert np.array_equal(pixels(picture.rgb), pixels(gray.convert("RGB")))
    assert to_pil(picture).mode == "L"
    assert np.array_equal(pixels(to_pil(picture)), pixels(gray.convert("L")))


def test_palette(small_astronaut: Image.Image) -> None:
    indexed = small_astronaut.quantize(64)
    picture = load(stored(indexed))
    assert not picture.gray
    assert picture.alpha is None
    assert np.array_equal(pixels(picture.rgb), pixels(indexed.convert("RGB")))


@pytest.mark.parametrize("transparency", [3, bytes(range(0, 256, 4))])
def test_palette_with_transparency(small_astronaut: Image.Image, transparency: int | bytes) -> None:
    indexed = small_astronaut.quantize(64)
    picture = load(stored(indexed, transparency=transparency))
    index = pixels(indexed)
    table = np.full(256, 255)
    if isinstance(transparency, int):
        table[transparency] = 0
    else:
        table[: len(transparency)] = list(transparency)
    assert np.array_equal(pixels(picture.alpha), table[index])
    seen = table[index] > 0
    assert np.array_equal(pixels(picture.rgb)[seen], pixels(indexed.convert("RGB"))[seen])


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_kept(small_astronaut: Image.Image, mode: str) -> None:
    image = small_astronaut.convert(mode)
    alpha = Image.linear_gradient("L").resize(image.size)
    image.putalpha(alpha)
    picture = load(stored(image))
    assert np.array_equal(pixels(picture.alpha), pixels(alpha))
    assert picture.gray == (mode == "LA")
    assert to_pil(picture).mode == mode
    assert np.array_equal(pixels(to_pil(picture)), pixels(image))


@pytest.mark.parametrize(("premultiplied", "straight"), [("La", "LA"), ("RGBa", "RGBA")])
def test_premultiplied_alpha(
    small_astronaut: Image.Image, premultiplied: str, straight: str
) -> None:
    image = small_astronaut.convert(straight)
    image.putalpha(128)
    picture = from_pil(image.convert(premultiplied))
    assert np.all(pixels(picture.alpha) == 128)
    assert np.abs(pixels(picture.rgb) - pixels(image.convert(straight).convert("RGB"))).max() <= 2


def test_alpha_that_is_opaque_everywhere_is_dropped(small_astronaut: Image.Image) -> None:
    assert load(stored(small_astronaut.convert("RGBA"))).alpha is None
    assert load(stored(small_astronaut.convert("LA"))).alpha is None


@pytest.mark.parametrize(("mode", "key"), [("L", 7), ("RGB", (0, 0, 0))])
def test_a_transparent_colour(mode: str, key: int | tuple[int, int, int]) -> None:
    image = Image.fromarray(RAMP).convert(mode)
    picture = load(stored(image, transparency=key))
    hidden = np.equal(RAMP, key if isinstance(key, int) else key[0])
    assert np.array_equal(pixels(picture.alpha) == 0, hidden)
    assert np.array_equal(pixels(picture.alpha) == 255, ~hidden)


def test_16_bit_png_is_scaled_not_clipped() -> None:
    values = ramp(np.uint16, 65_535)
    picture = load(stored(Image.fromarray(values)))
    assert picture.gray
    assert np.array_equal(pixels(picture.rgb.getchannel(0)), np.floor(values / 257 + 0.5))


def test_a_dark_16_bit_png_stays_dark() -> None:
    picture = load(stored(Image.fromarray(ramp(np.uint16, 200))))
    assert pixels(picture.rgb).max() == 1


def test_16_bit_png_with_a_transparent_value() -> None:
    values = ramp(np.uint16, 65_535)
    picture = load(stored(Image.fromarray(values), transparency=257 * 9))
    assert np.array_equal(pixels(picture.alpha) == 0, values == 257 * 9)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bit_tiff_of_both_byte_orders(order: str) -> None:
    values = ramp(np.uint16, 65_535)
    data = values.astype(order).tobytes()
    mode = "I;16" if order == "<u2" else "I;16B"
    picture = load(stored(Image.frombytes(mode, (256, 16), data), "TIFF"))
    assert np.array_equal(pixels(picture.rgb.getchannel(1)), np.floor(values / 257 + 0.5))


def test_16_bit_rgb_png_is_scaled() -> None:
    rows = [b"\0" + struct.pack(">768H", *np.repeat(row, 3)) for row in ramp(np.uint16, 65_535)]
    picture = load(
        io.BytesIO(png(struct.pack(">IIBBBBB", 256, 16, 16, 2, 0, 0, 0), b"".join(rows)))
    )
    assert not picture.gray
    assert np.abs(pixels(picture.rgb) - RAMP[..., None]).max() <= 1


@pytest.mark.parametrize("top", [255, 65_535, 2**31 - 1])
def test_integers_are_scaled_to_their_white(top: int) -> None:
    picture = from_pil(Image.fromarray(ramp(np.int32, top)))
    assert picture.gray
    assert np.abs(pixels(picture.rgb.getchannel(2)) - RAMP).max() <= 1


@pytest.mark.parametrize("top", [1, 255, 65_535, 1e9])
def test_floats_are_scaled_to_their_white(top: float) -> None:
    picture = load(stored(Image.fromarray(ramp(np.float32, top)), "TIFF"))
    assert picture.gray
    assert np.abs(pixels(picture.rgb.getchannel(0)) - RAMP).max() <= 1


def test_floats_outside_the_scale_are_clipped_and_not_a_number_is_black() -> None:
    values = np.array([[np.nan, -np.inf, -5.0, 0.0, 0.5, 1.0, np.inf]], np.float32)
    assert pixels(from_pil(Image.fromarray(values)).rgb)[0, :, 0].tolist() == [
        0, 0, 0, 0, 128, 255, 255,
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(small_astronaut: Image.Image, kind: str) -> None:
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    small_astronaut.info.clear()
    picture = load(stored(small_astronaut.convert("CMYK"), kind, **options))
    assert not picture.gray
    assert np.abs(pixels(picture.rgb) - pixels(small_astronaut)).mean() < 4


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB", "RGBX"])
def test_other_colour_modes(small_astronaut: Image.Image, mode: str) -> None:
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(small_astronaut, *profiles, outputMode="LAB")
        assert image is not None
    else:
        image = small_astronaut.convert(mode)
    picture = from_pil(image)
    assert np.abs(pixels(picture.rgb) - pixels(small_astronaut)).mean() < 4


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "F", "I;16"])
def test_one_pixel(mode: str) -> None:
    picture = from_pil(Image.new(mode, (1, 1)))
    assert picture.rgb.size == (1, 1)
    assert pixels(picture.rgb).max() == (255 if mode == "CMYK" else 0)


def test_from_pil_leaves_the_image_alone(small_astronaut: Image.Image) -> None:
    image = Image.open(stored(small_astronaut, "JPEG", exif=exif_with(6)))
    image.load()
    before = image.tobytes(), dict(image.info)
    picture = from_pil(image)
    assert (image.tobytes(), dict(image.info)) == before
    assert image.getexif()[ExifTags.Base.Orientation] == 6
    picture.rgb.paste((1, 2, 3), (0, 0, 9, 9))
    assert image.tobytes() == before[0]


def test_the_first_frame_of_an_animation_is_taken(small_astronaut: Image.Image) -> None:
    frames = [small_astronaut.quantize(64), small_astronaut.rotate(90).quantize(64)]
    with pytest.warns(UserWarning, match="the first of 2 frames"):
        picture = load(stored(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert np.array_equal(pixels(picture.rgb), pixels(frames[0].convert("RGB")))


def exif_with(orientation: int | None) -> bytes:
    exif = Image.Exif()
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "Maker"
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.ISOSpeedRatings: 400}
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    return exif.tobytes()


def parsed(exif: bytes | None) -> Image.Exif:
    assert exif is not None
    assert exif[:2] in (b"II", b"MM")
    result = Image.Exif()
    result.load(exif)
    return result


UPRIGHT = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
# How each orientation stores the upright picture, by the EXIF standard: which side of the picture
# the first row and the first column are.
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,  # top, left
    2: lambda a: a[:, ::-1],  # top, right
    3: lambda a: a[::-1, ::-1],  # bottom, right
    4: lambda a: a[::-1],  # bottom, left
    5: lambda a: a.T,  # left, top
    6: lambda a: a.T[::-1],  # right, top
    7: lambda a: a[::-1, ::-1].T,  # right, bottom
    8: lambda a: a.T[:, ::-1],  # left, bottom
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_reset(orientation: int, kind: str) -> None:
    image = Image.fromarray(np.ascontiguousarray(STORED[orientation](UPRIGHT))).convert("RGBA")
    image.putalpha(image.getchannel(0).point([255 - value for value in range(256)]))
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    picture = load(stored(image, kind, exif=exif_with(orientation), **options))
    assert np.array_equal(pixels(picture.rgb.getchannel(0)), UPRIGHT)
    assert np.array_equal(pixels(picture.alpha), 255 - UPRIGHT)
    exif = parsed(picture.exif)
    assert exif.get(ExifTags.Base.Orientation, 1) == 1
    assert exif[ExifTags.Base.Make] == "Maker"
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] == 400
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"


@pytest.mark.parametrize("orientation", [None, 1])
def test_exif_of_an_upright_picture_is_kept_byte_for_byte(
    small_astronaut: Image.Image, orientation: int | None
) -> None:
    exif = exif_with(orientation)
    picture = load(stored(small_astronaut, "JPEG", exif=exif))
    assert picture.exif == exif.removeprefix(b"Exif\0\0")


def test_an_orientation_in_xmp_is_applied_and_reset() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    image = Image.fromarray(np.repeat(UPRIGHT[..., None], 3, 2))
    image.info["xmp"] = xmp
    picture = from_pil(image)
    assert np.array_equal(pixels(picture.rgb.getchannel(0)), UPRIGHT[::-1, ::-1])
    assert picture.xmp == xmp.replace(b'"3"', b'"1"')


def test_an_orientation_that_does_not_exist_is_ignored(small_astronaut: Image.Image) -> None:
    picture = load(stored(small_astronaut, exif=exif_with(9)))
    assert np.array_equal(pixels(picture.rgb), pixels(small_astronaut))


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff"])
def test_broken_exif_does_not_lose_the_picture(small_astronaut: Image.Image, exif: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture = load(stored(small_astronaut, exif=exif))
    assert np.array_equal(pixels(picture.rgb), pixels(small_astronaut))


def test_exif_that_cannot_be_read_is_left_out_with_a_warning(small_astronaut: Image.Image) -> None:
    with pytest.warns(UserWarning, match="EXIF"):
        picture = load(stored(small_astronaut, exif=b"Exif\0\0nonsense"))
    assert picture.exif is None


def icc_profile(space: bytes, curve: float, colorants: np.ndarray | None = None) -> bytes:
    """A matrix profile (RGB) or a gray one, version 2, with one gamma for all channels."""

    def xyz(value: np.ndarray) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65_536) for v in value))

    gamma = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(curve * 256)) + b"\0\0"
    name = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78)
    tags = {b"desc": name + bytes(-len(name) % 4), b"wtpt": xyz(D50)}
    if colorants is None:
        tags[b"kTRC"] = gamma
    else:
        for letter, column in zip((b"r", b"g", b"b"), colorants.T, strict=True):
            tags[letter + b"XYZ"], tags[letter + b"TRC"] = xyz(column), gamma
    table, content = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for tag, body in tags.items():
        table += tag + struct.pack(">II", start + len(content), len(body))
        content += body
    header = struct.pack(
        ">I4sI4s4s4s12s4s28s3i48x", start + len(content), b"", 0x02100000, b"mntr", space,
        b"XYZ ", b"", b"acsp", b"", *(round(v * 65_536) for v in D50),
    )  # fmt: skip
    return header + table + content


D50 = np.array([0.9642, 1.0, 0.8249])
# Colorants adapted to D50, from the published profiles.
ADOBE = np.array(
    [[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]]
)
SRGB = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
)


def encoded(linear: np.ndarray) -> np.ndarray:
    """Linear 0..1 to sRGB 0..255."""
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_a_wide_profile_is_converted_to_srgb(small_coffee: Image.Image, kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    profile = icc_profile(b"RGB ", 2.2, ADOBE)
    picture = load(stored(small_coffee, kind, icc_profile=profile, **options))
    linear = (pixels(small_coffee) / 255) ** 2.2
    expected = encoded(linear @ (np.linalg.inv(SRGB) @ ADOBE).T)
    assert np.abs(pixels(small_coffee) - expected).max() > 20
    assert np.abs(pixels(picture.rgb) - expected).max() <= 3
    assert "icc_profile" not in to_pil(picture).info


def test_an_srgb_profile_changes_nothing_visible(small_coffee: Image.Image) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = load(stored(small_coffee, icc_profile=profile))
    assert np.abs(pixels(picture.rgb) - pixels(small_coffee)).max() <= 1


@pytest.mark.parametrize("deep", [False, True])
def test_a_gray_profile_is_converted_and_gray_stays_gray(deep: bool) -> None:
    image = Image.fromarray(ramp(np.uint16, 65_535) if deep else RAMP)
    picture = load(stored(image, icc_profile=icc_profile(b"GRAY", 1.0)))
    assert picture.gray
    assert len(set(map(bytes, (picture.rgb.getchannel(c).tobytes() for c in range(3))))) == 1
    assert np.abs(pixels(to_pil(picture)) - encoded(RAMP / 255)).max() <= 2


def test_gray_in_an_rgb_profile() -> None:
    profile = icc_profile(b"RGB ", 1.0, ADOBE)
    picture = load(stored(Image.fromarray(RAMP), icc_profile=profile))
    assert picture.gray
    assert np.abs(pixels(to_pil(picture)) - encoded(RAMP / 255)).max() <= 2


def test_alpha_does_not_pass_through_the_profile(small_coffee: Image.Image) -> None:
    image = small_coffee.convert("RGBA")
    alpha = Image.linear_gradient("L").resize(image.size)
    image.putalpha(alpha)
    picture = load(stored(image, icc_profile=icc_profile(b"RGB ", 2.2, ADOBE)))
    assert np.array_equal(pixels(picture.alpha), pixels(alpha))


@pytest.mark.parametrize("profile", [b"nonsense" * 30, icc_profile(b"GRAY", 1.0)])
def test_a_profile_that_cannot_be_used_is_ignored_with_a_warning(
    small_coffee: Image.Image, profile: bytes
) -> None:
    with pytest.warns(UserWarning, match="profile"):
        picture = load(stored(small_coffee, icc_profile=profile))
    assert np.array_equal(pixels(picture.rgb), pixels(small_coffee))


def png(header: bytes, raw: bytes = b"") -> bytes:
    return png_file(header, png_chunk(b"IDAT", zlib.compress(raw)))


@pytest.mark.parametrize(
    ("size", "words"), [((20_000, 20_000), "too large"), ((70_000, 1), "65535")]
)
def test_a_bomb_is_refused_before_it_is_decoded(size: tuple[int, int], words: str) -> None:
    bomb = png(struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
    with pytest.raises(TooLargeError, match=words):
        load(io.BytesIO(bomb))


def test_a_large_but_allowed_picture_is_read(
    small_astronaut: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 128 * 128 - 1)
    assert load(stored(small_astronaut)).rgb.size == (128, 128)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 128 * 128 // 2 - 1)
    with pytest.raises(TooLargeError):
        load(stored(small_astronaut))


@pytest.mark.parametrize(
    ("kind", "share"),
    [(kind, 0.02) for kind in ("PNG", "JPEG")]
    + [(kind, share) for kind in ("WEBP", "TIFF", "GIF", "BMP") for share in (0.02, 0.5, 0.9)],
)
def test_a_truncated_file_is_refused(small_astronaut: Image.Image, kind: str, share: float) -> None:
    data = stored(small_astronaut, kind).getvalue()
    with pytest.raises(ImageError, match="the input") as caught:
        load(io.BytesIO(data[: int(len(data) * share)]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"no image at all", b"\xabH\x17\x02" + bytes(30)])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match="not an image"):
        load(io.BytesIO(data))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"missing\.png.*No such file"):
        load(tmp_path / "missing.png")
    with pytest.raises(ImageError, match="cannot be read"):
        load(tmp_path)


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(ImageError, match="empty"):
        from_pil(Image.new("RGB", (0, 5)))


PHOTO = stored(Image.radial_gradient("L").resize((40, 30)).convert("RGB"), "JPEG").getvalue()


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, len(PHOTO) - 1), value=st.integers(0, 255))
def test_a_damaged_jpeg_is_a_picture_or_an_error(place: int, value: int) -> None:
    damaged = bytearray(PHOTO)
    damaged[place] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            assert load(io.BytesIO(damaged)).rgb.mode == "RGB"
        except HdcError as error:
            assert "\n" not in str(error)


@given(
    alpha=arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20))),
    binary=st.booleans(),
)
def test_alpha_comes_back_exactly(alpha: np.ndarray, binary: bool) -> None:
    values = np.where(alpha > 127, 255, 0).astype(np.uint8) if binary else alpha
    image = Image.fromarray(values)
    data = encode_alpha(image)
    assert np.array_equal(pixels(decode_alpha(data, image.size)), values)
    assert not binary or Image.open(io.BytesIO(data)).mode == "1"


def test_alpha_of_another_size_or_kind_is_corrupt() -> None:
    data = encode_alpha(Image.new("L", (4, 3), 9))
    for png_data, size in ((data, (3, 4)), (data[:-30], (4, 3)), (b"x", (4, 3))):
        with pytest.raises(CorruptError, match="alpha"):
            decode_alpha(png_data, size)
    with pytest.raises(CorruptError, match="alpha"):
        decode_alpha(stored(Image.new("RGB", (4, 3))).getvalue(), (4, 3))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("keep", [False, True])
def test_what_is_detached_can_be_attached(
    small_astronaut: Image.Image, mode: str, keep: bool
) -> None:
    image = small_astronaut.convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.info = {"exif": exif_with(1), "xmp": b"<x/>", "icc_profile": b""}
    picture = from_pil(image)
    chunks = detach(picture, keep)
    assert unpack(pack(header(128, 128, 0, 0), b"", chunks)).chunks == chunks
    again = attach(picture.rgb, chunks)
    assert again.mode == mode
    assert np.array_equal(pixels(again), pixels(image))
    kept = {"exif": exif_with(1), "xmp": b"<x/>"}
    assert again.info == (kept if keep else {})


def test_flatten_lays_the_picture_over_a_colour() -> None:
    rgb = Image.new("RGB", (3, 1), (100, 100, 100))
    alpha = Image.fromarray(np.array([[0, 128, 255]], np.uint8))
    picture = Picture(rgb, alpha, gray=True, exif=b"II*\0", xmp=b"<x/>")
    white = flatten(picture)
    assert white.alpha is None
    assert white.gray
    assert pixels(white.rgb)[0, :, 0].tolist() == [255, 177, 100]
    assert (white.exif, white.xmp) == (b"II*\0", b"<x/>")
    red = flatten(picture, (255, 0, 0))
    assert not red.gray
    assert pixels(red.rgb)[0, 0].tolist() == [255, 0, 0]
    assert flatten(white) is white


@pytest.mark.parametrize("name", ["out.png", "out.PNG", "out", "out.tiff", "out.webp", "out.jpg"])
def test_the_name_decides_the_format(
    small_astronaut: Image.Image, tmp_path: Path, name: str
) -> None:
    save(small_astronaut, tmp_path / name)
    kinds = {"": "PNG", ".tiff": "TIFF", ".webp": "WEBP", ".jpg": "JPEG"}
    with Image.open(tmp_path / name) as written:
        assert written.format == kinds.get(Path(name).suffix, "PNG")
        assert np.abs(pixels(written.convert("RGB")) - pixels(small_astronaut)).mean() < 3
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(("format", "kind"), [(None, "PNG"), ("webp", "WEBP"), (".jpg", "JPEG")])
def test_a_stream_gets_a_png_unless_told_otherwise(
    small_astronaut: Image.Image, format: str | None, kind: str
) -> None:
    buffer = io.BytesIO()
    save(small_astronaut, buffer, format)
    assert Image.open(buffer).format == kind


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "TGA", "JPEG2000", "QOI", "SGI"])
def test_every_picture_survives_a_lossless_format(
    small_astronaut: Image.Image, mode: str, kind: str
) -> None:
    if kind not in Image.SAVE:
        pytest.skip(f"this Pillow writes no {kind}")
    image = small_astronaut.convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    buffer = io.BytesIO()
    save(image, buffer, kind)
    assert np.array_equal(pixels(Image.open(buffer).convert(mode)), pixels(image))


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".ppm", ".gif"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_is_never_lost_in_silence(tmp_path: Path, suffix: str, mode: str) -> None:
    with pytest.raises(OutputError, match="transparency"):
        save(Image.new(mode, (4, 4)), tmp_path / f"out{suffix}")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["out.xyz", "out.pdf.gz"])
def test_an_unknown_format_is_refused(
    small_astronaut: Image.Image, tmp_path: Path, name: str
) -> None:
    with pytest.raises(OutputError, match="no picture format"):
        save(small_astronaut, tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_an_existing_picture_is_kept_unless_forced(
    small_astronaut: Image.Image, tmp_path: Path
) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists"):
        save(small_astronaut, target)
    assert target.read_bytes() == b"old"
    save(small_astronaut, target, force=True)
    assert load(target).rgb.size == (128, 128)


def test_a_picture_too_large_for_the_format_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="WEBP"):
        save(Image.new("RGB", (16_400, 1)), tmp_path / "out.webp")
    assert os.listdir(tmp_path) == []


def test_a_stream_that_cannot_take_the_picture_says_so(small_astronaut: Image.Image) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = open(writing, "wb", buffering=0)  # noqa: SIM115
    with stream, pytest.raises(OutputError, match="reader has gone"):
        save(small_astronaut, stream)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_metadata_is_written_along(small_astronaut: Image.Image, kind: str) -> None:
    if kind not in Image.registered_extensions().values() or kind not in Image.SAVE:
        pytest.skip(f"this Pillow writes no {kind}")
    xmp = "<x:xmpmeta>grüße</x:xmpmeta>".encode()
    exif = exif_with(1).removeprefix(b"Exif\0\0")
    buffer = io.BytesIO()
    save(to_pil(Picture(small_astronaut, exif=exif, xmp=xmp)), buffer, kind)
    again = load(buffer)
    assert again.xmp == xmp
    assert parsed(again.exif)[ExifTags.Base.Make] == "Maker"
    assert parsed(again.exif).get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] == 400


def test_a_format_without_metadata_warns(small_astronaut: Image.Image) -> None:
    small_astronaut.info["xmp"] = b"<x/>"
    with pytest.warns(UserWarning, match="BMP cannot hold"):
        save(small_astronaut, io.BytesIO(), "BMP")


def test_tags_about_the_strips_of_a_tiff_are_not_kept(small_astronaut: Image.Image) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[ExifTags.Base.Artist] = "Somebody"
    exif = parsed(load(stored(small_astronaut, "TIFF", tiffinfo=tags)).exif)
    assert exif[ExifTags.Base.Artist] == "Somebody"
    assert ExifTags.Base.StripOffsets not in exif
    assert load(stored(small_astronaut, "TIFF")).exif is None
