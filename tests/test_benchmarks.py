"""Scripts that print and draw the figures of the documents."""

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from command import script
from PIL import Image

from hdcodec import TargetError
from hdcodec.eval import rival_curves

ROOT = Path(__file__).parents[1]
BESIDE = ROOT / "benchmarks" / "beside.py"
DOCS = ROOT / "docs"

# Points whose answer is known, beside others


def points(path: Path, codec: str, name: str, rate: float, lift: float) -> Path:
    rows = [
        {"codec": codec, "image": name.format(k), "bpp": rate * 2**step, "psnr": 20 + step + lift}
        for k in (3, 14)
        for step in range(6)
    ]
    path.write_text("".join(f"{json.dumps(row | {'dists': None})}\n" for row in rows))
    return path


def beside(*argv: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, str(BESIDE), *argv], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[2:]


@pytest.mark.parametrize(
    ("rate", "lift", "cells"),
    [
        (0.005, 0.0, "-50.0 (2) | 1.00 (2) | 1.00 (2)"),
        (0.01, 0.5, "-29.3 (2) | 0.50 (2) | 0.50 (2)"),
        (0.04, 0.0, "300.0 (2) | - | -2.00 (2)"),
    ],
)
def test_rate_difference_and_gaps(tmp_path: Path, rate: float, lift: float, cells: str) -> None:
    ours = points(tmp_path / "points.jsonl", "ours", "kodim{:02}.png", rate, lift)
    theirs = points(tmp_path / "curves.jsonl", "theirs", "{:02}", 0.01, 0.0)
    lines = beside(str(ours), str(theirs), "--anchor", "theirs", "--bpp", "0.02,0.1")
    assert lines == [f"| ours | theirs | psnr | {cells} |"]


def test_gaps_at_the_rates_of_single_points(tmp_path: Path) -> None:
    theirs = points(tmp_path / "curves.jsonl", "theirs", "{:02}", 0.01, 0.0)
    rows = [
        {"codec": "ours", "image": f"{name}.png", "bpp": 0.01 * 2**step, "psnr": 20 + step + lift}
        for name, step, lift in (("03", 1.5, 0.5), ("14", 3.0, 1.0), ("03", 9.0, 5.0))
    ]
    ours = tmp_path / "points.jsonl"
    ours.write_text("".join(f"{json.dumps(row)}\n" for row in rows[:2]))
    argv = (str(ours), str(theirs), "--anchor", "theirs", "--bpp")
    assert beside(*argv, "own,0.02") == ["| ours | theirs | psnr | - | 0.75 (2) | - |"]
    ours.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert beside(*argv, "own")[0].endswith("| 0.75 (2) |")
    assert beside(*argv, "own,9", "--spread")[0].endswith("| 0.50 to 1.00 (2) | - |")


def test_gaps_in_percent(tmp_path: Path) -> None:
    ours = points(tmp_path / "points.jsonl", "ours", "kodim{:02}.png", 0.01, 1.1)
    theirs = points(tmp_path / "curves.jsonl", "theirs", "{:02}", 0.01, 0.0)
    argv = (str(ours), str(theirs), "--anchor", "theirs", "--percent", "--bpp", "0.04,9")
    assert beside(*argv)[0].endswith("| 5.0 (2) | - |")


def test_only_codecs_that_were_asked_for(tmp_path: Path) -> None:
    ours = points(tmp_path / "points.jsonl", "ours", "kodim{:02}.png", 0.01, 0.0)
    assert beside(str(ours), str(ours), "--anchor", "theirs") == []
    assert beside(str(ours), str(ours), "--anchor", "ours", "--codec", "another") == []


# Pictures at equal bytes


@pytest.fixture(scope="module")
def figures() -> Any:
    return script("docs/make_figures.py")


def as_jpeg(figures: Any, image: Image.Image, quality: int) -> Any:
    out = BytesIO()
    image.save(out, "JPEG", quality=quality)
    with Image.open(out) as decoded:
        return figures.Shown(out.getvalue(), decoded.convert("RGB"))


def test_avif_gets_at_least_the_bytes_and_hardly_more(
    figures: Any, small_astronaut: Image.Image
) -> None:
    roomy, tight = (figures.not_smaller("avif", small_astronaut, size) for size in (2000, 400))
    assert 2000 <= len(roomy.data) <= 2100
    assert 400 <= len(tight.data) <= 480
    assert roomy.factor < tight.factor
    assert roomy.image.size == tight.image.size == small_astronaut.size


@pytest.mark.parametrize("size", [50, 1_000_000])
def test_avif_out_of_reach_is_an_error(figures: Any, size: int, small_cat: Image.Image) -> None:
    with pytest.raises(TargetError, match="113x75"):
        figures.not_smaller("avif", small_cat, size)


def test_vvc_stands_beside_avif_in_a_figure(figures: Any, small_astronaut: Image.Image) -> None:
    pytest.importorskip("imageio_ffmpeg", reason="the vvc rival is not installed")
    small, vvc = small_astronaut.resize((96, 96)), rival_curves(["vvc"])[0]
    assert len(vvc.encode(small, 0)) <= len(figures.not_smaller("vvc", small, 400).data) <= 500
    two = figures.side_by_side(small, as_jpeg(figures, small, 5), rivals=("avif", "vvc"))
    assert two.width >= 4 * 96


def test_figure_shows_three_labelled_pictures(figures: Any, small_cat: Image.Image) -> None:
    ours = as_jpeg(figures, small_cat, 10)
    one = figures.side_by_side(small_cat, ours)
    assert one.width >= 3 * 113
    assert one.height > 75
    assert one.crop((0, 0, 113, 75)).tobytes() == small_cat.tobytes()
    labels = one.crop((0, 75, *one.size)).convert("L")
    assert labels.getextrema() == (0, 255)
    narrow = figures.side_by_side(small_cat, ours, width=60)
    assert 180 <= narrow.width < one.width
    sheet = figures.contact_sheet([one, narrow])
    assert sheet.width == one.width
    assert sheet.height > one.height + narrow.height


@pytest.mark.parametrize(
    ("name", "codec"), [("rates", "jpeg"), ("dial", "hdc effort=1 fidelity=0.5")]
)
def test_plots_of_points(tmp_path: Path, name: str, codec: str) -> None:
    pytest.importorskip("matplotlib")
    metrics = {"psnr": 20.0, "dists": 0.1, "lpips_alex": 0.2}
    rows = [
        {"codec": codec, "version": "1", "setting": setting, "image": image, "digest": "",
         "bpp": setting / 100, "bytes": 9, "encode_seconds": 1, "decode_seconds": 1} | metrics
        for image in "ab" for setting in (10, 50)
    ]  # fmt: skip
    (tmp_path / "points.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    plotter, out = DOCS / f"make_{name}.py", tmp_path / "plot.png"
    subprocess.run([sys.executable, plotter, tmp_path / "points.jsonl", out], check=True)
    with Image.open(out) as plot:
        assert len(plot.convert("L").getcolors() or []) > 10


def blind(*argv: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "blind.py"), *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_sheet_without_names(small_cat: Image.Image, tmp_path: Path) -> None:
    colours = {"one": "red", "other": "blue"}
    for folder in ("originals", *colours):
        (tmp_path / folder).mkdir()
        for name in ("a.png", "b.png", "c.png", "d.png"):
            picture = Image.new("RGB", small_cat.size, colours.get(folder, "white"))
            (small_cat if folder == "originals" else picture).save(tmp_path / folder / name)
    (tmp_path / "one" / "d.png").unlink()
    sheet = tmp_path / "sheet.png"
    folders = [tmp_path / folder for folder in ("originals", *colours)]
    assert blind(*folders, sheet, "--side", 64, "--seed", 1).returncode == 0
    drawn = Image.open(sheet)
    assert drawn.size == (3 * 128 + 2 * 8, 3 * (128 + 8))
    left = ["l" if drawn.getpixel((5, 136 * k + 5)) == (255, 0, 0) else "r" for k in range(3)]
    assert {"l", "r"} == set(left)
    told = blind(*folders, sheet, "--answers", "".join(left)).stdout
    assert f"{folders[1]} 3, {folders[2]} 0, neither 0; by chance as clear in 25 %" in told
    wrong = blind(*folders, sheet, "--answers", "lx")
    assert wrong.returncode == 1 and "3 answers l, r or = are needed" in wrong.stderr


@pytest.mark.parametrize("line", ["drawing.py {file} {folder}", "parts.py {folder}"])
def test_what_cannot_be_measured_is_told_in_one_line(line: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.pt").write_bytes(b"garbage")
    name, *argv = line.format(file=tmp_path / "wrong.pt", folder=tmp_path).split()
    command = [sys.executable, ROOT / "benchmarks" / name, *argv]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
