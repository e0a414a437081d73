"""The file format: golden bytes, round trips, every cut, every flipped bit, hostile fields."""

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from crafted import SIGNATURE, png_chunk, sealed
from headers import header
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import hdcodec
from hdcodec import _errors
from hdcodec.format import (
    ALPHA,
    EXIF,
    GRAY,
    MAX_FILE_BYTES,
    MAX_METADATA_BYTES,
    MAX_PIXELS,
    XMP,
    Container,
    Header,
    pack,
    unpack,
)

PLAIN = header(width=768, height=512, quality=100, kept=7)
TINY = header(width=1, height=1, quality=0, kept=0)
OPTIONAL = 200


def alpha_png(width: int, height: int, mode: str = "L", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert(mode).save(buffer, "PNG", **options)
    return buffer.getvalue()


GOLDEN = {
    "plain": (
        PLAIN,
        b"\x01\x02\x03",
        {},
        "ab48 17 02 8006 8004 64 010203 67a7dc",
    ),
    "tiny": (TINY, b"", {}, "ab48 10 02 01 01 00 94d4fb"),
    "extended": (
        Header(4000, 3000, 1, bytes([7, 100]), scale=14, flags=1),
        b"\x01",
        {},
        "ab48 27 02 a01f b817 64 2e 01 36368f",
    ),
    "widest": (
        header(width=65535, height=128, quality=200, kept=15),
        b"\xff",
        {},
        "ab48 1f 02 ffff03 8001 c8 ff 82b402",
    ),
    "chunks": (
        header(width=127, height=16384, quality=1, kept=1),
        b"\x00",
        {GRAY: b"", XMP: b"<x/>", OPTIONAL: b"later"},
        "ab48 11 03 7f 808001 01 03043c782f3e 0400 c8056c61746572 00 00 dd37df",
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_bytes(name: str) -> None:
    head, payload, chunks, text = GOLDEN[name]
    data = bytes.fromhex(text)
    assert pack(head, payload, chunks) == data
    read = unpack(data)
    assert (read.header, read.payload, read.chunks) == (head, payload, chunks)
    assert read.header_bytes + read.chunk_bytes + len(payload) == len(data)


def test_overhead_of_a_plain_photo_is_at_most_12_bytes() -> None:
    for side in (1, 127, 128, 768, 16_383):
        head = header(width=side, height=side, quality=200, kept=15)
        read = unpack(pack(head, b"stream"), max_pixels=side**2)
        assert read.header_bytes <= 12
        assert read.chunk_bytes == 0


def test_bytes_of_header_and_chunks_are_told_apart() -> None:
    read = unpack(pack(PLAIN, b"stream", {EXIF: b"II*\0" + bytes(200)}))
    assert read.header_bytes == 12
    assert read.chunk_bytes == 1 + 2 + 204 + 1


HEADERS = st.builds(
    header,
    width=st.integers(1, 65_535),
    height=st.integers(1, 65_535),
    quality=st.integers(0, 200),
    kept=st.integers(0, 15),
    scale=st.integers(0, 31),
    flags=st.integers(0, 7),
)
CHUNKS = st.fixed_dictionaries(
    {},
    optional={
        EXIF: st.binary(max_size=300),
        XMP: st.binary(max_size=300),
        GRAY: st.just(b""),
        128: st.binary(max_size=20),
        255: st.binary(max_size=20),
    },
)


@pytest.mark.parametrize(
    ("side", "scale", "coded"),
    [
        *((4000, 0, 4000), (4000, 1, 3364), (4000, 4, 2000), (4000, 14, 354)),
        *((3, 4, 2), (1, 31, 1), (65_535, 31, 304), (65_535, 3, 38_967)),
    ],
)
def test_four_steps_of_scale_halve_a_side(side: int, scale: int, coded: int) -> None:
    assert Header(side, side, 1, bytes(2), scale).coded_size == (coded, coded)


@given(head=HEADERS, payload=st.binary(max_size=300), chunks=CHUNKS)
def test_what_is_packed_is_unpacked(head: Header, payload: bytes, chunks: dict[int, bytes]) -> None:
    data = pack(head, payload, chunks)
    read = unpack(data, max_pixels=65_535**2)
    assert (read.header, read.payload, read.chunks) == (head, payload, chunks)
    assert read.data == data
    assert read.header_bytes + read.chunk_bytes + len(payload) == len(data)


@given(start=st.sampled_from([b"", b"\xabH", b"\xabH\x17\x02", b"\xabH\x17\x03"]), rest=st.binary())
@settings(max_examples=500)
def test_any_bytes_are_refused_or_have_one_meaning(start: bytes, rest: bytes) -> None:
    data = sealed(start + rest)
    try:
        read = unpack(data)
    except hdcodec.HdcError as fault:
        assert "\n" not in str(fault)
    else:
        assert pack(read.header, read.payload, read.chunks) == data


@pytest.fixture(scope="module")
def rich() -> bytes:
    """A small file with every kind of chunk."""
    head = header(width=200, height=131, quality=77, kept=9)
    chunks = {ALPHA: alpha_png(200, 131), EXIF: b"MM\0*1", XMP: b"<x/>", OPTIONAL: b"?"}
    return pack(head, bytes(range(100)), chunks)


def test_every_cut_is_detected(rich: bytes) -> None:
    body_starts = len(rich) - 100 - 3
    for size in range(1, len(rich)):
        kinds = (hdcodec.TruncatedError, hdcodec.ChecksumError)
        with pytest.raises(kinds[:1] if size < body_starts else kinds):
            unpack(rich[:size])


def test_every_flipped_bit_is_detected(rich: bytes) -> None:
    for bit in range(8 * len(rich)):
        damaged = bytearray(rich)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(hdcodec.HdcError):
            unpack(bytes(damaged))


def test_no_single_flip_within_64_kib_escapes_the_checksum() -> None:
    """CRC-32 is affine: a flip changes it by a value that depends on its place alone."""
    blank = bytes(1 << 16)
    untouched = zlib.crc32(blank)
    for bit in range(8):
        state = zlib.crc32(bytes([1 << bit])) ^ zlib.crc32(b"\0")
        for distance in range(1 << 16):
            assert state & 0xFFFFFF, (bit, distance)
            if distance % 4099 == 0:
                flipped = bytearray(blank)
                flipped[-1 - distance] = 1 << bit
                assert zlib.crc32(flipped) ^ untouched == state
            state = _ONE_BYTE[state & 0xFF] ^ state >> 8


_ONE_BYTE = [zlib.crc32(bytes([byte])) ^ zlib.crc32(b"\0") for byte in range(256)]


def test_appended_bytes_are_detected(rich: bytes) -> None:
    with pytest.raises(hdcodec.ChecksumError):
        unpack(rich + b"\0")


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"", hdcodec.NotHdcError, "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), hdcodec.NotHdcError, "not an .hdc"),
        (b"\xab", hdcodec.TruncatedError, "ends"),
        (b"\xabH\x17\x02\x80", hdcodec.TruncatedError, "ends"),
        (b"\xabH\x3f" + bytes(9), hdcodec.UnsupportedVersionError, "version 3"),
        (b"\xabH\x00", hdcodec.UnsupportedVersionError, "version 0"),
        (pack(PLAIN, b"stream")[:-1] + b"\0", hdcodec.ChecksumError, "checksum"),
    ],
)
def test_each_fault_of_the_whole_has_its_own_error(
    data: bytes, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        unpack(data)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ("ab48 17 02 00 01 00", hdcodec.CorruptError, "width is 0"),
        ("ab48 17 02 01 00 00", hdcodec.CorruptError, "height is 0"),
        ("ab48 17 02 808004 01 00", hdcodec.CorruptError, "width is 65536"),
        ("ab48 17 02 ffffff7f 01 00", hdcodec.CorruptError, "width is 268435455"),
        ("ab48 17 02 ffffffff01 01 00", hdcodec.CorruptError, "width is longer"),
        ("ab48 17 02 8100 01 00", hdcodec.CorruptError, "width is not written"),
        ("ab48 17 02 01 01", hdcodec.CorruptError, "ends inside the header"),
        ("ab48 17 fe 01 01 00", hdcodec.CorruptError, "model is 127"),
        ("ab48 17 00 01 01 00", hdcodec.UnknownModelError, "model 0"),
        ("ab48 17 fc 01 01 00", hdcodec.UnknownModelError, "model 126"),
        ("ab48 17 02 ffff03 ffff03 00", hdcodec.TooLargeError, "65535x65535"),
        ("ab48 17 02 01", hdcodec.CorruptError, "ends inside the height"),
        ("ab48 17 03 01 01 00 00", hdcodec.CorruptError, "announced but empty"),
        ("ab48 17 03 01 01 00 02 ffffff7f 00", hdcodec.CorruptError, "ends inside the exif chunk"),
        ("ab48 17 03 01 01 00 02 ffffffff01", hdcodec.CorruptError, "chunk length is longer"),
        ("ab48 17 03 01 01 00 02 0101", hdcodec.CorruptError, "ends inside the chunk list"),
        ("ab48 17 03 01 01 00 0300 0200 00", hdcodec.CorruptError, "chunk 2 comes after chunk 3"),
        ("ab48 17 03 01 01 00 0300 0300 00", hdcodec.CorruptError, "chunk 3 comes after chunk 3"),
        ("ab48 17 03 01 01 00 0401aa 00", hdcodec.CorruptError, "gray chunk is not empty"),
        ("ab48 17 03 01 01 00 0500 00", hdcodec.UnsupportedVersionError, "chunk type 5"),
        ("ab48 17 03 01 01 00 7f00 00", hdcodec.UnsupportedVersionError, "chunk type 127"),
        ("ab48 17 03 01 01 00 0100 00", hdcodec.CorruptError, "alpha"),
        ("ab48 27 02 01 01 00", hdcodec.CorruptError, "ends inside the header"),
        ("ab48 27 02 01 01 00 00", hdcodec.CorruptError, "extension of the header says nothing"),
    ],
)
def test_each_hostile_field_has_its_own_error(body: str, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        unpack(sealed(bytes.fromhex(body)))
    assert type(caught.value) is kind


def test_unknown_optional_chunks_are_kept_and_do_no_harm() -> None:
    assert unpack(pack(TINY, b"x", {128: b"a", 255: b""})).chunks == {128: b"a", 255: b""}


def test_the_limit_of_pixels_is_the_callers() -> None:
    data = pack(header(width=100, height=50, quality=0, kept=0), b"")
    assert unpack(data, max_pixels=5_000).header.width == 100
    with pytest.raises(hdcodec.TooLargeError, match="4999"):
        unpack(data, max_pixels=4_999)


def test_the_default_limit_of_pixels_is_pillows() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    assert MAX_PIXELS == 2 * Image.MAX_IMAGE_PIXELS


def test_metadata_beyond_its_limit_is_refused_by_both_sides() -> None:
    half = MAX_METADATA_BYTES // 2
    whole = {EXIF: bytes(half), XMP: bytes(half)}
    assert unpack(pack(TINY, b"", whole)).chunks == whole
    with pytest.raises(hdcodec.TooLargeError, match="metadata"):
        pack(TINY, b"", {EXIF: bytes(half), XMP: bytes(half + 1)})
    size = bytes([3, 0x81, 0x80, 0x80, 0x08])
    body = bytes.fromhex("ab48 10 03 01 01 00") + size + bytes(MAX_METADATA_BYTES + 1) + b"\0"
    with pytest.raises(hdcodec.TooLargeError, match="metadata"):
        unpack(sealed(body))


def test_a_file_beyond_the_limit_of_bytes_is_refused() -> None:
    data = pack(TINY, b"")
    with pytest.raises(hdcodec.TooLargeError, match=str(MAX_FILE_BYTES)):
        unpack(data[:-3] + bytes(MAX_FILE_BYTES))


@pytest.mark.parametrize("mode", ["1", "L"])
def test_alpha_is_accepted(mode: str) -> None:
    head = header(width=40, height=30, quality=0, kept=0)
    png = alpha_png(40, 30, mode)
    assert unpack(pack(head, b"", {ALPHA: png})).chunks == {ALPHA: png}


def ihdr(*fields: int) -> bytes:
    return png_chunk(b"IHDR", struct.pack(">IIBBBBB", *fields))


IDAT, IEND = png_chunk(b"IDAT", zlib.compress(bytes(100))), png_chunk(b"IEND", b"")
HOSTILE_ALPHA = {
    "empty": b"",
    "no png": bytes(100),
    "no header": SIGNATURE + IDAT + IEND,
    "other size": SIGNATURE + ihdr(30, 40, 8, 0, 0, 0, 0) + IDAT + IEND,
    "huge": SIGNATURE + ihdr(2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0) + IDAT + IEND,
    "colour": SIGNATURE + ihdr(40, 30, 8, 2, 0, 0, 0) + IDAT + IEND,
    "16 bits": SIGNATURE + ihdr(40, 30, 16, 0, 0, 0, 0) + IDAT + IEND,
    "interlaced": SIGNATURE + ihdr(40, 30, 8, 0, 0, 0, 1) + IDAT + IEND,
    "text bomb": SIGNATURE + ihdr(40, 30, 8, 0, 0, 0, 0) + png_chunk(b"zTXt", b"x") + IDAT + IEND,
    "no pixels": SIGNATURE + ihdr(40, 30, 8, 0, 0, 0, 0) + IEND,
    "cut": SIGNATURE + ihdr(40, 30, 8, 0, 0, 0, 0) + IDAT,
    "trailing": SIGNATURE + ihdr(40, 30, 8, 0, 0, 0, 0) + IDAT + IEND + b"more",
    "length": SIGNATURE + ihdr(40, 30, 8, 0, 0, 0, 0) + b"\xff\xff\xff\xffIDAT" + IEND,
}


@pytest.mark.parametrize("name", HOSTILE_ALPHA)
def test_alpha_that_is_not_a_plain_png_of_the_right_size_is_refused(name: str) -> None:
    png = HOSTILE_ALPHA[name]
    assert len(png) < 1 << 14
    size = bytes([len(png) & 0x7F | 0x80, len(png) >> 7]) if len(png) > 127 else bytes([len(png)])
    body = bytes.fromhex("ab48 10 03 28 1e 00 01") + size + png + b"\0"
    with pytest.raises(hdcodec.CorruptError, match="alpha"):
        unpack(sealed(body))
    with pytest.raises(ValueError, match="alpha"):
        pack(header(width=40, height=30, quality=0, kept=0), b"", {ALPHA: png})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pack(header(width=0, height=1, quality=0, kept=0), b""), "width is 0"),
        (lambda: pack(header(width=1, height=1, quality=0, kept=16), b""), "parameter is 16"),
        (lambda: pack(Header(1, 1, 1, b"\0"), b""), "number of parameters is 1"),
        (lambda: pack(Header(1, 1, 1, bytes(3)), b""), "number of parameters is 3"),
        (lambda: pack(header(width=1, height=1, quality=0, kept=0, model=5), b""), "model 5"),
        (lambda: pack(Header(1, 1, 1, bytes(2), scale=32), b""), "scale is 32"),
        (lambda: pack(Header(1, 1, 1, bytes(2), flags=8), b""), "flags is 8"),
        (lambda: pack(TINY, b"", {0: b""}), "no chunk type 0"),
        (lambda: pack(TINY, b"", {256: b""}), "no chunk type 256"),
        (lambda: pack(TINY, b"", {5: b""}), "chunk type 5"),
        (lambda: pack(TINY, b"", {GRAY: b"x"}), "gray"),
    ],
)
def test_what_no_file_may_say_is_not_packed(make: Callable[[], bytes], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_a_picture_too_wide_for_the_format_is_an_error_of_the_picture() -> None:
    with pytest.raises(hdcodec.TooLargeError, match="65536x1"):
        pack(header(width=65_536, height=1, quality=0, kept=0), b"")


def test_container_is_what_unpack_returns() -> None:
    assert isinstance(unpack(pack(TINY, b"")), Container)


def test_every_error_is_exported_and_speaks_one_line() -> None:
    kinds = [kind for kind in vars(_errors).values() if isinstance(kind, type)]
    assert len(kinds) == 16
    for kind in kinds:
        assert issubclass(kind, hdcodec.HdcError)
        assert getattr(hdcodec, kind.__name__) is kind
        assert kind.__name__ in hdcodec.__all__
        assert str(kind("cannot write a\nb")) == "cannot write a b"


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        hdcodec.no_such_name  # noqa: B018


def test_the_exported_names_are_listed() -> None:
    assert hdcodec.__all__ == sorted(hdcodec.__all__)
    assert set(hdcodec.__all__) <= set(dir(hdcodec))
    assert {"Codec", "compress", "decompress", "info"} <= set(hdcodec.__all__)
    assert (Path(hdcodec.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("module", ["hdcodec", "hdcodec.format"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "PIL", "constriction", "click"} & set(done.stdout.split())
