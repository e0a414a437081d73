"""The files that every release and every installation must decode alike."""

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

import hdcodec
from hdcodec import Codec, weights
from hdcodec.conformance import make, recipes, suite
from hdcodec.conformance.__main__ import command
from hdcodec.conformance.report import lines
from hdcodec.format import EXIF, MODELS, XMP, unpack
from hdcodec.models.hdc import recipes as hdc_recipes
from hdcodec.models.hdc.options import KEPT_STEPS, Parameters
from hdcodec.models.sprdiff import recipes as sprdiff_recipes

NAMES = suite.names()
RECIPES = {name: recipe for _, name, recipe in make.recipes()}
FEW = ("one-pixel", "gray-alpha", "tile", "senseless-0")


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(device="cpu")


@pytest.fixture(scope="module")
def codecs(codec: Codec) -> suite.CodecOf:
    made = {1: codec} | {number: Codec(number, device="cpu") for number in MODELS if number > 1}
    return made.__getitem__


def check(name: str, codec: Codec | None) -> suite.Result:
    """Of a file that `codec` decodes, if it is to."""
    return suite.check(name, (lambda _: codec) if codec else None)


# ---- this installation ----


@pytest.mark.parametrize("name", NAMES)
def test_files_decode_as_expected(codecs: suite.CodecOf, name: str) -> None:
    result = suite.check(name, codecs)
    assert result.error is None
    assert result.symbols_sha256 == suite.expected()["files"][name]["symbols_sha256"]
    assert (result.mean_gap is None) == (RECIPES[name].source in recipes.SYMBOLS_ONLY)


def test_a_model_id_keeps_its_tables_and_networks() -> None:
    """New weights need a new model id: files made with the old ones would decode to noise."""
    pinned = suite.expected()["models"]
    assert {int(number) for number in pinned} == set(MODELS)
    for number, hashes in pinned.items():
        assert set(hashes) == {"entropy.safetensors", "networks.safetensors"}
        assert hashes == weights.find(int(number)).deciding
    assert suite.check_weights() is None


def test_the_files_cover_the_format() -> None:
    boxes = [unpack(suite.read(name)) for name in NAMES]
    sizes = {box.header.size for box in boxes}
    found = [Parameters.parse(box.header.parameters) for box in boxes]
    qualities = sorted({parameters.qindex for parameters in found})
    assert len(NAMES) >= 30
    assert {parameters.kept for parameters in found} == set(range(KEPT_STEPS + 1))
    assert (qualities[0], qualities[-1]) == (0, 200)
    assert max(b - a for a, b in itertools.pairwise(qualities)) <= 25
    assert any(quality % 25 for quality in qualities), "none lies between two levels"
    assert (1, 1) in sizes
    assert any(w > 1000 and h == 1 for w, h in sizes) and any(w == 1 < h for w, h in sizes)
    assert any(w % 64 == 0 == h % 64 for w, h in sizes)
    assert any(w % 2 and h % 2 and w > 64 < h for w, h in sizes)
    chunks = {1, EXIF, XMP, 4, recipes.OPTIONAL_CHUNK}
    assert {kind for box in boxes for kind in box.chunks} >= chunks


def test_the_files_are_small() -> None:
    stored = list(suite.DATA.iterdir())
    assert {path.stem for path in stored} == {*NAMES, "expected"}
    pictures = {path.stem for path in stored if path.suffix == ".png"}
    shown = {name for name in NAMES if RECIPES[name].source not in recipes.SYMBOLS_ONLY}
    assert pictures == shown
    assert sum(path.stat().st_size for path in stored) < 400_000


# ---- what is not as expected ----


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A few of the files in another place, which is used instead."""
    for name in FEW:
        for path in suite.DATA.glob(f"{name}.*"):
            shutil.copy(path, tmp_path)
    known = suite.expected()
    known["files"] = {name: known["files"][name] for name in FEW}
    (tmp_path / suite.EXPECTED).write_text(json.dumps(known))
    monkeypatch.setattr(suite, "DATA", tmp_path)
    return tmp_path


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    known = suite.expected()
    change(known)
    (folder / suite.EXPECTED).write_text(json.dumps(known))


def test_other_symbols_are_found(copied: Path) -> None:
    def change(known: dict[str, Any]) -> None:
        known["files"]["one-pixel"]["symbols_sha256"] = "0" * 64

    assert check("one-pixel", None).error is None
    edit(copied, change)
    assert check("one-pixel", None).error == "symbols_sha256: not as expected"


def test_damaged_files_are_found(copied: Path) -> None:
    path = copied / "one-pixel.hdc"
    path.write_bytes(path.read_bytes()[:-1])
    assert "checksum" in str(check("one-pixel", None).error)


def spots(image: Image.Image) -> Image.Image:
    """A few pixels wrong, and so little in the mean that only the worst one tells."""
    image.putpixel((3, 4), (255, 0, 255))
    return image


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("tile", spots),
        ("tile", lambda image: image.point(lambda x: x + 2 - 4 * (x > 128))),
        ("tile", lambda image: image.convert("L")),
        ("tile", lambda image: image.crop((0, 0, 9, 9))),
        ("gray-alpha", lambda image: Image.merge("LA", (image.getchannel(0),) * 2)),
    ],
)
def test_other_pictures_are_found(
    codec: Codec, copied: Path, name: str, change: Callable[[Image.Image], Image.Image]
) -> None:
    assert check(name, codec).error is None
    with Image.open(copied / f"{name}.png") as image:
        change(image).save(copied / f"{name}.png")
    assert check(name, codec).error is not None
    assert check(name, None).error is None


def test_other_weights_are_found(copied: Path) -> None:
    def change(known: dict[str, Any]) -> None:
        known["models"]["1"]["entropy.safetensors"] = "0" * 64

    edit(copied, change)
    assert suite.check_weights() == "model 1 has other weights than the files were made with"


def test_missing_weights_are_named(own_weights: Path) -> None:
    assert "manifest.json is missing" in str(suite.check_weights())
    assert "manifest.json is missing" in str(check(NAMES[0], None).error)


# ---- python -m hdcodec.conformance ----


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_report_of_symbols(copied: Path) -> None:
    done = run("--symbols", "--json")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["ok"]) == (0, True)
    assert [file["file"] for file in report["files"]] == sorted(FEW)
    assert report["environment"]["torch"] is None
    assert report["environment"]["numpy"] and report["environment"]["safetensors"]
    assert "all symbols are exact" in run("--symbols").stdout
    assert run("--symbols", "--quiet").stdout == ""


def test_report_of_a_fault(copied: Path) -> None:
    (copied / "one-pixel.hdc").write_bytes(b"")
    done = run("--symbols", "--json")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["ok"]) == (1, False)
    assert [file["ok"] for file in report["files"]] == [True, False, True, True]
    text = run("--symbols", "--quiet")
    assert text.exit_code == 1
    assert "WRONG one-pixel" in text.stdout
    assert "1 of 4 files are not as expected" in text.stdout


def test_a_missing_device_is_one_line() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    done = run("--device", "cuda")
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert done.output.count("\n") == 1


def test_a_name_that_is_not_known() -> None:
    done = run("--symbols", "kept-16")
    assert done.exit_code == 2
    assert "'kept-16'" in done.output


@pytest.mark.parametrize("options", [["--with", "deterministic"], ["--write", "folder"]])
def test_symbols_alone_have_no_settings_of_torch(options: list[str]) -> None:
    assert run("--symbols", *options).exit_code == 2


def test_a_whole_run_with_other_settings(tmp_path: Path) -> None:
    names = ["kept-06", "row", "all-chunks", "senseless-100"]
    options = ["--device=cpu", "--threads=2", "--with=deterministic", "--with=tf32", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "hdcodec.conformance", *names, *options, "--write", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    about = report["environment"]
    assert (about["threads"], about["settings"][-2:]) == (2, ["deterministic", "tf32"])
    assert about["torch"] and about["device"].startswith("cpu (")
    assert report["worst_gap"] <= report["worst_tolerance"] == suite.WORST_TOLERANCE
    assert "pixels are off by" in lines(report)[-1]
    made = {file["file"]: file["made_sha256"] for file in report["files"]}
    assert made == {name: hdcodec.verify((tmp_path / f"{name}.hdc").read_bytes()) for name in names}


# ---- python -m hdcodec.conformance.make ----


@pytest.fixture
def few(copied: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Few recipes, and nothing made yet."""
    monkeypatch.setattr(hdc_recipes, "RECIPES", {name: RECIPES[name] for name in FEW})
    monkeypatch.setattr(sprdiff_recipes, "RECIPES", {})
    for path in copied.iterdir():
        path.unlink()
    yield copied


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_made_passes(codec: Codec, few: Path) -> None:
    (few / "old.hdc").write_bytes(b"of a name that is gone")
    make.main()
    assert {path.stem for path in few.iterdir()} == {*FEW, "expected"}
    assert suite.names() == sorted(FEW)
    assert suite.check_weights() is None
    assert all(check(name, codec).error is None for name in FEW)


def test_files_that_are_there_stay_as_they_are(few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make.main()
    before = contents(few)
    first = RECIPES[FEW[0]]
    changed = {FEW[0]: first._replace(quality=99), "new": first._replace(quality=1)}
    monkeypatch.setattr(hdc_recipes, "RECIPES", changed)
    make.main()
    assert suite.names() == sorted([*FEW, "new"])
    after = contents(few)
    assert {name: after[name] for name in before if name != suite.EXPECTED} == {
        name: data for name, data in before.items() if name != suite.EXPECTED
    }
    make.main(anew=True)
    assert suite.names() == sorted(changed)


def test_the_weights_of_a_model_cannot_change(few: Path) -> None:
    other = {"1": dict.fromkeys(weights.find(1).deciding, "0" * 64)}
    (few / suite.EXPECTED).write_text(json.dumps({"models": other, "files": {}}))
    with pytest.raises(ValueError, match="new model id"):
        make.main(anew=True)
    assert [path.name for path in few.iterdir()] == [suite.EXPECTED]


def test_hashes_are_those_of_the_weights() -> None:
    manifest = weights.find(1).manifest["files"]
    for name, digest in weights.find(1).deciding.items():
        assert manifest[name]["sha256"] == digest
        assert weights.find(1).read(name)
