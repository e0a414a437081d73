"""The whole codec on real photographs: sizes, modes, caps, damage, weights."""

import io
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crafted import sealed
from headers import header
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import hdcodec
from hdcodec import (
    ChecksumError,
    Codec,
    CorruptError,
    DeviceError,
    HdcError,
    NotHdcError,
    TargetError,
    TooLargeError,
    TruncatedError,
    UnknownModelError,
    UnsupportedVersionError,
    WeightsError,
    weights,
)
from hdcodec._inspect import read_symbols
from hdcodec.codec import _limit, forget, shared_codec
from hdcodec.format import ALPHA, pack, unpack
from hdcodec.images import Picture, from_pil

CHECKSUM = 3


@pytest.fixture(scope="module")
def data(codec: Codec, face: Image.Image) -> bytes:
    """The face with some of its indices kept."""
    return codec.compress(face, quality=40, kept=7)


def array(image: Image.Image) -> NDArray[np.float64]:
    return np.asarray(image).astype(np.float64)


def differs(a: Image.Image, b: Image.Image) -> bool:
    return bool((array(a) != array(b)).any())


# ---- pictures ----


def test_the_decoded_picture_is_the_one_that_was_encoded(codec: Codec, face: Image.Image) -> None:
    decoded = array(codec.decompress(codec.compress(face, quality=60)))
    mirrored = face.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    errors = [np.square(decoded - array(image)).mean() for image in (face, mirrored)]
    assert errors[0] < errors[1] / 4


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 70), (65, 1), (63, 127), (64, 64), (129, 65), (2000, 1)]
)
def test_every_size(codec: Codec, face: Image.Image, size: tuple[int, int]) -> None:
    data = codec.compress(face.resize(size), quality=30, kept=5)
    facts = hdcodec.info(data)
    assert (facts["width"], facts["height"], facts["kept_fraction"]) == (*size, 0.1111)
    assert facts["header_bytes"] <= 12
    decoded = codec.decompress(data)
    assert (decoded.size, decoded.mode) == (size, "RGB")


def test_gray_is_coded_as_gray(codec: Codec, face: Image.Image) -> None:
    gray = face.convert("L")
    data = codec.compress(gray, quality=30)
    assert hdcodec.info(data)["chunks"] == {"gray": 0}
    assert unpack(data).payload == unpack(codec.compress(gray.convert("RGB"), quality=30)).payload
    assert codec.decompress(data).mode == "L"


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_exact(codec: Codec, face: Image.Image, mode: str) -> None:
    image = face.convert(mode)
    alpha = Image.linear_gradient("L").resize(image.size)
    image.putalpha(alpha)
    data = codec.compress(image, quality=30)
    assert "alpha" in hdcodec.info(data)["chunks"]
    decoded = codec.decompress(data)
    assert decoded.mode == mode
    assert not differs(decoded.getchannel("A"), alpha)


def turned(face: Image.Image) -> Image.Image:
    """The face lying on its side, with the EXIF orientation that puts it upright."""
    image = face.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    return Image.open(buffer)


def deep(face: Image.Image) -> Image.Image:
    """The face in 16 bits of gray."""
    return Image.fromarray(np.asarray(face.convert("L")).astype(np.uint16) * 257)


Same = tuple[Callable[[Image.Image], Image.Image], Callable[[Image.Image], Image.Image]]
SAME: dict[str, Same] = {
    "palette": (
        lambda face: face.quantize(32),
        lambda face: face.quantize(32).convert("RGB"),
    ),
    "orientation": (turned, lambda face: face),
    "16 bits": (deep, lambda face: face.convert("L")),
    "cmyk": (
        lambda face: face.convert("CMYK"),
        lambda face: from_pil(face.convert("CMYK")).rgb,
    ),
    "opaque alpha": (lambda face: face.convert("RGBA"), lambda face: face),
}


@pytest.mark.parametrize("kind", SAME)
def test_what_a_viewer_shows_is_what_is_coded(codec: Codec, face: Image.Image, kind: str) -> None:
    unusual, plain = SAME[kind]
    assert codec.compress(unusual(face), quality=30) == codec.compress(plain(face), quality=30)


def test_metadata_is_kept_only_when_asked_for(codec: Codec, face: Image.Image) -> None:
    assert hdcodec.info(codec.compress(turned(face)))["chunks"] == {}
    data = codec.compress(turned(face), keep_metadata=True)
    assert "exif" in hdcodec.info(data)["chunks"]
    assert codec.decompress(data).getexif().get(0x0112, 1) == 1


# ---- what may be handed over ----


def test_arrays_and_paths_are_pictures(codec: Codec, face: Image.Image, tmp_path: Path) -> None:
    face.save(tmp_path / "a.png")
    wanted = codec.compress(face, quality=20)
    pixels = np.asarray(face)
    sources = [tmp_path / "a.png", str(tmp_path / "a.png"), pixels, pixels[:, ::-1][:, ::-1]]
    assert all(codec.compress(source, quality=20) == wanted for source in sources)
    gray = np.asarray(face.convert("L"))
    for array, mode in ((gray, "L"), (gray[:, :, None], "L"), (np.dstack([gray, gray]), "LA")):
        assert codec.decompress(codec.compress(array, quality=20)).mode == mode


def test_paths_and_views_of_bytes_are_files(data: bytes, codec: Codec, tmp_path: Path) -> None:
    (tmp_path / "a.hdc").write_bytes(data)
    wanted, facts = codec.decompress(data), hdcodec.info(data)
    path = tmp_path / "a.hdc"
    for source in (path, str(path), bytearray(data), memoryview(data)):
        assert not differs(codec.decompress(source), wanted)
        assert not differs(hdcodec.decompress(source, device="cpu"), wanted)
        assert hdcodec.info(source) == facts
        assert hdcodec.verify(source) == facts["symbols_sha256"]


@pytest.mark.parametrize(
    "picture",
    [None, 7, b"bytes", io.BytesIO(), [[1, 2]], np.zeros((4, 4)), np.zeros((4, 4, 5), np.uint8)],
    ids=lambda picture: type(picture).__name__,
)
def test_what_is_no_picture_is_a_type_error(codec: Codec, picture: Any) -> None:
    with pytest.raises(TypeError, match=r"(a picture|an array) must be"):
        codec.compress(picture)


@pytest.mark.parametrize(
    "file", [None, 7, io.BytesIO(), ["a.hdc"]], ids=lambda file: type(file).__name__
)
def test_what_is_no_file_is_a_type_error(codec: Codec, file: Any) -> None:
    for read in (codec.decompress, hdcodec.decompress, hdcodec.info, hdcodec.verify):
        with pytest.raises(TypeError, match="a file must be bytes or its path"):
            read(file)


def test_a_picture_of_parts_that_do_not_fit_is_a_value_error(face: Image.Image) -> None:
    with pytest.raises(ValueError, match="rgb must be of mode RGB, not L"):
        Picture(face.convert("L"))
    with pytest.raises(ValueError, match="alpha must be"):
        Picture(face, Image.new("L", (1, 1)))


# ---- quality and caps ----


def test_more_quality_takes_more_bytes(codec: Codec, face: Image.Image) -> None:
    sizes = [len(codec.compress(face, quality=q, kept=0)) for q in (0, 25, 50, 75, 100)]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 2 * sizes[0]


def test_more_kept_indices_take_more_bytes(codec: Codec, face: Image.Image) -> None:
    files = [codec.compress(face, quality=40, kept=k) for k in (0, 5, 10, 15)]
    sizes = [hdcodec.info(file)["vq_bytes"] for file in files]
    assert sizes[0] == 0
    assert sizes == sorted(set(sizes))


def test_bytes_and_bits_are_those_of_the_file(data: bytes) -> None:
    facts = hdcodec.info(data)
    parts = ("header_bytes", "chunk_bytes", "lic_bytes", "vq_bytes")
    assert facts["bytes"] == len(data) == sum(facts[part] for part in parts)
    assert facts["bpp"] == pytest.approx(8 * len(data) / (128 * 192), abs=1e-5)


def test_a_file_is_as_long_as_the_model_says(codec: Codec, face: Image.Image) -> None:
    for quality in (20, 90):
        box = unpack(codec.compress(face, quality=quality, kept=9))
        symbols = read_symbols(box)
        bits = symbols.lic_bits + symbols.vq_bits
        assert len(box.payload) == pytest.approx(bits / 8, rel=0.01, abs=8)  # ended by two words


@pytest.mark.parametrize("part", [0.0, 0.03, 0.2, 0.5, 1.0])
def test_caps_are_never_exceeded_and_used(codec: Codec, face: Image.Image, part: float) -> None:
    low, high = (len(codec.compress(face, quality=q)) for q in (0, 100))
    limit = round(low + part * (high - low))
    by_size = codec.compress(face, target_size=limit)
    assert 0.7 * limit <= len(by_size) <= limit
    pixels = face.width * face.height
    assert codec.compress(face, bpp=8 * limit / pixels) == by_size


def test_the_bits_of_so_many_bytes_are_so_many_bytes() -> None:
    """8 n / pixels times pixels is often less than 8 n."""
    sizes = [(1, 1), (3, 7), (127, 63), (768, 512), (4000, 3001), (65_535, 40_001)]
    for size, bytes_ in itertools.product(sizes, [*range(1, 400), 1000, 99_991, 1 << 27]):
        assert _limit(size, None, 8 * bytes_ / (size[0] * size[1]), None) == bytes_


def test_a_cap_below_the_transparency_says_what_it_takes(codec: Codec, face: Image.Image) -> None:
    image = face.convert("RGBA")
    image.putalpha(Image.effect_noise(face.size, 80))
    with pytest.raises(TargetError, match=r"of these \d{4,} alpha, which can be left out"):
        codec.compress(image, target_size=1000)


@pytest.mark.parametrize("cap", [{"target_size": 13}, {"target_size": 0}, {"bpp": 1e-4}])
def test_an_impossible_cap_is_an_error(codec: Codec, face: Image.Image, cap: Any) -> None:
    with pytest.raises(TargetError):
        codec.compress(face, **cap)


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 50, "bpp": 0.1},
        {"quality": 50, "target_size": 1000},
        {"bpp": 0.1, "target_size": 1000},
        {"quality": 101},
        {"quality": -1},
        {"quality": float("nan")},
        {"bpp": float("inf")},
        {"bpp": float("nan")},
        {"kept": 16},
        {"kept": -1},
    ],
)
def test_senseless_options_are_value_errors(
    codec: Codec, face: Image.Image, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError):
        codec.compress(face, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"fidelity": -0.1},
        {"fidelity": 1.1},
        {"fidelity": float("nan")},
        {"denoising_steps": 0},
    ],
)
def test_senseless_decoder_options_are_value_errors(
    codec: Codec, data: bytes, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError):
        codec.decompress(data, **options)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"quality": "50"}, "quality must be a number, not str"),
        ({"quality": True}, "quality must be a number, not bool"),
        ({"target_size": "1kB"}, "target_size must be a number, not str"),
        ({"max_side": "1000"}, "max_side must be a number, not str"),
        ({"effort": 0.5}, "effort must be a whole number, not float"),
    ],
)
def test_numbers_of_another_kind_are_type_errors(
    codec: Codec, face: Image.Image, options: dict[str, Any], kind: str
) -> None:
    with pytest.raises(TypeError, match=kind):
        codec.compress(face, **options)


def test_numbers_of_numpy_are_numbers(codec: Codec, face: Image.Image) -> None:
    numbers = {"quality": np.float32(40), "effort": np.int64(0), "max_side": np.uint8(100)}
    assert codec.compress(face, **numbers) == codec.compress(face, quality=40, max_side=100)


def test_none_is_no_value_of_a_dial(codec: Codec, face: Image.Image, data: bytes) -> None:
    """Pictures of it were black."""
    with pytest.raises(TypeError, match="fidelity must be a number, not NoneType"):
        codec.decompress(data, fidelity=None)
    with pytest.raises(TypeError, match="effort must be a whole number, not NoneType"):
        codec.compress(face, effort=None)
    assert not differs(codec.decompress(data, denoising_steps=None), codec.decompress(data))


# ---- parts of the decoder ----


@pytest.mark.parametrize(
    ("options", "others"),
    [({"fidelity": 0.0}, {"fidelity": 1.0}), ({"denoising_steps": 1}, {"denoising_steps": 4})],
)
def test_the_dials_turn_something(
    codec: Codec, data: bytes, options: dict[str, Any], others: dict[str, Any]
) -> None:
    assert differs(codec.decompress(data, **options), codec.decompress(data, **others))


def test_kept_indices_change_the_picture(codec: Codec, face: Image.Image) -> None:
    pictures = [codec.decompress(codec.compress(face, quality=40, kept=k)) for k in (0, 15)]
    assert differs(*pictures)


# ---- both directions ----


def test_encoding_twice_gives_the_same_file(codec: Codec, face: Image.Image, data: bytes) -> None:
    assert codec.compress(face, quality=40, kept=7, verify=False) == data
    assert hdcodec.compress(face, device="cpu", quality=40, kept=7) == data


def test_one_codec_serves_both_directions(face: Image.Image) -> None:
    forget()
    codecs = []
    for model in ("hdc", 1):
        data = hdcodec.compress(face, model=model, device="cpu", quality=10)
        assert hdcodec.decompress(data, device="cpu").size == face.size
        codecs.append(shared_codec(model, "cpu"))
    assert codecs[0] is codecs[1]


@given(st.floats(0, 100), st.integers(0, 15), st.integers(1, 70), st.integers(1, 70))
@settings(max_examples=10, deadline=10_000)
def test_every_file_is_verified(
    codec: Codec, face: Image.Image, quality: float, kept: int, width: int, height: int
) -> None:
    made = codec.compress(face.resize((width, height)), quality=quality, kept=kept)
    assert hdcodec.verify(made) == hdcodec.info(made)["symbols_sha256"]


@pytest.mark.parametrize("tail", [b"\0", b"\0\0\0\0", b"\1", b"hidden", bytes(4000) + b"x"])
def test_a_file_that_no_encoder_writes_is_found(data: bytes, tail: bytes) -> None:
    """Its symbols are the same, its checksum fits, and still it is not what coding them gives."""
    box = unpack(data)
    longer = pack(box.header, box.payload + tail)
    assert hdcodec.info(longer)["symbols_sha256"] == hdcodec.info(data)["symbols_sha256"]
    with pytest.raises(CorruptError, match="encoder"):
        hdcodec.verify(longer)


def test_alpha_that_cannot_be_decoded_is_found(codec: Codec, face: Image.Image) -> None:
    image = face.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    data = codec.compress(image, quality=10)
    assert hdcodec.verify(data)
    box = unpack(data)
    spoilt = box.chunks[ALPHA].replace(b"IDAT\x78", b"IDAT\x00")
    broken = pack(box.header, box.payload, box.chunks | {ALPHA: spoilt})
    assert hdcodec.info(broken)["chunks"] == {"alpha": len(spoilt)}
    with pytest.raises(CorruptError, match="alpha"):
        hdcodec.verify(broken)


# ---- damage ----


def flip_faults(position: int, bit: int) -> tuple[type[HdcError], ...]:
    """What a flipped bit of the header may be reported as."""
    if position < 2:
        return (NotHdcError,)
    if position == 2 and bit >= 4:
        return (UnsupportedVersionError,)
    return (ChecksumError, TruncatedError)


def test_every_flipped_bit_of_the_header_is_found(codec: Codec, data: bytes) -> None:
    start = time.monotonic()
    for position in range(unpack(data).header_bytes - CHECKSUM):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            for read in (hdcodec.info, codec.decompress):
                with pytest.raises(flip_faults(position, bit)):
                    read(bytes(damaged))
    assert time.monotonic() - start < 5


def test_every_truncation_is_found(codec: Codec, data: bytes) -> None:
    start = time.monotonic()
    for size in range(len(data)):
        kinds = (TruncatedError, ChecksumError) if size else (NotHdcError,)
        for read in (hdcodec.info, codec.decompress):
            with pytest.raises(kinds):
                read(data[:size])
    assert time.monotonic() - start < 5


@given(position=st.integers(0, 7), value=st.integers(0, 255))
@settings(max_examples=60, deadline=5000)
def test_any_header_with_a_valid_checksum(
    codec: Codec, data: bytes, position: int, value: int
) -> None:
    body = bytearray(data[:-CHECKSUM])
    body[position] = value
    try:
        facts = hdcodec.info(sealed(bytes(body)), max_pixels=1 << 16)
    except HdcError as fault:
        assert "\n" not in str(fault)
        return
    assert facts["width"] * facts["height"] <= 1 << 16


@given(st.binary(max_size=300), st.integers(0, 200), st.integers(0, 15))
@settings(max_examples=25, deadline=10_000)
def test_any_payload_is_a_picture_or_corrupt(
    codec: Codec, payload: bytes, quality: int, kept: int
) -> None:
    hostile = pack(header(width=70, height=33, quality=quality, kept=kept), payload)
    try:
        decoded = codec.decompress(hostile)
    except CorruptError:
        return
    assert decoded.size == (70, 33)


@given(position=st.integers(0, 1 << 16), flip=st.integers(1, 255))
@settings(max_examples=25, deadline=10_000)
def test_a_changed_stream_with_a_valid_checksum(
    codec: Codec, data: bytes, position: int, flip: int
) -> None:
    box = unpack(data)
    payload = bytearray(box.payload)
    payload[position % (len(payload) - 8)] ^= flip  # the last two words may have spare bits
    try:
        facts = hdcodec.info(pack(box.header, bytes(payload)))
    except CorruptError:
        return
    assert facts["symbols_sha256"] != hdcodec.info(data)["symbols_sha256"]


def test_a_huge_picture_of_no_bytes_is_refused_at_once(codec: Codec) -> None:
    start = time.monotonic()
    for width, height in ((65_535, 65_535), (65_535, 2_730), (13_000, 13_000)):
        hostile = pack(header(width=width, height=height, quality=200, kept=15), b"\x12\x34")
        for read in (hdcodec.info, codec.decompress):
            with pytest.raises((TooLargeError, CorruptError)):
                read(hostile)
    assert time.monotonic() - start < 1


def test_the_callers_limit_holds(codec: Codec, data: bytes) -> None:
    pixels = 128 * 192
    codec.decompress(data, max_pixels=pixels)
    for read in (hdcodec.info, codec.decompress):
        with pytest.raises(TooLargeError):
            read(data, max_pixels=pixels - 1)


# ---- models, devices, weights ----


def test_an_unknown_model_is_named(codec: Codec, data: bytes) -> None:
    foreign = bytearray(data[:-CHECKSUM])
    foreign[3] = 5 << 1
    for read in (hdcodec.info, codec.decompress, hdcodec.decompress):
        with pytest.raises(UnknownModelError, match="5"):
            read(sealed(bytes(foreign)))
    for name in ("tcm", "../hdc", 5, ""):
        with pytest.raises(UnknownModelError):
            Codec(name)


@pytest.mark.parametrize("device", ["cuda:99", "mps", "meta", "no such device"])
def test_a_device_that_is_not_there(device: str) -> None:
    with pytest.raises(DeviceError):
        Codec(device=device)


@pytest.mark.parametrize("function", ["info", "verify"])
def test_symbols_in_a_fresh_interpreter_need_no_torch(data: bytes, function: str) -> None:
    program = f"import hdcodec, sys; hdcodec.{function}(sys.stdin.buffer.read())"
    program += "; print('torch' in sys.modules)"
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, input=data, capture_output=True, check=True)
    assert run.stdout == b"False\n"


def test_networks_are_made_without_what_torch_loads_late(data: bytes) -> None:
    """Some of its functions import sympy where a model has no memory yet: half a second, 35 MB."""
    program = "import hdcodec, sys; codec = hdcodec.Codec(backend='torch')"
    program += "; codec.decompress(sys.stdin.buffer.read()); print('sympy' in sys.modules)"
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, input=data, capture_output=True, check=True)
    assert run.stdout == b"False\n"


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Path:
    """A copy of the weights, which is used in their place."""
    shipped = weights.find(1).folder
    copied: Path = request.getfixturevalue("own_weights")
    for path in shipped.iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    return copied


def changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def swapped(path: Path) -> None:
    others = {"entropy": "networks", "networks": "entropy", "manifest": "entropy"}
    other = path.with_name(others[path.name.partition(".")[0]] + ".safetensors")
    path.write_bytes(other.read_bytes())


FILES = ("entropy.safetensors", "networks.safetensors", "manifest.json")


@pytest.mark.parametrize("spoil", [Path.unlink, cut, swapped])
@pytest.mark.parametrize("name", FILES)
def test_spoilt_weights_are_named(
    folder: Path, name: str, spoil: Callable[[Path], None], data: bytes
) -> None:
    spoil(folder / name)
    with pytest.raises(WeightsError, match=name):
        hdcodec.decompress(data, device="cpu")
    if name != "networks.safetensors":
        with pytest.raises(WeightsError, match=name):
            hdcodec.info(data)


@pytest.mark.parametrize("name", FILES[:2])
def test_one_changed_bit_of_the_weights_is_found(folder: Path, name: str, data: bytes) -> None:
    changed(folder / name)
    with pytest.raises(WeightsError, match=name):
        hdcodec.decompress(data, device="cpu")


@pytest.mark.parametrize("key", ["files", "config", "ladder"])
@pytest.mark.parametrize("value", [None, [], {"x": "y"}, "x"])
def test_a_manifest_that_lacks_something_is_named(
    folder: Path, key: str, value: object, data: bytes
) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {key: value}))
    with pytest.raises(WeightsError, match=r"manifest\.json|networks\.safetensors"):
        hdcodec.decompress(data, device="cpu")


def test_weights_of_another_shape_are_refused(folder: Path, data: bytes) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["config"]["vq_width"] += 1
    path.write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match=r"networks\.safetensors"):
        hdcodec.decompress(data, device="cpu")
