"""Of several pages or frames one is coded, and no one is left out without a word."""

import io
import struct
import warnings
from pathlib import Path

import pytest
from command import Hdc
from PIL import Image

from hdcodec import ImageError
from hdcodec.images import from_pil, load

COLOURS = [(250, 0, 0), (0, 0, 250), (0, 250, 0)]


def pages(kind: str, size: tuple[int, int] = (24, 16), **options: object) -> io.BytesIO:
    """Three pages: red, blue and green."""
    if kind not in Image.registered_extensions().values() or kind not in Image.SAVE_ALL:
        pytest.skip(f"this Pillow writes no {kind}")
    first, *others = (Image.new("RGB", size, colour) for colour in COLOURS)
    buffer = io.BytesIO()
    try:
        first.save(buffer, kind, save_all=True, append_images=others, **options)
    except (OSError, ValueError) as error:
        pytest.skip(str(error))
    buffer.seek(0)
    return buffer


def channel(source: io.BytesIO, page: int | None = None) -> int:
    """Which of the pages it is, from 1: the place of its brightest channel."""
    red, green, blue = load(source, page=page).rgb.resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    return 1 + [red, blue, green].index(max(red, green, blue))


@pytest.mark.parametrize(
    ("kind", "what"),
    [("TIFF", "pages"), *((kind, "frames") for kind in ("GIF", "PNG", "WEBP", "AVIF"))],
)
def test_the_first_is_coded_and_the_others_are_counted(kind: str, what: str) -> None:
    with pytest.warns(UserWarning, match=f"^only the first of 3 {what} is coded$"):
        assert channel(pages(kind)) == 1


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "PNG", "WEBP", "AVIF", "MPO"])
@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_page_that_is_asked_for_is_coded(kind: str, page: int) -> None:
    assert channel(pages(kind), page) == page


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("page", [-1, 0, 4, 1 << 70])
def test_a_page_beyond_the_end_is_refused(kind: str, page: int) -> None:
    with pytest.raises(ImageError, match=f"the input has no page {page}: it has 3"):
        load(pages(kind), page=page)
    with pytest.raises(ImageError, match="it has 1"):
        load(io.BytesIO(single()), page=2)


def single() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_second_view_of_a_camera_is_no_page() -> None:
    assert channel(pages("MPO")) == 1


def test_a_frame_that_a_program_chose_is_coded() -> None:
    with Image.open(pages("TIFF")) as image:
        image.seek(2)
        assert from_pil(image).rgb.getpixel((0, 0)) == COLOURS[2]


def directory(order: str, link: int, *entries: tuple[int, int]) -> bytes:
    table = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in entries)
    return struct.pack(order + "H", len(entries)) + table + struct.pack(order + "I", link)


def tiff(*kinds: int, order: str = "<", last_link: int = 0) -> io.BytesIO:
    """Pages of 1 x 1, each with a subfile type."""
    data = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    for number, kind in enumerate(kinds):
        tags = {254: kind, 256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: 1, 279: 1}
        size = len(directory(order, 0, *tags.items()))
        end = len(data) + size + (number + 1 == len(kinds)) * (last_link - len(data) - size)
        data += directory(order, end, *tags.items())
    return io.BytesIO(data)


@pytest.mark.parametrize("order", ["<", ">"])
def test_smaller_copies_and_masks_of_a_tiff_are_no_pages(order: str) -> None:
    assert load(tiff(0, 1, 1, 4, order=order)).rgb.size == (1, 1)
    with pytest.warns(UserWarning, match="first of 3 pages"):
        load(tiff(1, 1, 0, 2, order=order))


def test_pages_that_form_a_ring_are_counted_once() -> None:
    with pytest.warns(UserWarning, match="first of 2 pages"):
        load(tiff(0, 0, last_link=8))


def test_a_link_to_nowhere_is_no_page() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(tiff(0, last_link=1 << 31))


def test_a_file_of_very_many_pages_is_no_hard_work() -> None:
    with pytest.warns(UserWarning, match="first of more than 1000 pages"):
        load(tiff(*[0] * 3000))


def test_the_pages_of_one_file_may_differ_in_size() -> None:
    buffer = io.BytesIO()
    others = [Image.new("L", (7, 5), 9)]
    Image.new("RGB", (24, 16)).save(buffer, "TIFF", save_all=True, append_images=others)
    picture = load(buffer, page=2)
    assert (picture.rgb.size, picture.gray) == ((7, 5), True)


def test_the_command_says_how_many_there_are_and_takes_one(hdc: Hdc, tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    path.write_bytes(pages("TIFF").getvalue())
    run = hdc("compress", path)
    assert (run.code, run.err) == (0, "hdc: warning: only the first of 3 pages is coded\n")
    run = hdc("compress", path, tmp_path / "two.hdc", "--page", 2)
    assert (run.code, run.err) == (0, "")
    run = hdc("compress", path, tmp_path / "four.hdc", "--page", 4)
    assert (run.code, run.err) == (1, f"hdc: {path} has no page 4: it has 3\n")
    assert not (tmp_path / "four.hdc").exists()
