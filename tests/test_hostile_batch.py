"""Outputs of a batch stay in its destination, whatever the names and links."""

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hdcodec import Codec
from hdcodec.batch import Item, Job, Row, make_plan
from hdcodec.batch.names import outputs
from hdcodec.batch.work import Worker
from hdcodec.conformance.suite import DATA
from hdcodec.format import Container

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links and names of POSIX")

ONE_PIXEL = (DATA / "one-pixel.hdc").read_bytes()


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(device="cpu")


Worked = Callable[..., dict[str, Row]]


@pytest.fixture
def worked(codec: Codec, tmp_path: Path) -> Worked:
    """Decompresses folder `in` to folder `out`; the rows by the inputs' paths in `in`."""

    def work(force: bool = False, codec: Any = codec) -> dict[str, Row]:
        source, target = tmp_path / "in", tmp_path / "out"
        existing = "replace" if force else "fail"
        plan = make_plan(source, target, "decompress", ".png", existing=existing)
        worker = Worker(Job("decompress", str(target), str(tmp_path), force), "cpu")
        worker.codecs[1] = codec
        rows = [*plan.settled, *map(worker, plan.items)]
        return {os.path.relpath(row.input, source): row for row in rows if isinstance(row, Row)}

    return work


def put(folder: Path, *names: str | bytes) -> None:
    for name in names:
        path = os.path.join(os.fsencode(folder), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(ONE_PIXEL)


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


# Names

NAMES = [
    *("a..hdc", "a.hdc.hdc", "-rf.hdc", "~.hdc", "$(touch x).hdc", "a\nb.hdc", "\\..\\b.hdc"),
    *("C:c.hdc", "CON.hdc", " .hdc", "|id.hdc", "%2e%2e%2fd.hdc", "\u202ecdh.hdc"),
    *("x" * 251 + ".hdc", "..a/b.hdc", "a../b.hdc", "...hdc/c.hdc"),
]


def test_names_of_any_kind_are_mirrored(worked: Worked, tmp_path: Path) -> None:
    put(tmp_path / "in", *NAMES, b"\xff.hdc")
    before = files_in(tmp_path)
    rows = worked()
    hidden = {name for name in NAMES if name.startswith(".")} | {"..a", "...hdc"}
    for name, row in rows.items():
        assert row.status == ("skipped" if name in hidden else "done"), (name, row.error)
    made = files_in(tmp_path) - before
    visible = [name for name in NAMES if not name.startswith(".")]
    assert made == {f"out/{name.removesuffix('.hdc')}.png" for name in [*visible, "\udcff.hdc"]}


PARTS = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=6)
PATHS = st.lists(PARTS.filter(lambda part: part not in (".", "..")), min_size=1, max_size=3)


@given(st.lists(PATHS, min_size=1, max_size=6, unique_by=tuple), st.sampled_from([".hdc", ".png"]))
def test_an_output_has_the_folder_of_its_input(paths: list[list[str]], suffix: str) -> None:
    inputs = [PurePosixPath(*parts) for parts in paths]
    for path, output in zip(inputs, outputs(inputs, suffix), strict=True):
        assert output.parent == path.parent
        assert not output.is_absolute() and ".." not in output.parts
        assert output.name.endswith(suffix)


@pytest.mark.parametrize("name", ["/etc/x.png", "../x.png", "sub/../../x.png", "/proc/self/cwd/x"])
def test_an_item_that_names_another_place_is_refused(
    codec: Codec, tmp_path: Path, name: str
) -> None:
    """No plan has such an item; a worker does not rely on that."""
    put(tmp_path, "a.hdc")
    (tmp_path / "out").mkdir()
    worker = Worker(Job("decompress", str(tmp_path / "out"), str(tmp_path)), "cpu")
    worker.codecs[1] = codec
    row = worker(Item(0, str(tmp_path / "a.hdc"), os.path.join(tmp_path / "out", name)))
    assert isinstance(row, Row)
    assert "leads out of the destination" in str(row.error)
    assert files_in(tmp_path) == {"a.hdc"}


# Links in the destination


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder that no output may get into, with a file of the name of an output."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"precious")
    (tmp_path / "out").mkdir()
    put(tmp_path / "in", "sub/a.hdc", "sub/b.hdc", "c.hdc")
    return folder


LINKS = {
    "absolute": lambda out, there: (out / "sub").symlink_to(there),
    "relative": lambda out, there: (out / "sub").symlink_to("../elsewhere"),
    "dangling": lambda out, there: (out / "sub").symlink_to(there / "new"),
    "by another": lambda out, there: [
        (out / "way").symlink_to(there), (out / "sub").symlink_to("way")
    ],
    "to the inputs": lambda out, there: (out / "sub").symlink_to("../in"),
    "up": lambda out, there: (out / "sub").symlink_to(".."),
    "to the root": lambda out, there: (out / "sub").symlink_to("/"),
    "to a sibling of like name": lambda out, there: [
        (out.parent / "out2").mkdir(), (out / "sub").symlink_to("../out2")
    ],
}  # fmt: skip


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("kind", LINKS)
def test_a_linked_folder_leads_nowhere_else(
    worked: Worked, elsewhere: Path, kind: str, force: bool
) -> None:
    LINKS[kind](elsewhere.parent / "out", elsewhere)
    before = files_in(elsewhere.parent)
    rows = worked(force)
    assert {name: row.status for name, row in rows.items()} == {
        "sub/a.hdc": "failed", "sub/b.hdc": "failed", "c.hdc": "done"
    }  # fmt: skip
    assert "leads out of the destination" in str(rows["sub/a.hdc"].error)
    assert files_in(elsewhere.parent) - before == {"out/c.png"}
    assert (elsewhere / "a.png").read_bytes() == b"precious"


def test_a_linked_file_is_never_followed(worked: Worked, elsewhere: Path) -> None:
    out = elsewhere.parent / "out"
    (out / "sub").mkdir()
    (out / "sub" / "a.png").symlink_to(elsewhere / "a.png")
    (out / "c.png").symlink_to(elsewhere / "new.png")
    rows = worked()
    assert [rows[name].status for name in ("sub/a.hdc", "c.hdc")] == ["failed"] * 2
    assert "exists already" in str(rows["sub/a.hdc"].error)
    assert "not a regular file" in str(rows["c.hdc"].error)
    rows = worked(force=True)
    assert {row.status for row in rows.values()} == {"done"}
    assert (elsewhere / "a.png").read_bytes() == b"precious"
    assert files_in(elsewhere) == {"a.png"}
    assert not any((out / name).is_symlink() for name in ("sub/a.png", "c.png"))


def test_a_loop_of_links_is_one_failure(worked: Worked, elsewhere: Path) -> None:
    (elsewhere.parent / "out" / "sub").symlink_to("sub")
    rows = worked()
    assert [rows[name].status for name in ("sub/a.hdc", "c.hdc")] == ["failed", "done"]
    assert "cannot" in str(rows["sub/a.hdc"].error)


def test_links_within_the_destination_and_to_it_are_fine(worked: Worked, elsewhere: Path) -> None:
    out = elsewhere.parent / "out"
    out.rmdir()
    (elsewhere.parent / "true").mkdir()
    out.symlink_to("true")
    (out / "other").mkdir()
    (out / "sub").symlink_to("other")
    assert {row.status for row in worked().values()} == {"done"}
    assert files_in(elsewhere.parent / "true") == {"c.png", "other/a.png", "other/b.png"}


class Planting:
    """Puts a link into the destination while it decodes."""

    def __init__(self, codec: Codec, link: Path, target: Path) -> None:
        self.codec, self.family, self.link, self.target = codec, codec.family, link, target

    def decode(self, box: Container, **options: Any) -> Image.Image:
        if not self.link.is_symlink():
            self.link.symlink_to(self.target)
        return self.codec.decode(box, **options)


def test_a_link_that_comes_meanwhile_leads_nowhere_else(
    worked: Worked, codec: Codec, elsewhere: Path
) -> None:
    planting = Planting(codec, elsewhere.parent / "out" / "sub", elsewhere)
    rows = worked(codec=planting)
    assert "leads out of the destination" in str(rows["sub/b.hdc"].error)
    assert files_in(elsewhere) == {"a.png"}


# Links in the source


def test_links_in_the_source_decide_no_place(worked: Worked, elsewhere: Path) -> None:
    """They are followed; the outputs lie where the links are."""
    source = elsewhere.parent / "in"
    put(elsewhere, "deep/d.hdc")
    (source / "one").symlink_to(elsewhere)
    (source / "two.hdc").symlink_to(elsewhere / "deep" / "d.hdc")
    before = files_in(elsewhere)
    rows = worked()
    assert rows["one/deep/d.hdc"].status == rows["two.hdc"].status == "done"
    assert files_in(elsewhere) == before
    assert {"one/deep/d.png", "two.png"} <= files_in(elsewhere.parent / "out")
