"""The command line from outside: what it prints, writes and answers."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np
import pytest
from command import Hdc, Run
from headers import header
from PIL import Image

from hdcodec.cli._group import COMMANDS
from hdcodec.format import MODELS, Model, pack, unpack

FACTS = {"output", "width", "height", "model", "seconds"}
COMPRESS_FACTS = FACTS | {"input", "bytes", "bpp", "quality"}
DECOMPRESS_FACTS = FACTS | {"device"}
MODULES = "import sys; from hdcodec.cli import main; main(sys.argv[1:]); print(*sys.modules)"


@pytest.fixture
def picture(small_coffee: Image.Image, tmp_path: Path) -> Path:
    """A PNG of 150 x 100 pixels in an empty folder."""
    return saved(small_coffee, tmp_path / "coffee.png")


@pytest.fixture
def file(hdc: Hdc, picture: Path) -> Path:
    """The same picture as .hdc; there is nothing else in the folder."""
    assert hdc("compress", picture, "--device", "cpu").code == 0
    picture.unlink()
    return picture.with_suffix(".hdc")


def saved(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def psnr(image: Image.Image, other: Image.Image) -> float:
    difference = np.asarray(image, dtype=float) - np.asarray(other, dtype=float)
    return float(10 * np.log10(255**2 / np.mean(difference**2)))


def assert_failed(run: Run, *words: str, code: int = 1) -> None:
    """One line on stderr that holds `words`, nothing on stdout, and a fault that was foreseen."""
    assert run.code == code
    assert run.out == b""
    assert run.err.startswith("hdc: ")
    assert run.err.endswith("\n")
    assert run.err.count("\n") == 1
    assert all(word in run.err for word in words)
    assert "unforeseen" not in run.err or "unforeseen" in words


# Help and usage


def test_help_lists_every_command(hdc: Hdc) -> None:
    text = hdc("--help").out.decode()
    assert all(f"  {name}  " in text and help in text for name, help in COMMANDS.items())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(hdc: Hdc, name: str) -> None:
    run = hdc(name, "--help")
    assert run.code == 0
    assert run.out.startswith(f"Usage: hdc {name} ".encode())


def test_version(hdc: Hdc) -> None:
    from hdcodec import __version__

    assert hdc("--version").out.decode() == f"hdc {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["pack"],
        ["compress"],
        ["compress", "a.png", "a.hdc", "b.hdc"],
        ["compress", "a.png", "--quality", "101"],
        ["compress", "a.png", "--quality", "nan"],
        ["compress", "a.png", "--bpp", "0"],
        ["compress", "a.png", "--bpp", "inf"],
        ["compress", "a.png", "--target-size", "0"],
        ["compress", "a.png", "--quality", "20", "--bpp", "0.1"],
        ["compress", "a.png", "--bpp", "0.1", "--target-size", "500"],
        ["compress", "a.png", "--device", "abacus"],
        ["compress", "a.png", "--flatten", "octarine"],
        ["decompress"],
        ["decompress", "a.hdc", "--fidelity", "1.5"],
        ["decompress", "a.hdc", "--fidelity", "nan"],
        ["decompress", "a.hdc", "--kept", "1"],
        ["info"],
        ["verify"],
        ["info", ""],
        ["verify", ""],
        ["compress", ""],
        ["compress", "a.png", ""],
        ["decompress", ""],
        ["compare", "a.png", ""],
        ["compare", "", "a.hdc"],
        ["compare", "a.png", "a.hdc", "-o", ""],
        ["batch", "compress", "", "out"],
        ["batch", "compress", ".", ""],
        ["batch", "compress", ".", "out", "--report", ""],
    ],
)
def test_wrong_usage_is_exit_code_2(hdc: Hdc, arguments: list[str]) -> None:
    run = hdc(*arguments)
    assert run.code == 2
    assert run.out == b""
    assert run.err.startswith("Usage: hdc")


def imported(*arguments: str) -> set[str]:
    """The modules that a run of the command has loaded."""
    command = [sys.executable, "-c", MODULES, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines()[-1].split())


def test_help_imports_nothing_heavy() -> None:
    modules = imported("--help")
    assert "hdcodec.cli._group" in modules
    assert not modules & {"torch", "numpy", "PIL", "rich", "constriction", "safetensors"}


def test_info_does_not_import_torch(file: Path) -> None:
    modules = imported("info", str(file))
    assert "hdcodec.cli.info" in modules
    assert "torch" not in modules


# There and back


@pytest.mark.parametrize("name", ["astronaut", "coffee", "cat"])
def test_round_trip(
    hdc: Hdc, small_photos: dict[str, Image.Image], name: str, tmp_path: Path
) -> None:
    original = small_photos[name]
    source = saved(original, tmp_path / "in.png")
    packed = hdc("compress", source, tmp_path / "out.hdc", "--json").facts
    unpacked = hdc("decompress", tmp_path / "out.hdc", tmp_path / "out.png", "--json").facts

    assert packed.keys() >= COMPRESS_FACTS
    assert unpacked.keys() >= DECOMPRESS_FACTS
    assert (packed["width"], packed["height"]) == original.size
    assert (unpacked["width"], unpacked["height"]) == original.size
    assert packed["bytes"] == (tmp_path / "out.hdc").stat().st_size
    assert packed["bpp"] == pytest.approx(
        8 * (tmp_path / "out.hdc").stat().st_size / original.width / original.height, abs=1e-4
    )
    assert packed["input_bytes"] == source.stat().st_size
    restored = opened(tmp_path / "out.png")
    assert restored.mode == "RGB"
    assert restored.size == original.size
    assert psnr(restored, original) > 18


def test_compress_says_bytes_bpp_ratio_and_seconds(hdc: Hdc, picture: Path) -> None:
    line = hdc("compress", picture).out.decode()
    size = picture.with_suffix(".hdc").stat().st_size
    assert line.count("\n") == 1
    assert line.startswith(f"{picture.with_suffix('.hdc')}: {size:,} bytes, ")
    assert f"1:{150 * 100 * 3 / size:.0f} of raw pixels" in line
    assert f"1:{picture.stat().st_size / size:.0f} of the input" in line
    assert " bpp, " in line
    assert line.endswith(" s\n")


def test_decompress_says_size_and_seconds(hdc: Hdc, file: Path) -> None:
    line = hdc("decompress", file, "--device", "cpu").out.decode()
    assert line.startswith(f"{file.with_suffix('.png')}: 150x100, ")
    assert line.endswith(" s on cpu\n")


def test_default_names_lie_beside_the_input(hdc: Hdc, picture: Path) -> None:
    assert hdc("compress", picture).code == 0
    picture.unlink()
    assert hdc("decompress", picture.with_suffix(".hdc")).code == 0
    assert sorted(path.name for path in picture.parent.iterdir()) == ["coffee.hdc", "coffee.png"]


def test_quiet_prints_nothing(hdc: Hdc, picture: Path) -> None:
    assert hdc("compress", picture, "--quiet") == Run(0, b"", "")
    assert hdc("decompress", picture.with_suffix(".hdc"), "--force", "--quiet") == Run(0, b"", "")


def test_stdin_and_stdout(hdc: Hdc, picture: Path) -> None:
    packed = hdc("compress", "-", "-", "--json", stdin=picture.read_bytes())
    assert hdc("compress", picture, picture.parent / "file.hdc").code == 0
    assert packed.out == (picture.parent / "file.hdc").read_bytes()
    assert json.loads(packed.err)["bytes"] == len(packed.out)

    unpacked = hdc("decompress", "-", stdin=packed.out)
    assert unpacked.code == 0
    with Image.open(BytesIO(unpacked.out)) as image:
        assert (image.format, image.size) == ("PNG", (150, 100))
    assert hdc("info", "-", "--json", stdin=packed.out).facts["width"] == 150


def test_more_quality_takes_more_bytes_and_comes_closer(
    hdc: Hdc, picture: Path, small_coffee: Image.Image, tmp_path: Path
) -> None:
    results = []
    for quality in (0, 50, 100):
        facts = hdc("compress", picture, "-q", quality, "--json", "--force").facts
        assert facts["quality"] == quality
        assert hdc("decompress", picture.with_suffix(".hdc"), tmp_path / f"{quality}.png").code == 0
        results.append((facts["bytes"], psnr(opened(tmp_path / f"{quality}.png"), small_coffee)))
    assert results == sorted(results)
    assert len({size for size, _ in results}) == 3


def test_caps_hold_and_are_used(hdc: Hdc, picture: Path) -> None:
    sizes = [
        hdc("compress", picture, "-q", quality, "--json", "-f").facts["bytes"]
        for quality in (20, 60)
    ]
    cap = sum(sizes) // 2
    by_size = hdc("compress", picture, "--target-size", cap, "--json", "-f").facts
    by_rate = hdc("compress", picture, "--bpp", cap * 8 / 15_000, "--json", "-f").facts
    assert by_size["bytes"] == picture.with_suffix(".hdc").stat().st_size
    assert sizes[0] <= by_size["bytes"] <= cap
    assert by_rate["bytes"] == by_size["bytes"]


@pytest.mark.parametrize("cap", [["--target-size", "13"], ["--bpp", "0.0001"]])
def test_a_cap_below_the_lowest_quality_writes_nothing(
    hdc: Hdc, picture: Path, cap: list[str]
) -> None:
    assert_failed(hdc("compress", picture, *cap))
    assert list(picture.parent.iterdir()) == [picture]


def test_fidelity_changes_the_picture(hdc: Hdc, file: Path, tmp_path: Path) -> None:
    variants = {
        "default": [],
        "again": [],
        "natural": ["--fidelity", "0"],
        "faithful": ["--fidelity", "1"],
    }
    images = {}
    for name, options in variants.items():
        assert hdc("decompress", file, tmp_path / f"{name}.png", *options).code == 0
        images[name] = opened(tmp_path / f"{name}.png").tobytes()
    assert images["default"] == images["again"]
    assert len(set(images.values())) == 3


# Kinds of pictures


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tiff", ".bmp"])
def test_the_extension_names_the_output_format(
    hdc: Hdc, file: Path, suffix: str, tmp_path: Path
) -> None:
    assert hdc("decompress", file, tmp_path / f"out{suffix}").code == 0
    image = opened(tmp_path / f"out{suffix}")
    assert image.format == Image.registered_extensions()[suffix]
    assert image.size == (150, 100)


def test_an_unknown_output_format_is_an_error_before_decoding(
    hdc: Hdc, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hdcodec.Codec", None)
    assert_failed(hdc("decompress", file, "-", "--format", "docx"), "docx")
    assert_failed(hdc("decompress", file, file.with_suffix(".docx")), ".docx")
    assert list(file.parent.iterdir()) == [file]


@pytest.fixture
def transparent(small_coffee: Image.Image, tmp_path: Path) -> Path:
    small_coffee.putalpha(Image.linear_gradient("L").resize(small_coffee.size))
    return saved(small_coffee, tmp_path / "clear.png")


def test_alpha_comes_back_exactly(hdc: Hdc, transparent: Path) -> None:
    alpha = opened(transparent).getchannel("A")
    assert hdc("compress", transparent).code == 0
    assert hdc("decompress", transparent.with_suffix(".hdc"), "--force").code == 0
    assert opened(transparent).mode == "RGBA"
    assert opened(transparent).getchannel("A").tobytes() == alpha.tobytes()


def test_flatten_puts_a_transparent_picture_on_a_colour(
    hdc: Hdc, transparent: Path, tmp_path: Path
) -> None:
    layered = hdc("compress", transparent, "--json").facts
    output = tmp_path / "flat.hdc"
    flat = hdc("compress", transparent, output, "--flatten", "#ff0000", "--json").facts
    assert flat["bytes"] < layered["bytes"]
    assert hdc("decompress", output).code == 0
    image = opened(tmp_path / "flat.png")
    assert image.mode == "RGB"
    red, green, blue = np.asarray(image)[:10].mean(axis=(0, 1))
    assert red > 200
    assert max(green, blue) < 80


def test_a_format_without_alpha_needs_flatten(
    hdc: Hdc, transparent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hdc("compress", transparent).code == 0
    file, output = transparent.with_suffix(".hdc"), tmp_path / "out.jpg"
    with monkeypatch.context() as undecoded:
        undecoded.setattr("hdcodec.Codec", None)
        assert_failed(hdc("decompress", file, output), "transparency")
    assert not output.exists()
    assert hdc("decompress", file, output, "--flatten", "white").code == 0
    assert opened(output).mode == "RGB"


def test_gray_stays_gray(hdc: Hdc, small_coffee: Image.Image, tmp_path: Path) -> None:
    source = saved(small_coffee.convert("L"), tmp_path / "gray.png")
    assert hdc("compress", source).code == 0
    assert hdc("decompress", tmp_path / "gray.hdc", "--force").code == 0
    assert opened(source).mode == "L"


@pytest.fixture
def rotated(small_coffee: Image.Image, tmp_path: Path) -> Path:
    """150 x 100 pixels, to be shown as 100 x 150."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a cup"
    return saved(small_coffee, tmp_path / "rotated.jpg", exif=exif, quality=95)


def test_orientation_is_applied_and_metadata_dropped(hdc: Hdc, rotated: Path) -> None:
    facts = hdc("compress", rotated, "--json").facts
    assert (facts["width"], facts["height"]) == (100, 150)
    assert hdc("info", rotated.with_suffix(".hdc"), "--json").facts["chunks"] == {}
    assert hdc("decompress", rotated.with_suffix(".hdc")).code == 0
    assert not opened(rotated.with_suffix(".png")).getexif()


def test_metadata_is_kept_when_asked_for(hdc: Hdc, rotated: Path, tmp_path: Path) -> None:
    assert hdc("compress", rotated, "--keep-metadata").code == 0
    assert hdc("decompress", rotated.with_suffix(".hdc"), tmp_path / "out.jpg").code == 0
    exif = opened(tmp_path / "out.jpg").getexif()
    assert exif[0x010E] == "a cup"
    assert exif.get(0x0112, 1) == 1
    assert opened(tmp_path / "out.jpg").size == (100, 150)


def test_unusable_metadata_is_said_to_be_dropped(hdc: Hdc, rotated: Path, tmp_path: Path) -> None:
    assert hdc("compress", rotated, "--keep-metadata").code == 0
    run = hdc("decompress", rotated.with_suffix(".hdc"), tmp_path / "out.bmp")
    assert run.code == 0
    assert run.err.startswith("hdc: warning: ")
    assert "EXIF" in run.err


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (65, 64), (257, 3)])
def test_odd_sizes(
    hdc: Hdc, small_coffee: Image.Image, size: tuple[int, int], tmp_path: Path
) -> None:
    source = saved(small_coffee.resize(size), tmp_path / "odd.png")
    assert hdc("compress", source).code == 0
    assert hdc("decompress", tmp_path / "odd.hdc", "--force").code == 0
    assert opened(source).size == size


# Info and models


def test_info_names_every_field(hdc: Hdc, file: Path) -> None:
    facts = hdc("info", file, "--json").facts
    assert {"version": 1, "model": "hdc", "width": 150, "height": 100, "quality": 50}.items() <= (
        facts.items()
    )
    sections = [facts[f"{name}_bytes"] for name in ("header", "chunk", "lic", "vq")]
    assert sum(sections) == facts["bytes"] == file.stat().st_size
    assert sections[0] <= 12
    text = hdc("info", file).out.decode()
    assert all(name.replace("_", " ") in text for name in facts)


def test_models_are_intact(hdc: Hdc) -> None:
    models = hdc("models", "--json").facts["models"]
    assert [(model["model_id"], model["model"]) for model in models] == [
        (number, model.family) for number, model in MODELS.items()
    ]
    for model in models:
        assert model["bytes"] == sum(file["bytes"] for file in model["files"])
        assert all(part["state"] == "intact" for part in (model, *model["files"]))
        assert f"{model['model']} (id {model['model_id']}): " in hdc("models").out.decode()


def test_models_are_those_of_this_release(hdc: Hdc, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = dict(MODELS)
    monkeypatch.setitem(MODELS, 0, Model("hdc", 2, "0.0"))
    run = hdc("models", "--json")
    assert run.code == 0
    assert {model["model_id"] for model in run.facts["models"]} == set(shipped)


# Verify


def test_verify_says_the_hash_that_info_says(hdc: Hdc, file: Path) -> None:
    digest = hdc("info", file, "--json").facts["symbols_sha256"]
    found = hdc("verify", file, "--json").facts
    assert found == {"input": str(file), "ok": True, "symbols_sha256": digest}
    assert hdc("verify", file) == Run(0, f"{file}: ok, symbols {digest}\n".encode(), "")
    assert hdc("verify", "-", stdin=file.read_bytes()).out == f"-: ok, symbols {digest}\n".encode()
    assert hdc("verify", file, "--quiet") == Run(0, b"", "")


def test_verify_goes_on_after_a_bad_file(hdc: Hdc, file: Path, tmp_path: Path) -> None:
    good, cut, lost = file, tmp_path / "cut.hdc", tmp_path / "lost.hdc"
    cut.write_bytes(file.read_bytes()[:-4])
    run = hdc("verify", cut, good, lost, tmp_path, "--json")
    found = [json.loads(line) for line in run.out.splitlines()]
    assert (run.code, run.err) == (1, "")
    assert [facts["input"] for facts in found] == [str(cut), str(good), str(lost), str(tmp_path)]
    assert [facts["ok"] for facts in found] == [False, True, False, False]
    assert [facts["symbols_sha256"] is None for facts in found] == [True, False, True, True]
    assert "checksum" in found[0]["error"]
    assert found[2]["error"] == os.strerror(errno.ENOENT)

    run = hdc("verify", cut, good, lost)
    assert run.code == 1
    assert run.out.startswith(f"{good}: ok".encode())
    assert [line.partition(": ")[2].partition(": ")[0] for line in run.err.splitlines()] == [
        str(cut),
        str(lost),
    ]
    quiet = hdc("verify", cut, good, lost, "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (1, b"", run.err)


def test_verify_finds_what_decodes_but_was_not_encoded(hdc: Hdc, file: Path) -> None:
    box = unpack(file.read_bytes())
    file.write_bytes(pack(box.header, box.payload + b"hidden", box.chunks))
    assert hdc("info", file).code == 0
    assert_failed(hdc("verify", file), str(file), "encoder")


def test_verify_keeps_to_the_limit_of_pixels(hdc: Hdc, file: Path) -> None:
    assert hdc("verify", file, "--max-pixels", 15_000).code == 0
    assert_failed(hdc("verify", file, "--max-pixels", 14_999), "14999")


def test_verify_does_not_import_torch(file: Path) -> None:
    modules = imported("verify", str(file))
    assert "hdcodec.cli.verify" in modules
    assert "torch" not in modules


# Outputs that must not be touched


def test_an_existing_output_needs_force(hdc: Hdc, picture: Path) -> None:
    output = picture.with_suffix(".hdc")
    output.write_bytes(b"precious")
    assert_failed(hdc("compress", picture), str(output), "--force")
    assert output.read_bytes() == b"precious"
    assert hdc("compress", picture, "--force").code == 0
    assert output.read_bytes().startswith(b"\xabH")

    before = picture.read_bytes()
    assert_failed(hdc("decompress", output), str(picture), "--force")
    assert picture.read_bytes() == before


def test_the_input_is_never_the_output(hdc: Hdc, picture: Path) -> None:
    before = picture.read_bytes()
    assert_failed(hdc("compress", picture, picture, "--force"), "is the input")
    assert picture.read_bytes() == before


def test_a_folder_that_is_not_there_is_not_made_a_file(hdc: Hdc, picture: Path) -> None:
    """As a user who writes out/ means a folder."""
    folder, file = picture.parent / "out", picture.with_suffix(".hdc")
    assert hdc("compress", picture).code == 0
    for command in [("compress", picture), ("decompress", file)]:
        run = hdc(*command, f"{folder}/", "--force")
        assert_failed(run, f"cannot write {folder}/: its directory does not exist")
        assert not folder.exists()


@pytest.mark.parametrize("other", ["other.jpg", "other.HEIC", "other.nef", "other.mpo"])
def test_a_picture_is_never_the_output(hdc: Hdc, picture: Path, other: str) -> None:
    """As it would be where a shell makes two names of `*.jpg`."""
    (picture.parent / other).write_bytes(b"precious")
    assert_failed(hdc("compress", picture, picture.parent / other, "-f"), other, "a picture")
    assert (picture.parent / other).read_bytes() == b"precious"


def test_an_hdc_file_is_never_the_output_of_another_command(hdc: Hdc, file: Path) -> None:
    other = file.parent / "other.hdc"
    other.write_bytes(b"precious")
    assert_failed(hdc("decompress", file, other, "--format", "png", "-f"), "an .hdc file")
    page = hdc("compare", file, file, "-o", other.with_suffix(".jpg"))
    assert_failed(page, "a picture")
    assert other.read_bytes() == b"precious"


def test_a_link_as_output_stays(hdc: Hdc, picture: Path, tmp_path: Path) -> None:
    link, real = tmp_path / "link.hdc", tmp_path / "real" / "file.hdc"
    real.parent.mkdir()
    real.write_bytes(b"old")
    real.chmod(0o600)
    link.symlink_to(real)
    assert_failed(hdc("compress", picture, link), "exists")
    assert hdc("compress", picture, link, "-f").code == 0
    assert link.is_symlink() and real.read_bytes().startswith(b"\xabH")
    assert real.stat().st_mode & 0o777 == 0o600
    (tmp_path / "lost.hdc").symlink_to("nowhere.hdc")
    assert_failed(hdc("compress", picture, tmp_path / "lost.hdc"), "exists")


# Outputs that are no files to replace


def shell(script: str, *arguments: object) -> Run:
    """A script in which `hdc` is the command."""
    script = f'hdc() {{ {sys.executable} -m hdcodec "$@"; }}; {script}'
    done = subprocess.run(["bash", "-c", script, "bash", *map(str, arguments)], capture_output=True)
    return Run(done.returncode, done.stdout, done.stderr.decode())


needs_descriptors = pytest.mark.skipif(
    not (Path("/dev/fd").exists() and Path("/bin/bash").exists()), reason="for bash and /dev/fd"
)


@needs_descriptors
@pytest.mark.parametrize(
    ("place", "options", "into"),
    [
        ("/dev/stdout", "", ">>"),
        ("/dev/stdout", "--json --force", "| cat >>"),
        ("/dev/fd/1", "", "| cat >>"),
        ("/proc/self/fd/1", "--force", ">>"),
        ("{}/link", "--force", ">>"),
    ],
)
def test_stdout_by_name_holds_the_result_alone(
    hdc: Hdc, picture: Path, tmp_path: Path, place: str, options: str, into: str
) -> None:
    place = place.format(tmp_path)
    (tmp_path / "link").symlink_to("/dev/fd/1")
    (tmp_path / "all").write_bytes(b"before")
    run = shell(f'hdc compress "$1" "$2" {options} {into} "$3"', picture, place, tmp_path / "all")
    assert hdc("compress", picture).code == 0
    assert (run.code, run.out) == (0, b"")
    assert (tmp_path / "all").read_bytes() == b"before" + picture.with_suffix(".hdc").read_bytes()
    assert run.err.startswith("{" if "--json" in options else f"{place}: ")
    assert (tmp_path / "link").is_symlink()


@needs_descriptors
def test_the_report_keeps_out_of_a_pipe_or_file_that_holds_the_result(
    hdc: Hdc, picture: Path, tmp_path: Path
) -> None:
    shared = 'hdc compress "$1" /dev/fd/3 3>&1 | cat > "$2"'
    apart = 'hdc compress "$1" /dev/fd/3 3> "$2"'
    assert hdc("compress", picture).code == 0
    wanted = picture.with_suffix(".hdc").read_bytes()
    for script in (shared, apart):
        run = shell(script, picture, tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == wanted
        assert (b"bytes" in run.out, "bytes" in run.err) == (script == apart, script == shared)


@needs_descriptors
def test_decompress_and_compare_write_to_descriptors(file: Path, tmp_path: Path) -> None:
    run = shell('hdc decompress "$1" /dev/stdout --format tiff | cat', file)
    with Image.open(BytesIO(run.out)) as image:
        assert (image.format, image.size) == ("TIFF", (150, 100))
    assert run.err.startswith("/dev/stdout: 150x100, ")
    saved(opened_bytes(run.out), tmp_path / "a.png")
    script = 'hdc compare "$1" "$2" -o /dev/stdout --against "" --metrics psnr > "$3"'
    run = shell(script, tmp_path / "a.png", file, tmp_path / "page")
    assert (run.code, run.out) == (0, b""), run.err
    page = (tmp_path / "page").read_bytes()
    assert page.startswith(b"<!doctype html>") and page.rstrip().endswith(b"</html>")


def opened_bytes(content: bytes) -> Image.Image:
    with Image.open(BytesIO(content)) as image:
        image.load()
        return image


@needs_descriptors
def test_an_open_input_is_never_the_output(picture: Path) -> None:
    before = picture.read_bytes()
    assert_failed(shell('hdc compress "$1" /dev/fd/3 3>> "$1"', picture), "is the input")
    assert picture.read_bytes() == before


@needs_descriptors
def test_bytes_are_counted_where_an_input_has_no_size(picture: Path, tmp_path: Path) -> None:
    size = picture.stat().st_size
    scripts = [
        'hdc compress <(cat "$1") "$3" --json',
        'mkfifo "$2"; cat "$1" > "$2" & hdc compress "$2" - --json > "$3"',
        'hdc compress /dev/stdin "$3" -f --json < "$1"',
    ]
    for script in scripts:
        run = shell(script, picture, tmp_path / "pipe", tmp_path / "out.hdc")
        assert json.loads(run.out + run.err.encode())["input_bytes"] == size


@needs_descriptors
def test_an_input_that_is_open_already_goes_to_stdout(file: Path) -> None:
    for script in ('hdc decompress /dev/stdin < "$1"', 'hdc decompress <(cat "$1") | cat'):
        run = shell(script, file)
        assert run.code == 0, run.err
        assert opened_bytes(run.out).size == (150, 100)
    assert {path.name for path in file.parent.iterdir()} == {file.name}


def test_an_output_in_no_folder_fails_early(hdc: Hdc, picture: Path) -> None:
    assert_failed(hdc("compress", picture, picture.parent / "no" / "a.hdc"), "directory")
    assert_failed(hdc("compress", picture, picture.parent), "directory")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_one_line(file: Path) -> None:
    for arguments in (["info", str(file)], ["decompress", str(file), "-"]):
        command = [sys.executable, "-m", "hdcodec", *arguments]
        with open("/dev/full", "wb") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
        assert_failed(Run(done.returncode, b"", done.stderr))


# Bad input


def bad_files() -> dict[str, bytes]:
    good = pack(header(width=150, height=100, quality=100, kept=4), bytes(range(200)))
    flipped = bytearray(good)
    flipped[20] ^= 1
    return {
        "empty": b"",
        "foreign": b"GIF89a" + bytes(100),
        "stub": good[:4],
        "truncated": good[:-20],
        "flipped": bytes(flipped),
        "trailing": good + b"\0",
        "version": good[:2] + bytes([good[2] | 0xF0]) + good[3:],
        "model": good[:3] + b"\xfe" + good[4:],
        "huge": pack(header(width=65_535, height=65_535, quality=100, kept=4), b""),
    }


@pytest.mark.parametrize("command", ["info", "decompress", "verify"])
@pytest.mark.parametrize("kind", bad_files())
def test_bad_files_are_one_line_and_no_output(
    hdc: Hdc, command: str, kind: str, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.hdc"
    bad.write_bytes(bad_files()[kind])
    assert_failed(hdc(command, bad), f"hdc: {bad}: ")
    assert list(tmp_path.iterdir()) == [bad]


@pytest.mark.parametrize("command", ["compress", "info", "decompress", "verify"])
def test_missing_inputs_and_folders(hdc: Hdc, command: str, tmp_path: Path) -> None:
    assert_failed(hdc(command, tmp_path / "none.hdc"), "none.hdc")
    outputs = {"compress": ["out.hdc"], "decompress": ["out.png"]}.get(command, [])
    assert_failed(hdc(command, tmp_path, *outputs), tmp_path.name)


def test_what_is_wrong_with_a_file_of_another_kind_names_it(hdc: Hdc, picture: Path) -> None:
    other = picture.with_suffix(".jpg")
    other.write_bytes(picture.read_bytes())
    picture.unlink()
    for command in (["compare", other], ["decompress"], ["info"], ["verify"]):
        assert_failed(hdc(*command, other), f"hdc: {other}: this is not an .hdc file")
    assert_failed(hdc("info", "-", stdin=b"text"), "hdc: -: this is not an .hdc file")


@pytest.mark.parametrize("command", ["compress", "info", "decompress", "verify"])
@pytest.mark.parametrize("folder", [".", "/", ".."])
def test_a_folder_is_no_input(hdc: Hdc, command: str, folder: str) -> None:
    assert_failed(hdc(command, folder), folder, "Is a directory")


@pytest.mark.parametrize("command", ["compress", "info", "decompress", "verify"])
def test_an_input_that_may_not_be_read_is_one_line(
    hdc: Hdc, command: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs this: root may read everything."""
    denied = PermissionError(errno.EACCES, "Permission denied", str(file))

    def closed(path: Any, *arguments: Any, **options: Any) -> Any:
        if path == str(file):
            raise denied
        return opens(path, *arguments, **options)

    opens = open
    monkeypatch.setattr("builtins.open", closed)
    monkeypatch.setattr(os, "access", lambda path, *_, **__: path != str(file))
    arguments = [file, file.with_name("out.hdc")] if command == "compress" else [file]
    assert_failed(hdc(command, *arguments), str(file), "Permission denied")


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_unreadable_pictures(hdc: Hdc, content: bytes, tmp_path: Path) -> None:
    source = tmp_path / "bad.png"
    source.write_bytes(content)
    assert_failed(hdc("compress", source), "bad.png")
    assert_failed(hdc("compress", "-", tmp_path / "out.hdc", stdin=content))
    assert list(tmp_path.iterdir()) == [source]


def test_a_truncated_picture(hdc: Hdc, picture: Path) -> None:
    picture.write_bytes(picture.read_bytes()[:500])
    assert_failed(hdc("compress", picture), "coffee.png")
    assert list(picture.parent.iterdir()) == [picture]


def test_max_pixels_guards_both_ways(hdc: Hdc, picture: Path) -> None:
    assert_failed(hdc("compress", picture, "--max-pixels", 14_999), "150x100", "limit of 14999")
    assert hdc("compress", picture, "--max-pixels", 15_000).code == 0
    file, output = picture.with_suffix(".hdc"), picture.with_suffix(".bmp")
    assert_failed(hdc("decompress", file, output, "--max-pixels", 14_999), "limit")
    assert hdc("decompress", file, output, "--max-pixels", 15_000).code == 0


def test_max_pixels_raises_the_limit_for_one_picture_alone(
    hdc: Hdc, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7_000)
    assert_failed(hdc("compress", picture), "too large")
    assert_failed(hdc("compress", picture, "--max-pixels", 14_999), "limit of 14999")
    assert hdc("compress", picture, "--max-pixels", 15_000).code == 0
    assert Image.MAX_IMAGE_PIXELS == 7_000


def test_an_unknown_model(hdc: Hdc, picture: Path) -> None:
    assert_failed(hdc("compress", picture, "--model", "zip"), "zip")
    assert list(picture.parent.iterdir()) == [picture]


def test_cuda_is_used_or_said_to_be_absent(hdc: Hdc, picture: Path) -> None:
    import torch

    run = hdc("compress", picture, "--device", "cuda", "--json")
    if torch.cuda.is_available():
        assert run.facts["device"].startswith("cuda")
    else:
        assert_failed(run)


# Failures of any other kind


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MemoryError(), 1, "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 1, "not enough memory"),
        (RuntimeError("[enforce fail] . DefaultCPUAllocator: not enough memory: you"), 1, "memory"),
        (RuntimeError("CUDA error: out of memory"), 1, "not enough memory"),
        (RuntimeError("std::bad_alloc"), 1, "not enough memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 1, "not enough memory"),
        (ImportError("libx.so: failed to map segment from shared object"), 1, "not enough memory"),
        (RuntimeError("unsupported memory_format: channels_last"), 1, "unforeseen"),
        (RuntimeError("the shared memory manager is gone"), 1, "unforeseen"),
        (OSError(errno.ENOSPC, "No space left on device", "a.hdc"), 1, "a.hdc: No space left"),
        (ModuleNotFoundError("No module named 'ray'", name="ray"), 1, "ray"),
        (KeyError("two\nlines"), 1, "unforeseen"),
        (EOFError("no data left"), 1, "unforeseen"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.Abort(), 130, "interrupted"),
    ],
)
def test_no_failure_shows_a_traceback(
    hdc: Hdc,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    message: str,
) -> None:
    @click.command()
    def command() -> None:
        raise error

    module = ModuleType("hdcodec.cli.fail")
    module.__dict__["command"] = command
    monkeypatch.setitem(sys.modules, "hdcodec.cli.fail", module)
    monkeypatch.setitem(COMMANDS, "fail", "Fail.")
    run = hdc("fail")
    assert_failed(run._replace(err=run.err.lstrip("\n")), message, code=code)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_an_interrupt_ends_it_with_130_and_no_output(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.hdc"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "hdcodec", "decompress", str(pipe)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with pipe.open("wb"):  # opens as soon as the command reads
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == "hdc: interrupted"
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="the system does not list maps")
@pytest.mark.parametrize("delay", [0, 0.03, 0.1, 0.3])
def test_an_interrupt_while_torch_is_imported(
    photo_files: dict[str, Path], tmp_path: Path, delay: float
) -> None:
    command = [sys.executable, "-m", "hdcodec", "compress", "--effort", "10"]
    command += [str(photo_files["coffee"]), str(tmp_path / "out.hdc")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    maps = Path(f"/proc/{process.pid}/maps")
    while "libtorch" not in maps.read_text():
        assert process.poll() is None
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "hdc: interrupted\n")
    assert not list(tmp_path.iterdir())
