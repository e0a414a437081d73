"""The seam between model families and everything else, proven by a family of a few lines."""

import ast
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Hdc
from headers import header
from numpy.typing import NDArray
from PIL import Image

import hdcodec
import hdcodec.pillow_plugin
from hdcodec import format, models
from hdcodec.codec import forget
from hdcodec.format import MODELS, Model, pack, unpack

TESTS = Path(__file__).parent
PACKAGE = Path(hdcodec.__file__).parent


@pytest.fixture(autouse=True)
def blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The family `blocks` during the test, and then as if it had never been."""
    monkeypatch.setattr(models, "FAMILIES", dict(models.FAMILIES))
    before = dict(MODELS)
    sys.modules.pop("blocks", None)
    import blocks  # noqa: F401

    forget()
    yield
    MODELS.clear()
    MODELS.update(before)
    forget()
    for name in ("compress", "decompress", "batch", "eval", "compare"):
        sys.modules.pop(f"hdcodec.cli.{name}", None)


@pytest.fixture
def commands(hdc: Hdc, blocks: None) -> Hdc:
    """The command line, whose options are made when a command is imported."""
    for name in ("compress", "decompress", "batch", "eval", "compare"):
        sys.modules.pop(f"hdcodec.cli.{name}", None)
    return hdc


def array(image: Image.Image) -> NDArray[np.int64]:
    return np.asarray(image).astype(np.int64)


def test_python_knows_it(small_coffee: Image.Image) -> None:
    data = hdcodec.compress(small_coffee, model="blocks", quality=100)
    decoded = hdcodec.decompress(data)
    assert decoded.size == small_coffee.size
    first = array(small_coffee)[:16, :16].mean((0, 1))
    assert np.abs(array(decoded)[3, 3] - first).max() <= 1
    facts = hdcodec.info(data)
    assert (facts["model"], facts["model_id"], facts["quality"]) == ("blocks", 99, 100)
    assert facts["blocks"] == 7 * 10
    assert hdcodec.verify(data) == facts["symbols_sha256"]


def test_options_are_the_familys(small_coffee: Image.Image) -> None:
    plain = hdcodec.compress(small_coffee, model="blocks", quality=100)
    brighter = hdcodec.compress(small_coffee, model="blocks", quality=100, brighter=40)
    assert array(hdcodec.decompress(brighter)).mean() > array(hdcodec.decompress(plain)).mean() + 20
    assert not array(hdcodec.decompress(plain, border=16)).any()
    with pytest.raises(ValueError, match="border must lie between 0 and 16"):
        hdcodec.decompress(plain, border=17)
    with pytest.raises(TypeError, match="no option 'effort'; the model has brighter"):
        hdcodec.compress(small_coffee, model="blocks", effort=1)
    with pytest.raises(TypeError, match="no option 'border'"):
        hdcodec.compress(small_coffee, border=1)


@pytest.mark.parametrize("cap", [{"target_size": 120}, {"bpp": 0.1}])
def test_caps_hold(small_coffee: Image.Image, cap: dict[str, Any]) -> None:
    data = hdcodec.compress(small_coffee, model="blocks", **cap)
    limit = cap.get("target_size", cap.get("bpp", 0) * 150 * 100 / 8)
    assert limit / 2 < len(data) <= limit
    with pytest.raises(hdcodec.TargetError, match="the lowest quality takes"):
        hdcodec.compress(small_coffee, model="blocks", target_size=12)


def test_damage_is_found(small_coffee: Image.Image) -> None:
    data = hdcodec.compress(small_coffee, model="blocks")
    with pytest.raises(hdcodec.ChecksumError):
        hdcodec.decompress(data[:20] + b"?" + data[21:])
    box = unpack(data)
    wrong = format.Header(*box.header.size, 99, b"\0\x08")
    for read in (hdcodec.info, hdcodec.verify, hdcodec.decompress):
        with pytest.raises(hdcodec.CorruptError, match="blocks have no 9 bits"):
            read(pack(wrong, box.payload))
    with pytest.raises(hdcodec.CorruptError, match="cannot hold"):
        hdcodec.info(pack(format.Header(9000, 9000, 99, b"\0\0"), b"1"))


def test_one_codec_refuses_files_of_another_model(small_coffee: Image.Image) -> None:
    data = hdcodec.compress(small_coffee, model="blocks")
    with pytest.raises(hdcodec.UnknownModelError, match="model 99, this codec is model 1"):
        hdcodec.Codec(device="cpu").decompress(data)


def test_the_commands_know_it(commands: Hdc, small_coffee: Image.Image, tmp_path: Path) -> None:
    small_coffee.save(tmp_path / "a.png")
    made = commands(
        "compress", tmp_path / "a.png", "--model", "blocks", "--brighter", 3, "-q", 100, "--json"
    )
    assert made.code == 0, made.err
    assert json.loads(made.out)["model"] == "blocks"
    assert json.loads(made.out)["quality"] == 100
    told = json.loads(commands("info", tmp_path / "a.hdc", "--json").out)
    assert (told["model"], told["blocks"]) == ("blocks", 70)
    assert commands("verify", tmp_path / "a.hdc").code == 0
    shown = commands("decompress", tmp_path / "a.hdc", tmp_path / "b.png", "--border", 1)
    assert shown.code == 0, shown.err
    with Image.open(tmp_path / "b.png") as image:
        assert image.size == (150, 100)
        assert not array(image)[0].any()
    page = commands("compare", tmp_path / "a.png", tmp_path / "a.hdc", "--against", "jpeg")
    assert page.code == 0, page.err
    table = commands(
        "eval", tmp_path, "--model", "blocks", "--qualities", "100", "--border", "0,2",
        "--metrics", "psnr", "--json",
    )  # fmt: skip
    assert table.code == 0, table.err
    assert "blocks border=2" in table.out.decode()
    listed = commands("models", "--json")
    assert {model["model"] for model in json.loads(listed.out)["models"]} == set(models.FAMILIES)


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("compress", "a.png", "--model", "blocks", "--effort", "1"), "--effort"),
        (("compress", "a.png", "--brighter", "1"), "--brighter"),
    ],
)
def test_options_of_other_families_are_wrong_usage(
    commands: Hdc,
    small_coffee: Image.Image,
    tmp_path: Path,
    arguments: tuple[str, ...],
    option: str,
) -> None:
    small_coffee.save(tmp_path / "a.png")
    found = commands(arguments[0], tmp_path / arguments[1], *arguments[2:])
    assert found.code == 2
    assert f"{option} is not an option of" in found.err


def test_pillow_knows_it(small_coffee: Image.Image) -> None:
    stream = io.BytesIO()
    small_coffee.save(stream, "HDC", model="blocks", quality=100, brighter=0)
    with Image.open(stream) as image:
        assert image.size == (150, 100)
        assert array(image)[3, 3].any()
    assert hdcodec.info(stream.getvalue())["model"] == "blocks"


def test_batch_workers_know_it(small_coffee: Image.Image, tmp_path: Path) -> None:
    """A family that is registered in every process: here by what Python runs at its start."""
    for name in ("a", "b", "c"):
        (tmp_path / "in").mkdir(exist_ok=True)
        small_coffee.save(tmp_path / "in" / f"{name}.png")
    (tmp_path / "sitecustomize.py").write_text("import blocks\n")
    paths = os.pathsep.join([str(tmp_path), str(TESTS), str(PACKAGE.parent)])

    def run(*arguments: object) -> dict[str, Any]:
        command = [sys.executable, "-m", "hdcodec", "batch", *map(str, arguments), "--json"]
        done = subprocess.run(
            command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    made = run(
        "compress", tmp_path / "in", tmp_path / "hdc", "--model", "blocks", "--brighter", 1,
        "--workers", 2,
    )  # fmt: skip
    assert (made["done"], made["failed"]) == (3, 0)
    shown = run("decompress", tmp_path / "hdc", tmp_path / "out", "--border", 1, "--workers", 2)
    assert (shown["done"], shown["failed"]) == (3, 0)
    with Image.open(tmp_path / "out" / "b.png") as image:
        assert image.size == (150, 100)


def test_nothing_but_its_training_imports_a_family() -> None:
    naming = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "models.hdc" in path.read_text()
    }
    own = ("models/hdc/", "models/sprdiff/", "train/")
    elsewhere = {name for name in naming if not name.startswith(own)}
    assert elsewhere == {"models/__init__.py"}


def test_no_two_classes_share_a_name() -> None:
    names = [
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    ]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


# ---- ids ----


@pytest.fixture
def retired(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A file of a model that is known, but whose weights another release had."""
    MODELS[98] = Model("hdc", 2, "0.0.7")
    return pack(header(64, 64, quality=100, model=98), b"12345678")


READERS: list[Callable[[bytes], Any]] = [hdcodec.info, hdcodec.verify, hdcodec.decompress]


@pytest.mark.parametrize("read", READERS)
def test_a_file_whose_weights_are_not_installed(retired: bytes, read: Callable[..., Any]) -> None:
    with pytest.raises(hdcodec.MissingWeightsError, match=r"model 98 .*hdcodec 0\.0\.7"):
        read(retired)


def test_the_commands_say_so(commands: Hdc, retired: bytes, tmp_path: Path) -> None:
    (tmp_path / "old.hdc").write_bytes(retired)
    for command in (["decompress", tmp_path / "old.hdc"], ["info", tmp_path / "old.hdc"]):
        found = commands(*command)
        assert found.code == 1
        assert "hdcodec 0.0.7" in found.err
        assert found.err.count("\n") == 1
    assert not (tmp_path / "old.png").exists()


def test_names_mean_the_newest_id() -> None:
    assert models.identify("hdc") == max(n for n, model in MODELS.items() if model.family == "hdc")
    assert models.identify(99) == models.identify("blocks") == 99
    for unknown in ("", "HDC", 0, True, 500):
        with pytest.raises(hdcodec.UnknownModelError):
            models.identify(unknown)
