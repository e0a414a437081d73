"""Measuring folders: curves, rivals, stored points, reports, the command."""

import json
import math
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hdcodec import HdcError
from hdcodec.cli import main
from hdcodec.eval import (
    Curve,
    Files,
    Point,
    Report,
    Store,
    at_rate,
    bd_rate,
    measure,
    own_curves,
    picture_files,
    rival_curves,
    run,
)
from hdcodec.eval.gallery import gallery

METRICS = ["psnr", "msssim"]

rising = st.lists(st.integers(1, 1000), min_size=2, max_size=8, unique=True).map(sorted)
curves = rising.flatmap(
    lambda rates: st.tuples(
        st.just([rate / 1000 for rate in rates]),
        st.lists(st.integers(0, 500), min_size=len(rates), max_size=len(rates), unique=True).map(
            lambda values: [value / 10 for value in sorted(values)]
        ),
    )
)


@settings(deadline=None)
@given(curves, st.floats(0.1, 10))
def test_bd_rate_of_a_scaled_rate_is_that_scale(
    curve: tuple[list[float], list[float]], scale: float
) -> None:
    rates, qualities = curve
    scaled = [rate * scale for rate in rates]
    assert bd_rate(scaled, qualities, rates, qualities) == pytest.approx(
        100 * (scale - 1), abs=1e-6
    )


@settings(deadline=None)
@given(curves)
def test_value_at_a_measured_rate_is_the_measured_value(
    curve: tuple[list[float], list[float]],
) -> None:
    rates, qualities = curve
    assert list(at_rate(rates, qualities, rates)) == pytest.approx(qualities, abs=1e-9)


@settings(deadline=None)
@given(curves, st.floats(0, 2))
def test_values_stay_inside_the_measured_range(
    curve: tuple[list[float], list[float]], target: float
) -> None:
    rates, qualities = curve
    value = at_rate(rates, qualities, [target])[0]
    if rates[0] <= target <= rates[-1]:
        assert qualities[0] - 1e-9 <= value <= qualities[-1] + 1e-9
    else:
        assert math.isnan(value)


def test_interpolation_runs_in_the_logarithm_of_the_rate() -> None:
    assert at_rate([0.01, 0.04], [20, 30], [0.02])[0] == pytest.approx(25)


def test_points_that_a_cheaper_one_beats_are_left_out() -> None:
    assert at_rate([0.01, 0.02, 0.04], [20, 10, 30], [0.02])[0] == pytest.approx(25)


def test_curves_without_common_quality_have_no_bd_rate() -> None:
    assert math.isnan(bd_rate([0.1, 0.2], [20, 21], [0.1, 0.2], [25, 26]))
    assert math.isnan(bd_rate([0.1], [20], [0.1, 0.2], [19, 26]))


@pytest.mark.parametrize("name", ["avif", "avif@x4", "webp", "webp@x2", "jpeg", "jpeg@x4"])
def test_rivals_code_from_coarse_to_fine(name: str, small_coffee: Image.Image) -> None:
    curve = next(c for c in rival_curves([name]) if c.name == name)
    files = [curve.encode(small_coffee, setting) for setting in curve.settings]
    assert sorted(map(len, files)) == list(map(len, files))
    assert {curve.decode(file, small_coffee.size).size for file in files} == {small_coffee.size}


@pytest.mark.parametrize("name", ["avif", "webp", "jpeg"])
def test_rivals_pay_for_pixels_alone(name: str, small_cat: Image.Image) -> None:
    curve = rival_curves([name])[0]
    plain = curve.encode(small_cat, 10)
    small_cat.info |= {
        "icc_profile": bytes(3000),
        "exif": b"Exif\0\0" + bytes(500),
        "dpi": (72, 72),
    }
    assert curve.encode(small_cat, 10) == plain


def test_bare_avif_brings_its_downscaled_self_once() -> None:
    assert [c.name for c in rival_curves(["avif", "jpeg", "avif@x2"])] == [
        "avif",
        "avif@x2",
        "jpeg",
    ]


@pytest.mark.parametrize("name", ["heic", "vvc@x3", "avif@x3", "avif@", "@x2", ""])
def test_unknown_rivals_are_errors(name: str) -> None:
    with pytest.raises(HdcError, match="unknown rival"):
        rival_curves([name])


@pytest.fixture
def folder(tmp_path: Path, photos: dict[str, Image.Image]) -> Path:
    """Two photographs of 200 x 170 pixels and a file that is no picture."""
    target = tmp_path / "pictures"
    target.mkdir()
    for name in ("cat", "coffee"):
        photos[name].resize((200, 170)).save(target / f"{name}.png")
    (target / "notes.txt").write_text("no picture")
    return target


@pytest.fixture
def jpeg() -> Curve:
    return rival_curves(["jpeg"])[0]


def counting(curve: Curve, calls: list[float]) -> Curve:
    """The same curve, noting the setting of every call to encode."""

    def encode(image: Image.Image, setting: float) -> bytes:
        calls.append(setting)
        return curve.encode(image, setting)

    return Curve(curve.name, curve.version, (5, 10), encode, curve.decode)


def test_rows_hold_sizes_metrics_and_seconds(folder: Path, jpeg: Curve) -> None:
    rows = run(picture_files(folder), [jpeg], METRICS)
    assert [(r["image"], r["setting"]) for r in rows] == [
        (image, setting) for image in ("cat.png", "coffee.png") for setting in jpeg.settings
    ]
    with Image.open(folder / "cat.png") as image:
        data = jpeg.encode(image, jpeg.settings[0])
    assert rows[0]["bytes"] == len(data)
    assert rows[0]["bpp"] == len(data) * 8 / (200 * 170)
    assert all(row["encode_seconds"] > 0 and row["decode_seconds"] > 0 for row in rows)
    assert [row["psnr"] for row in rows[:4]] == sorted(row["psnr"] for row in rows[:4])


def test_a_file_is_made_once_for_all_that_decode_it(folder: Path, jpeg: Curve) -> None:
    calls, files = list[float](), Files()
    curve, pictures = counting(jpeg, calls), picture_files(folder)
    names = [f"jpeg dial={dial}" for dial in "ab"]
    curves = [replace(curve, name=name, encoder="jpeg") for name in names]
    rows = run(pictures, curves, ["psnr"], files=files)
    assert [(row["codec"], row["setting"]) for row in rows[:4]] == [
        (name, setting) for name in names for setting in (5, 10)
    ]
    assert rows[0]["bytes"] == rows[2]["bytes"] < rows[1]["bytes"] == rows[3]["bytes"]
    shown = gallery(rows, ["psnr"], curves[1], pictures, files)
    assert shown and shown.worst[0].row["codec"] == names[1]
    assert calls == [5, 10, 5, 10]
    run(pictures, [curve], ["psnr"], files=files)
    assert len(calls) == 4
    run(pictures, [replace(curve, name="another")], ["psnr"], files=files)
    assert len(calls) == 8


def test_own_curves_differ_in_files_only_by_the_search() -> None:
    curves = own_curves([10], {"fidelity": [0.0, 1.0], "denoising_steps": [1, 2]})
    curves += own_curves([10], options={"effort": 1, "metric_weights": "somewhere"})
    curves += own_curves([10], options={"effort": 1, "tune": "perceptual"})
    curves += own_curves([10], {"fidelity": []})
    assert len({curve.name for curve in curves}) == 7
    assert curves[0].name == "hdc fidelity=0 denoising_steps=1"
    assert curves[4].name == "hdc effort=1"
    assert len({curve.encoder for curve in curves[:4]}) == 1
    assert len({curve.encoder for curve in curves}) == 3


def test_stored_points_are_not_coded_again(folder: Path, jpeg: Curve, tmp_path: Path) -> None:
    path, calls = tmp_path / "points.jsonl", list[float]()
    curve, pictures = counting(jpeg, calls), picture_files(folder)
    first = run(pictures, [curve], METRICS, store=Store(path))
    assert calls == [5, 10, 5, 10]
    assert run(pictures, [curve], METRICS, store=Store(path)) == first
    assert len(calls) == 4


def test_a_line_cut_off_by_a_kill_is_done_again(folder: Path, jpeg: Curve, tmp_path: Path) -> None:
    path, calls = tmp_path / "points.jsonl", list[float]()
    curve, pictures = counting(jpeg, calls), picture_files(folder)
    run(pictures, [curve], METRICS, store=Store(path))
    path.write_bytes(path.read_bytes()[:-40])
    calls.clear()
    run(pictures, [curve], METRICS, store=Store(path))
    assert calls == [10]
    run(pictures, [curve], METRICS, store=Store(path))
    assert calls == [10]


def test_changed_pictures_codecs_and_metrics_are_measured_anew(
    folder: Path, jpeg: Curve, tmp_path: Path, small_cat: Image.Image
) -> None:
    path, calls = tmp_path / "points.jsonl", list[float]()
    curve, pictures = counting(jpeg, calls), picture_files(folder)

    def coded(curve: Curve, names: list[str]) -> int:
        calls.clear()
        run(pictures, [curve], names, store=Store(path))
        return len(calls)

    assert coded(curve, ["psnr"]) == 4
    assert coded(curve, METRICS) == 4
    assert coded(curve, ["psnr"]) == 0
    small_cat.save(folder / "cat.png")
    assert coded(curve, ["psnr"]) == 2
    newer = Curve(curve.name, "next", curve.settings, curve.encode, curve.decode)
    assert coded(newer, ["psnr"]) == 4


def test_undefined_metrics_survive_the_file(jpeg: Curve, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "small.png")
    for _ in range(2):
        store = Store(tmp_path / "points.jsonl")
        rows = run([tmp_path / "small.png"], [jpeg], METRICS, store=store)
        assert all(math.isnan(row["msssim"]) for row in rows)
    for line in (tmp_path / "points.jsonl").read_text().splitlines():
        assert json.loads(line)["msssim"] is None


def test_failures_are_told_and_do_not_stop_the_rest(folder: Path, jpeg: Curve) -> None:
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    failed: list[str] = []
    rows = run(picture_files(folder), [jpeg], ["psnr"], fail=failed.append)
    assert {row["image"] for row in rows} == {"cat.png", "coffee.png"}
    assert len(failed) == 1
    assert failed[0].startswith("broken.png: ")
    with pytest.raises(HdcError):
        run(picture_files(folder), [jpeg], ["psnr"])


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HdcError, match="no pictures"):
        picture_files(tmp_path)


def row(codec: str, image: str, setting: float, bpp: float, psnr: float) -> Point:
    fixed = {"version": "1", "digest": image, "width": 100, "height": 80}
    seconds = {"encode_seconds": 0.5, "decode_seconds": 0.25}
    size = {"setting": setting, "bytes": round(bpp * 1000), "bpp": bpp}
    return {"codec": codec, "image": image, "psnr": psnr} | fixed | seconds | size


@pytest.fixture
def report() -> Report:
    """Two codecs, the second at twice the first's rates; picture b never gets to 0.01 bpp."""
    rows = [
        row(codec, image, setting, bpp * factor * (1 if image == "a" else 2), psnr)
        for codec, factor in (("one", 1), ("two", 2))
        for image in ("a", "b")
        for setting, bpp, psnr in ((10, 0.01, 20.0), (20, 0.04, 30.0))
    ]
    return Report(rows, ["psnr"], [0.01, 0.04, 0.5], anchor="one")


def test_report_means_interpolates_and_compares(report: Report) -> None:
    told = report.as_object()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["images"] == 2
    first = told["settings"][0]
    assert (first["codec"], first["images"]) == ("one", 2)
    assert (first["bpp"], first["psnr"], first["bytes"]) == (pytest.approx(0.015), 20, 15)
    at = {(v["codec"], v["bpp"]): v["psnr"] for v in told["at_bpp"]}
    assert at["one", 0.01] == {"value": 20, "images": 1}
    assert at["one", 0.04] == {"value": pytest.approx(27.5), "images": 2}
    assert at["two", 0.5] == {"value": None, "images": 0}
    (difference,) = told["bd_rate"]
    assert (difference["codec"], difference["anchor"]) == ("two", "one")
    assert difference["psnr"] == {"value": pytest.approx(100), "images": 2}


def test_report_in_markdown_counts_incomplete_means(report: Report) -> None:
    text = report.markdown()
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["one", "10", "2", "15", "0.0150", "20.00", "0.50", "0.25"] in lines
    assert ["one", "0.01", "20.00 (1)"] in lines
    assert ["one", "0.04", "27.50"] in lines
    assert ["two", "+100.0 (2)"] in lines
    assert not any(line[:2] == ["one", "0.5"] for line in lines)


def test_command_measures_rivals(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["eval", str(folder), "--qualities", "", "--against", "jpeg,webp"]
    arguments += ["--metrics", "psnr", "--limit", "1", "--device", "cpu", "--out", str(out)]
    assert main(arguments) == 0
    tables = capsys.readouterr().out
    assert "| jpeg" in tables
    assert (out / "tables.md").read_text() == tables
    assert {p.name for p in out.iterdir()} == {"points.jsonl", "report.html", "tables.md"}
    assert len((out / "points.jsonl").read_text().splitlines()) == 7
    assert main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["images"] == 1
    assert [d["codec"] for d in told["bd_rate"]] == ["webp"]
    assert told["failed"] == []


def test_options_of_this_codec_count_beside_rivals_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["eval", str(folder), "--qualities", "", "--against", "jpeg", "--metrics", "psnr"]
    assert main([*arguments, "--model", "vae"]) == 1
    assert "unknown model 'vae'" in capsys.readouterr().err
    assert main([*arguments, "--steps", "2"]) == 2
    assert "--steps is not an option of hdc." in capsys.readouterr().err


def test_command_fails_where_a_picture_did(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.png").write_bytes(b"nothing")
    arguments = ["--qualities", "", "--against", "jpeg", "--metrics", "psnr", "--json"]
    assert main(["eval", str(folder), *arguments]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("hdc: broken.png: ")
    assert json.loads(told.out)["images"] == 2


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar_below_what_failed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "broken.png").write_bytes(b"nothing")
    arguments = ["eval", str(folder), "--qualities", "", "--against", "jpeg", "--metrics", "psnr"]
    shown: dict[str, str] = {}
    for option in ("--quiet", "--json", "--device=cpu"):
        monkeypatch.setattr("sys.stderr", Terminal())
        assert main([*arguments, option]) == 1
        shown[option] = sys.stderr.getvalue()  # type: ignore[attr-defined]
    bar = shown.pop("--device=cpu")
    assert "hdc: broken.png: " in bar
    assert "8/12" in bar and "coffee.png jpeg 15" in bar
    assert all(len(text.splitlines()) == 1 for text in shown.values())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--qualities", "101"], 2),
        (["--qualities", "10,x"], 2),
        (["--fidelity", "2"], 2),
        (["--qualities", "", "--against", "heic"], 1),
        (["--qualities", "", "--metrics", "beauty"], 1),
    ],
)
def test_command_refuses(
    arguments: list[str], code: int, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", str(folder), *arguments]) == code
    assert capsys.readouterr().err


@pytest.fixture
def vvc() -> Curve:
    pytest.importorskip("imageio_ffmpeg", reason="the vvc rival is not installed")
    return rival_curves(["vvc"])[0]


def test_vvc_codes_from_coarse_to_fine_at_any_size(vvc: Curve, small_cat: Image.Image) -> None:
    odd = small_cat.crop((0, 0, 63, 45))
    files = [vvc.encode(odd, setting) for setting in vvc.settings]
    assert sorted(map(len, files)) == list(map(len, files))
    decoded = [vvc.decode(file, odd.size) for file in files]
    assert {picture.size for picture in decoded} == {odd.size}
    errors = [measure(odd, picture, ["psnr"])["psnr"] for picture in decoded]
    assert errors == sorted(errors)
    assert errors[-1] > 28


def test_broken_vvc_is_an_error(vvc: Curve) -> None:
    with pytest.raises(HdcError, match="vvc: "):
        vvc.decode(b"\0\0\0\1nonsense", (8, 8))
