"""EXIF is kept as it was, but for the orientation, which is 1 afterwards."""

import io
import struct

import pytest
from PIL import ExifTags, Image
from PIL import __version__ as PILLOW

from hdcodec.images import Picture, attach, detach, from_pil, load, save, to_pil

ARTIST, ORIENTATION = ExifTags.Base.Artist, ExifTags.Base.Orientation
SHORT, LONG, TEXT = 3, 4, 2
ZOE = "Zoë Ångström".encode()


def block(order: str, orientation: bytes, kind: int = SHORT, thumbnail: bytes = b"") -> bytes:
    """An EXIF block without prefix: orientation, artist, a maker's note with an offset in it."""
    note = b"NOTE" + struct.pack(order + "I", 1234)
    entries = [(ORIENTATION, kind, 1, orientation), (ARTIST, TEXT, len(ZOE) + 1, None)]
    start = 8 + 2 + 12 * 3 + 4
    values = ZOE + b"\0"
    directory = struct.pack(order + "HHI", ORIENTATION, kind, 1) + orientation.ljust(4, b"\0")
    directory += struct.pack(order + "HHII", *entries[1][:3], start)
    directory += struct.pack(order + "HHII", 0xC7B5, 7, len(note), start + len(values))
    values += note
    second = start + len(values) if thumbnail else 0
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    data = head + struct.pack(order + "H", 3) + directory + struct.pack(order + "I", second)
    data += values
    if thumbnail:
        where = second + 2 + 24 + 4
        data += struct.pack(order + "HHHIIHHIII", 2, 0x201, LONG, 1, where, 0x202, LONG, 1,
                            len(thumbnail), 0) + thumbnail  # fmt: skip
    return data


def stored(image: Image.Image, kind: str, exif: bytes) -> io.BytesIO:
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=b"Exif\0\0" + exif)
    buffer.seek(0)
    return buffer


def parsed(exif: bytes | None) -> Image.Exif:
    result = Image.Exif()
    result.load(exif or b"")
    return result


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", [0, 1, 3, 6, 9, 65_535])
def test_nothing_changes_but_the_orientation(
    small_coffee: Image.Image, kind: str, order: str, orientation: int
) -> None:
    before = block(order, struct.pack(order + "H", orientation))
    picture = load(stored(small_coffee, kind, before))
    assert picture.exif == block(order, struct.pack(order + "H", 1))
    turned = (100, 150) if orientation == 6 else (150, 100)
    assert picture.rgb.size == turned
    again = attach(picture.rgb, detach(picture, keep_metadata=True))
    assert again.info["exif"] == b"Exif\0\0" + (picture.exif or b"")


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_orientation_of_another_type_becomes_one(small_coffee: Image.Image, order: str) -> None:
    before = block(order, struct.pack(order + "I", 8), LONG)
    exif = load(stored(small_coffee, "PNG", before)).exif
    assert exif is not None
    assert parsed(exif)[ORIENTATION] == 1
    assert ZOE in exif
    assert len(exif) == len(before)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_thumbnail_of_a_turned_picture_is_cut_off(
    small_coffee: Image.Image, order: str
) -> None:
    one, six = (struct.pack(order + "H", orientation) for orientation in (1, 6))
    upright = block(order, one, thumbnail=bytes(5000))
    assert load(stored(small_coffee, "PNG", upright)).exif == upright
    exif = load(stored(small_coffee, "PNG", block(order, six, thumbnail=bytes(5000)))).exif
    assert exif is not None
    assert exif[: 8 + 2 + 36] == upright[: 8 + 2 + 36]
    assert len(exif) == len(upright) - 5000
    assert not parsed(exif).get_ifd(ExifTags.IFD.IFD1)


@pytest.mark.skipif(PILLOW.startswith("10."), reason="this Pillow reads no second prefix")
def test_the_prefix_is_never_stored(small_coffee: Image.Image) -> None:
    exif = block("<", b"\1\0")
    small_coffee.info["exif"] = b"Exif\0\0Exif\0\0" + exif
    assert from_pil(small_coffee).exif == exif


@pytest.mark.parametrize("exif", [b"II+\0\x08\0\0\0" + bytes(8), b"II*\0", b"Zo"])
def test_what_is_no_exif_is_left_out_with_a_warning(small_coffee: Image.Image, exif: bytes) -> None:
    small_coffee.info["exif"] = exif
    with pytest.warns(UserWarning, match="the EXIF data is ignored"):
        assert from_pil(small_coffee).exif is None


def test_a_tiff_gets_text_in_the_bytes_it_had(small_coffee: Image.Image) -> None:
    tags = Image.Exif()
    tags[ARTIST] = "placeholder"
    tags[ExifTags.IFD.Exif] = {ExifTags.Base.LensModel: "Zo?"}
    exif = tags.tobytes().removeprefix(b"Exif\0\0")
    exif = exif.replace(b"placeholder", "Grüße, Zoë".encode()[:11]).replace(b"Zo?", b"Zo\xe9")
    artist, lens = "Grüße, Zoë".encode()[:11], b"Zo\xe9"
    buffer = io.BytesIO()
    save(to_pil(Picture(small_coffee, exif=exif)), buffer, "TIFF")
    assert artist in buffer.getvalue()
    assert lens in buffer.getvalue()
    with Image.open(buffer) as image:
        read = image.getexif()
        assert read[ARTIST].encode("latin-1") == artist
        found = read.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.LensModel]
        assert found.encode("latin-1") == lens
    again = load(buffer).exif
    assert again is not None
    assert artist in again
    assert lens in again


def test_text_that_a_program_set_is_written_as_text(small_coffee: Image.Image) -> None:
    small_coffee.getexif()[ARTIST] = "日本"
    exif = from_pil(small_coffee).exif
    assert exif is not None
    assert "日本".encode() in exif
