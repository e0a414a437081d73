"""hdc web: the folder that it writes. What a browser makes of it is in test_web_page.py."""

import io
import json
import re
import tarfile
from pathlib import Path

import pytest
from command import Hdc
from test_errors import assert_failed

from hdcodec import _site, weights
from hdcodec.format import MODELS, Model

SMALL = {
    name: (b"\0asm" if name.endswith(".wasm") else b"// ") + name.encode() for name in _site.RUNTIME
}
FIRST_VIEW = 200_000
MOST = 60e6
RUNTIME_BYTES = 15e6
"""What onnxruntime-web 1.30 takes, which is not here."""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A .tgz as `npm pack` writes it, of small files."""
    path = tmp_path / "onnxruntime-web-1.30.0.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in SMALL.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """The package as npm installs it."""
    folder = tmp_path / "installed" / "node_modules" / "onnxruntime-web" / "dist"
    folder.mkdir(parents=True)
    for name, content in SMALL.items():
        (folder / name).write_bytes(content)
    return tmp_path / "installed"


def written(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_site_is_all_that_decoding_takes(hdc: Hdc, package: Path, tmp_path: Path) -> None:
    run = hdc("web", tmp_path / "site", "--runtime", package, "--json")
    files = written(tmp_path / "site")
    listed = json.loads(files["site.json"])
    sizes = {name: len(data) for name, data in files.items() if name != "site.json"}
    assert listed["files"] == sizes
    assert {name for paths in listed["models"].values() for name in paths} <= set(files)
    assert files["runtime/ort.js"] == SMALL["ort.wasm.bundle.min.mjs"]
    for name in ("entropy.safetensors", "picture.onnx"):
        assert files[f"weights/hdc/{name}"] == weights.find(1).read(name)
    assert run.facts == {
        "output": str(tmp_path / "site"),
        "files": len(files),
        "bytes": sum(map(len, files.values())),
        "version": listed["version"],
        "runtime": str(package),
    }


def test_a_site_has_the_models_of_this_release(
    hdc: Hdc, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = set(map(str, MODELS))
    monkeypatch.setitem(MODELS, 0, Model("hdc", 2, "0.0"))
    assert hdc("web", tmp_path / "site", "--runtime", package).code == 0
    assert set(json.loads((tmp_path / "site" / "site.json").read_bytes())["models"]) == shipped


def test_a_site_is_small(hdc: Hdc, package: Path, tmp_path: Path) -> None:
    assert hdc("web", tmp_path / "site", "--runtime", package).code == 0
    files = written(tmp_path / "site")
    page = [data for name, data in files.items() if re.search(r"\.(js|css|html|svg|json)$", name)]
    assert sum(map(len, page)) < FIRST_VIEW
    assert sum(map(len, files.values())) + RUNTIME_BYTES < MOST


def test_every_part_of_the_page_is_there_and_its_own(
    hdc: Hdc, package: Path, tmp_path: Path
) -> None:
    """Nothing is named by a whole address, so that nothing can be fetched from elsewhere."""
    assert hdc("web", tmp_path / "site", "--runtime", package).code == 0
    folder = tmp_path / "site"
    for name, data in written(folder).items():
        if not re.search(r"\.(js|css|html)$", name) or name.startswith("runtime/"):
            continue
        text = data.decode()
        assert "//" not in re.sub(r"^\s*//.*| // .*", "", text, flags=re.MULTILINE), name
        places = re.findall(r'(?:from|import) "([^"]+)"|(?:src|href)="([^"]+)"', text)
        for place in (one or other for one, other in places):
            assert ((folder / name).parent / place).is_file(), (name, place)
    policy = re.search(
        r'Content-Security-Policy" content="([^"]+)"', (folder / "index.html").read_text()
    )
    assert policy
    assert policy[1].startswith("default-src 'none'; script-src 'self' 'wasm-unsafe-eval';")
    assert "*" not in policy[1] and "http" not in policy[1] and "unsafe-inline" not in policy[1]


def test_versions_are_those_of_the_files(hdc: Hdc, package: Path, tmp_path: Path) -> None:
    made = [
        hdc("web", tmp_path / name, "--runtime", package, "--json").facts["version"]
        for name in ("a", "b")
    ]
    (tmp_path / "other").mkdir()
    for name in SMALL:
        (tmp_path / "other" / name).write_bytes(SMALL[name] + b"another")
    other = hdc("web", tmp_path / "c", "--runtime", tmp_path / "other", "--json").facts["version"]
    assert made[0] == made[1] != other


@pytest.mark.parametrize("inside", ["", "node_modules/onnxruntime-web"])
def test_an_unpacked_package_will_do(hdc: Hdc, unpacked: Path, tmp_path: Path, inside: str) -> None:
    run = hdc("web", tmp_path / "site", "--runtime", unpacked / inside)
    assert run.code == 0, run.err
    assert written(tmp_path / "site")["runtime/ort.wasm"] == SMALL["ort-wasm-simd-threaded.wasm"]


def test_the_package_is_found(
    hdc: Hdc, package: Path, unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(_site.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    assert hdc("web", "one", "--json").facts["runtime"] == package.name
    monkeypatch.chdir(unpacked)
    assert hdc("web", "two", "--json").facts["runtime"] == "."
    (unpacked / "empty").mkdir()
    monkeypatch.chdir(unpacked / "empty")
    assert_failed(hdc("web", "three"), "npm pack onnxruntime-web")
    assert not Path("three").exists()
    monkeypatch.setenv(_site.VARIABLE, str(package))
    assert hdc("web", "three", "--json").facts["runtime"] == str(package)


def test_what_is_no_package_is_refused(hdc: Hdc, package: Path, tmp_path: Path) -> None:
    (tmp_path / "foreign.tgz").write_bytes(b"nothing")
    assert_failed(hdc("web", tmp_path / "site", "--runtime", tmp_path / "foreign.tgz"), "foreign")
    (tmp_path / "cut.tgz").write_bytes(package.read_bytes()[:-60])
    assert_failed(hdc("web", tmp_path / "site", "--runtime", tmp_path / "cut.tgz"), "cut.tgz")
    (tmp_path / "bare").mkdir()
    assert_failed(hdc("web", tmp_path / "site", "--runtime", tmp_path / "bare"), "it has no ort")
    with tarfile.open(tmp_path / "other.tgz", "w:gz") as archive:
        archive.add(tmp_path / "bare", "package")
    assert_failed(hdc("web", tmp_path / "site", "--runtime", tmp_path / "other.tgz"), "has no ort")
    for name, content in SMALL.items():
        (tmp_path / "bare" / name).write_bytes(content[4:] if name.endswith(".wasm") else content)
    assert_failed(hdc("web", tmp_path / "site", "--runtime", tmp_path / "bare"), "has no ort-wasm")
    assert hdc("web", tmp_path / "site", "--runtime", tmp_path / "gone").code == 2
    assert not (tmp_path / "site").exists()


def test_a_folder_is_not_written_over(hdc: Hdc, package: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    assert hdc("web", site, "--runtime", package, "--quiet").out == b""
    (site / "index.html").write_bytes(b"mine")
    (site / "photo.hdc").write_bytes(b"mine")
    assert_failed(hdc("web", site, "--runtime", package), "is not empty")
    assert (site / "index.html").read_bytes() == b"mine"
    assert hdc("web", site, "--runtime", package, "--force").code == 0
    assert (site / "index.html").read_bytes() != b"mine"
    assert (site / "photo.hdc").read_bytes() == b"mine"
    (tmp_path / "file").write_bytes(b"")
    assert hdc("web", tmp_path / "file", "--runtime", package).code == 2


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_is_in_the_way_is_told_before_anything_is_written(
    hdc: Hdc, package: Path, tmp_path: Path, kind: str
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    if kind == "file":
        (site / "page").write_bytes(b"mine")
    elif kind == "link":
        (tmp_path / "elsewhere").mkdir()
        (site / "page").symlink_to(tmp_path / "elsewhere")
    else:
        (site / "index.html").mkdir()
    assert_failed(hdc("web", site, "--runtime", package, "--force"), "cannot write")
    assert len(list(site.iterdir())) == 1


def test_a_link_is_replaced_and_what_it_leads_to_is_left(
    hdc: Hdc, package: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_bytes(b"mine")
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").symlink_to(tmp_path / "mine.txt")
    assert hdc("web", site, "--runtime", package, "--force").code == 0
    assert not (site / "index.html").is_symlink()
    assert (tmp_path / "mine.txt").read_bytes() == b"mine"
