"""Quality by region: coded exactly, within budgets, and seen in the picture."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Hdc
from crafted import sealed
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import hdcodec
from hdcodec import Codec
from hdcodec._regions import regions_of
from hdcodec.detect import Box
from hdcodec.entropy.coder import Decoder, Encoder, PrefixDecoder
from hdcodec.entropy.offsets import code_offsets
from hdcodec.format import unpack
from hdcodec.images import from_pil
from hdcodec.models.regions import Region, Regions

ASTRONAUT = Path(__file__).parent.parent / "docs" / "astronaut.jpg"
FACE = (170, 40, 120, 160)


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(device="cpu")


@pytest.fixture(scope="module")
def astronaut() -> Image.Image:
    return Image.open(ASTRONAUT).convert("RGB")


def error(picture: Image.Image, original: Image.Image, place: tuple[int, ...]) -> float:
    """Mean squared error within x, y, width, height."""
    x, y, width, height = place
    box = x, y, x + width, y + height
    one, other = (np.asarray(image.crop(box), float) for image in (picture, original))
    return float(np.square(one - other).mean())


# ---- the grid in the stream ----


def grids() -> st.SearchStrategy[np.ndarray]:
    return st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32)).map(
        lambda drawn: (
            np.random.default_rng(drawn[2])
            .choice([0, 0, 0, 5, -20, 20, 7], drawn[:2])
            .astype(np.int8)
        )
    )


@given(grids())
def test_any_grid_comes_back(grid: np.ndarray) -> None:
    encoder = Encoder()
    code_offsets(encoder, grid.shape, grid)
    found = code_offsets(Decoder(encoder.finish()), grid.shape, None)
    np.testing.assert_array_equal(found, grid)


def test_golden_bytes_of_a_grid() -> None:
    grid = np.zeros((4, 6), np.int8)
    grid[1:3, 2:5] = 5
    encoder = Encoder()
    code_offsets(encoder, grid.shape, grid)
    assert encoder.finish().hex() == GOLDEN


GOLDEN = "d4c0337e"


def test_a_rectangle_costs_about_three_bytes_and_nothing_next_to_nothing() -> None:
    grid = np.zeros((8, 12), np.int8)
    for wanted in (1, 30):
        encoder = Encoder()
        code_offsets(encoder, grid.shape, grid)
        assert encoder.bits < wanted
        grid[2:5, 4:8] = 6


def test_what_no_encoder_writes_is_refused() -> None:
    class Odd(Decoder):
        def code(self, symbols: object, frequencies: np.ndarray) -> np.ndarray:
            return np.array([20 if frequencies.shape[1] == 41 else 1], np.int32)  # 0, at length

    with pytest.raises(hdcodec.CorruptError, match="in more words"):
        code_offsets(Odd(b""), (2, 2), None)


def test_a_beginning_within_the_map_is_too_short(codec: Codec, astronaut: Image.Image) -> None:
    data = codec.compress(astronaut, quality=20, regions=[FACE], protect="none")
    with pytest.raises(hdcodec.TruncatedError):
        codec.decompress(data[:17], partial=True)
    assert codec.decompress(data[: len(data) // 2], partial=True).size == astronaut.size
    assert code_offsets(PrefixDecoder(b""), (2, 3), None).shape == (2, 3)


# ---- regions of a picture ----


@given(
    st.tuples(st.integers(1, 900), st.integers(1, 900)),
    st.lists(
        st.builds(
            Region,
            st.integers(-50, 900),
            st.integers(-50, 900),
            st.integers(1, 900),
            st.integers(1, 900),
            st.integers(-100, 100),
        ),
        max_size=4,
    ),
    st.integers(1, 8),
)
def test_offsets_have_a_place_for_every_tile(
    size: tuple[int, int], places: list[Region], smaller: int
) -> None:
    width, height = (-(-side // smaller) for side in size)
    grid = Regions(size, tuple(places)).offsets(width, height, 64, 5)
    assert grid.shape == (-(-height // 64), -(-width // 64))
    assert abs(grid).max() <= 20
    assert set(grid.ravel().tolist()) <= {0, *(round(place.offset / 5) for place in places)}


def test_the_last_region_counts_and_a_mask_gives_way() -> None:
    mask = np.zeros((10, 20), np.uint8)
    mask[:, 10:] = 255
    places = Region(0, 0, 64, 128, 50), Region(0, 64, 64, 64, -10)
    grid = Regions((256, 128), places, mask).offsets(256, 128, 64, 5)
    np.testing.assert_array_equal(grid, [[10, -5, 5, 5], [-2, -5, 5, 5]])


@pytest.mark.parametrize("text", ["", "1,2,3", "a,b,c,d", "1,2,0,4", "1,2,3,4:101", "1,2,3,4:x"])
def test_what_is_no_region_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Region.parse(text)


# ---- files ----


def test_a_region_is_better_and_the_rest_is_not(codec: Codec, astronaut: Image.Image) -> None:
    plain = codec.compress(astronaut, target_size=1400, protect="none")
    data = codec.compress(astronaut, target_size=1400, regions=[(*FACE, 40)], protect="none")
    assert len(data) <= 1400
    shown, before = codec.decompress(data), codec.decompress(plain)
    assert error(shown, astronaut, FACE) < 0.6 * error(before, astronaut, FACE)
    corner = (300, 300, 200, 200)
    assert error(shown, astronaut, corner) > 0.95 * error(before, astronaut, corner)


def test_files_without_a_map_are_of_the_first_version(codec: Codec, astronaut: Image.Image) -> None:
    plain = codec.compress(astronaut, quality=30, protect="none")
    assert unpack(plain).header.version == 1
    nothing = codec.compress(astronaut, quality=30, protect="none", regions=[(0, 0, 9, 9, 0)])
    assert nothing == plain


def test_verify_and_info_know_the_map(codec: Codec, astronaut: Image.Image) -> None:
    data = codec.compress(astronaut, quality=30, regions=[(*FACE, 40)], protect="none")
    assert len(hdcodec.verify(data)) == 64
    found = hdcodec.info(data)
    assert found["version"] == 2 and found["quality"] == 30
    assert found["quality_map"] == ["33777333"] * 3 + ["33333333"] * 5


def test_both_backends_give_the_same_symbols(astronaut: Image.Image) -> None:
    pytest.importorskip("torch")
    codecs = [Codec(device="cpu", precision="float32", backend=b) for b in ("onnx", "torch")]
    files = {
        codec.backend: codec.compress(astronaut, quality=30, regions=[(*FACE, 40)], protect="none")
        for codec in codecs
    }
    shown = [np.asarray(codec.decompress(files["onnx"]), int) for codec in codecs]
    assert hdcodec.verify(files["onnx"]) and hdcodec.verify(files["torch"])
    assert abs(shown[0] - shown[1]).max() <= 2


def test_a_search_follows_the_map(codec: Codec, astronaut: Image.Image) -> None:
    pytest.importorskip("torch")
    small = astronaut.crop((160, 0, 352, 192))
    options = {"regions": [(20, 40, 110, 130, 40)], "protect": "none", "quality": 20}
    plain, searched = (codec.compress(small, effort=effort, **options) for effort in (0, 3))
    inside = (32, 64, 90, 90)
    shown = (codec.decompress(data, fidelity=1.0) for data in (searched, plain))
    one, other = (error(picture, small, inside) for picture in shown)
    assert one * len(searched) < other * len(plain)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32))
def test_hostile_flags_and_streams_are_errors(seed: int) -> None:
    draw = np.random.default_rng(seed)
    body = bytearray(hdcodec.compress(Image.new("RGB", (100, 70), "gray"), protect="none"))[:-3]
    body[2] += 16
    body = body[:7] + bytes([int(draw.integers(1, 8)) << 5]) + bytes(draw.bytes(60))
    data = sealed(bytes(body))
    try:
        hdcodec.decompress(data)
    except hdcodec.HdcError as fault:
        assert "\n" not in str(fault)


# ---- the command ----


def test_the_command_takes_regions_and_masks(hdc: Hdc, tmp_path: Path) -> None:
    mask, out = tmp_path / "mask.png", tmp_path / "a.hdc"
    Image.new("L", (8, 8), 255).save(mask)
    where = ("--region", "170,40,120,160:40", "--mask", mask, "--protect", "none")
    assert hdc("compress", ASTRONAUT, out, "-q", 30, *where, "--json").facts["protected"] == {}
    assert hdcodec.info(out)["quality_map"] == ["55777555"] * 3 + ["55555555"] * 5
    assert b"quality map" in hdc("info", out).out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--region", "1,2,3"], "is no region"),
        (["--region", "9000,0,5,5"], "lies outside the picture"),
        (["--protect", "cats"], "protect must be auto, none or of faces, text, not 'cats'"),
        (["--mask", "nowhere.png"], "does not exist"),
    ],
)
def test_wrong_options_are_one_line(
    hdc: Hdc, tmp_path: Path, options: list[str], words: str
) -> None:
    out = tmp_path / "a.hdc"
    found = hdc("compress", ASTRONAUT, out, *options)
    assert found.code and words in found.err and "Traceback" not in found.err
    assert not out.exists()


def test_a_region_outside_the_picture_is_a_fault_of_its_own(hdc: Hdc, tmp_path: Path) -> None:
    found = hdc("compress", ASTRONAUT, tmp_path / "a.hdc", "--region", "9000,0,5,5")
    message = "the region 9000,0,5,5 lies outside the picture of 512x512"
    assert (found.code, found.err) == (1, f"hdc: {message}\n")
    for kind in (hdcodec.RegionError, ValueError):
        with pytest.raises(kind, match=message):
            hdcodec.compress(ASTRONAUT, regions=[(9000, 0, 5, 5)])


@pytest.mark.parametrize(
    ("protect", "kind", "message"),
    [
        (None, TypeError, "protect must be a text or boxes"),
        (Box(8, 8, 30, 30, 0.9, "face"), TypeError, "boxes of hdcodec.detect, not int"),
        ([(8, 8, 30, 30)], TypeError, "boxes of hdcodec.detect, not tuple"),
        ([Box(8, 8, 30, 30, 0.9, "dog")], ValueError, "must be face or text, not 'dog'"),
        ([Box(math.nan, 8, 30, 30, 0.9, "face")], ValueError, "must be finite"),
        ([Box(8, 8, -30, 30, 0.9, "face")], ValueError, "at least a pixel"),
        ([Box(100, 8, 30, 30, 0.9, "face")], ValueError, "lies outside the picture"),
    ],
)
def test_boxes_that_cannot_be_are_refused(
    protect: Any, kind: type[Exception], message: str
) -> None:
    picture = from_pil(Image.new("RGB", (100, 70)))
    with pytest.raises(kind, match=message):
        regions_of(picture, (), None, protect)


def test_faces_are_protected_where_their_detector_is(hdc: Hdc, tmp_path: Path) -> None:
    from hdcodec import detect

    if "faces" not in detect.available():
        pytest.skip("the package that finds faces is not installed")
    out = tmp_path / "a.hdc"
    made = hdc("compress", ASTRONAUT, out, "--target-size", 1400)
    assert "1 face," in made.out.decode()
    assert out.stat().st_size <= 1400
    assert len(set("".join(hdcodec.info(out)["quality_map"]))) > 1


def test_boxes_that_were_found_already_stand_for_the_search(
    codec: Codec, astronaut: Image.Image
) -> None:
    from hdcodec import detect

    boxes = [detect.Box(180, 60, 60, 70, 1.0, detect.FACE)]
    box = codec.encode(astronaut, quality=30, protect=boxes)
    assert box.found == {"face": 1}
    assert len(set("".join(hdcodec.info(box.data)["quality_map"]))) > 1
    nothing = codec.compress(astronaut, quality=30, protect=())
    assert nothing == codec.compress(astronaut, quality=30, protect="none")
    if "faces" in detect.available():
        found = detect.faces(np.asarray(astronaut))
        searched = codec.compress(astronaut, quality=30, protect="faces")
        assert codec.compress(astronaut, quality=30, protect=found) == searched
