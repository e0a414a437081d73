"""Folders through the command line: what is made, skipped, reported, and left by a kill."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hdcodec import HdcError, compress, info
from hdcodec.batch import Item, Plan, Row, layout, make_plan, schedule
from hdcodec.batch.cores import usable_cores
from hdcodec.batch.names import outputs
from hdcodec.batch.schedule import Death, Outcome
from hdcodec.batch.work import Job, Worker
from hdcodec.models.hdc import Family as Hdc

HDC = [sys.executable, "-m", "hdcodec", "batch"]
MANY = 100
PATIENCE = 180


class Run(NamedTuple):
    code: int
    out: str
    err: str


def hdc(*arguments: object) -> Run:
    done = subprocess.run([*HDC, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    return Run(done.returncode, done.stdout, done.stderr)


def rows_of(report: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in report.read_text().splitlines()]


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def save(image: Image.Image, path: Path, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


@pytest.fixture(scope="module")
def tiny(photo_files: dict[str, Path]) -> Image.Image:
    """64 x 48 pixels."""
    with Image.open(photo_files["coffee"]) as image:
        return image.convert("RGB").resize((64, 48))


# One run over a folder that has everything in it


@pytest.fixture(scope="module")
def photos_folder(tiny: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("batch") / "photos"
    for name in ("a.png", "a.jpg", "B.PNG", "sub/c.webp", "sub/deep/d.bmp", "sub/.hidden.png"):
        save(tiny, source / name)
    save(tiny, source / ".trash" / "e.png")
    save(tiny, source / "nameless", format="PNG")
    (source / "notes.txt").write_text("not a picture")
    (source / "broken.png").write_bytes(b"not a picture either")
    (source / "cut.png").write_bytes((source / "a.png").read_bytes()[:200])
    (source / "sub" / "loop").symlink_to("..")
    (source / "dangling.png").symlink_to("nowhere")
    return source


@pytest.fixture(scope="module")
def packed(photos_folder: Path) -> tuple[Run, Path, list[dict[str, Any]]]:
    """The run, its outputs and the rows of its report."""
    target, report = photos_folder.parent / "packed", photos_folder.parent / "report.jsonl"
    run = hdc("compress", photos_folder, target, "--workers", 2, "--report", report, "--json")
    return run, target, rows_of(report)


Packed = tuple[Run, Path, list[dict[str, Any]]]


def test_the_tree_is_mirrored_and_names_are_told_apart(packed: Packed) -> None:
    _, target, _ = packed
    assert files_in(target) == {
        "a.png.hdc", "a.jpg.hdc", "B.hdc", "sub/c.hdc", "sub/deep/d.hdc", "nameless.hdc",
    }  # fmt: skip
    for path in target.rglob("*.hdc"):
        assert (info(path.read_bytes())["width"], info(path.read_bytes())["height"]) == (64, 48)


def test_the_report_has_a_row_per_file_in_order(packed: Packed, photos_folder: Path) -> None:
    _, target, rows = packed
    names = [PurePosixPath(row["input"]).relative_to(photos_folder) for row in rows]
    assert names == sorted(names, key=lambda name: name.parts)
    status = {str(name): row["status"] for name, row in zip(names, rows, strict=True)}
    assert status == {
        "a.png": "done", "a.jpg": "done", "B.PNG": "done", "nameless": "done",
        "sub/c.webp": "done", "sub/deep/d.bmp": "done",
        "notes.txt": "skipped", ".trash": "skipped", "sub/.hidden.png": "skipped",
        "sub/loop": "skipped",
        "broken.png": "failed", "cut.png": "failed", "dangling.png": "failed",
    }  # fmt: skip
    row = next(row for row in rows if row["input"] == str(photos_folder / "sub/c.webp"))
    size = (target / "sub/c.hdc").stat().st_size
    assert row["output"] == str(target / "sub/c.hdc")
    assert row["bytes"] == size
    assert row["input_bytes"] == (photos_folder / "sub/c.webp").stat().st_size
    assert row["bpp"] == pytest.approx(8 * size / (64 * 48), abs=1e-4)
    assert 0 < row["seconds"] < 60
    assert row["error"] is None


def test_failures_are_lines_and_exit_code_3(packed: Packed, photos_folder: Path) -> None:
    run, _, rows = packed
    assert run.code == 3
    failed = [row for row in rows if row["status"] == "failed"]
    for row in failed:
        assert f"hdc: {row['input']}: {row['error']}\n" in run.err
    assert sum(line.startswith("hdc: ") for line in run.err.splitlines()) == len(failed) == 3


def test_without_a_terminal_there_is_a_line_per_file(packed: Packed, photos_folder: Path) -> None:
    run, target, _ = packed
    line = next(line for line in run.err.splitlines() if "c.webp" in line)
    assert f"/8 {photos_folder / 'sub/c.webp'} -> {target / 'sub/c.hdc'}: " in line


def test_the_summary_adds_up(packed: Packed) -> None:
    run, _, rows = packed
    facts = json.loads(run.out)
    done = [row for row in rows if row["status"] == "done"]
    counts = {"done": 6, "skipped": 4, "failed": 3, "unfinished": 0}
    assert counts.items() <= facts.items()
    assert facts["skipped_because"]["hidden"] == 2
    assert facts["bytes"] == sum(row["bytes"] for row in done)
    assert facts["mean_bpp"] == pytest.approx(sum(row["bpp"] for row in done) / 6, abs=1e-4)
    assert facts["images_per_second"] == pytest.approx(6 / facts["seconds"], rel=0.1)


def test_decompress_mirrors_back(packed: Packed, tmp_path: Path) -> None:
    _, target, _ = packed
    run = hdc("decompress", target, tmp_path, "--format", "jpg", "--workers", 1)
    assert run.code == 0
    assert files_in(tmp_path) == {
        "a.png.jpg", "a.jpg.jpg", "B.jpg", "sub/c.jpg", "sub/deep/d.jpg", "nameless.jpg",
    }  # fmt: skip
    with Image.open(tmp_path / "sub/c.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (64, 48))
    assert run.out.startswith("6 done, 0 skipped, 0 failed; ")


def test_corrupt_files_fail_alone(packed: Packed, tmp_path: Path) -> None:
    _, target, _ = packed
    source = tmp_path / "in"
    source.mkdir()
    good = (target / "B.hdc").read_bytes()
    (source / "good.hdc").write_bytes(good)
    (source / "cut.hdc").write_bytes(good[:-9])
    (source / "empty.hdc").write_bytes(b"")
    run = hdc("decompress", source, tmp_path / "out", "--quiet", "--workers", 1)
    assert (run.code, run.out) == (3, "")
    assert sorted(line.split(":")[1] for line in run.err.splitlines()) == [
        f" {source / 'cut.hdc'}",
        f" {source / 'empty.hdc'}",
    ]
    assert files_in(tmp_path / "out") == {"good.png"}


# What is there already


@pytest.fixture
def three(tiny: Image.Image, tmp_path: Path) -> Path:
    """A folder of three pictures."""
    for name in "abc":
        save(tiny, tmp_path / "in" / f"{name}.png")
    return tmp_path / "in"


def test_existing_outputs_are_kept_skipped_or_replaced(three: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "b.hdc").write_bytes(b"precious")

    kept = hdc("compress", three, target, "--workers", 1)
    assert kept.code == 3
    assert "exists already" in kept.err
    assert (target / "b.hdc").read_bytes() == b"precious"
    made = {name: (target / name).read_bytes() for name in ("a.hdc", "c.hdc")}

    skipped = hdc("compress", three, target, "--skip-existing", "--json")
    assert skipped.code == 0
    assert json.loads(skipped.out)["skipped_because"] == {"its output exists": 3}
    assert (target / "b.hdc").read_bytes() == b"precious"

    replaced = hdc("compress", three, target, "--force", "--quiet", "--workers", 1)
    assert replaced == Run(0, "", "")
    assert info((target / "b.hdc").read_bytes())["width"] == 64
    assert {name: (target / name).read_bytes() for name in made} == made


def test_an_output_whose_name_is_given_no_longer_is_told(tiny: Image.Image, tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    save(tiny, source / "sub" / "a.jpg")
    save(tiny, source / "b.png")
    assert hdc("compress", source, target, "--workers", 1).code == 0
    save(tiny.rotate(180), source / "sub" / "a.png")
    save(tiny.rotate(90), source / "b", format="PNG")
    run = hdc("compress", source, target, "--skip-existing", "--workers", 1, "--quiet")
    assert run.code == 0
    new = {"b.png.hdc", "b~3e23e816.hdc", "sub/a.jpg.hdc", "sub/a.png.hdc"}
    assert files_in(target) == {"b.hdc", "sub/a.hdc"} | new
    told = sorted(line for line in run.err.splitlines())
    assert [line.startswith("hdc: warning: ") for line in told] == [True, True]
    assert f"{target / 'b.hdc'} " in told[0] and "b or b.png" in told[0]
    assert f"{target / 'sub' / 'a.hdc'} " in told[1] and "a.jpg or a.png" in told[1]
    (target / "b.hdc").unlink()
    (target / "sub" / "a.hdc").unlink()
    again = hdc("compress", source, target, "--skip-existing")
    assert (again.code, again.err) == (0, "")
    assert "4 skipped" in again.out


def test_an_output_that_appears_meanwhile_is_skipped(tiny: Image.Image, tmp_path: Path) -> None:
    save(tiny, tmp_path / "a.png")
    (tmp_path / "a.hdc").write_bytes(b"of another run")
    item = Item(0, str(tmp_path / "a.png"), str(tmp_path / "a.hdc"))
    for skip, status in [(True, "skipped"), (False, "failed")]:
        job = Job("compress", str(tmp_path), str(tmp_path), skip_existing=skip)
        row = Worker(job, "cpu")(item)
        assert isinstance(row, Row)
        assert (row.status, row.reason == "its output exists") == (status, skip)
    assert (tmp_path / "a.hdc").read_bytes() == b"of another run"


def test_two_runs_on_one_folder_share_it(many: Path, tmp_path: Path) -> None:
    command = [*HDC, "compress", str(many), str(tmp_path / "out"), "--skip-existing", "--json"]
    runs = [begun(*command, "--workers", "1") for _ in range(2)]
    facts = [json.loads(run.communicate(timeout=PATIENCE)[0]) for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert sum(fact["done"] for fact in facts) == MANY
    assert all(fact["done"] + fact["skipped"] == MANY for fact in facts)


def test_fail_fast_begins_nothing_after_a_failure(three: Path, tmp_path: Path) -> None:
    (three / "a.png").write_bytes(b"broken")
    run = hdc("compress", three, tmp_path / "out", "--fail-fast", "--json", "--workers", 1)
    assert run.code == 3
    assert {"done": 0, "failed": 1, "unfinished": 2}.items() <= json.loads(run.out).items()
    assert not (tmp_path / "out").exists()


def test_a_link_in_the_destination_leads_nowhere_else(three: Path, tmp_path: Path) -> None:
    (three / "sub").mkdir()
    (three / "a.png").rename(three / "sub" / "a.png")
    target, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    target.mkdir()
    elsewhere.mkdir()
    (target / "sub").symlink_to(elsewhere)
    run = hdc("compress", three, target, "--workers", 1)
    assert run.code == 3
    assert "leads out of the destination" in run.err
    assert files_in(elsewhere) == set()
    assert {path.name for path in target.iterdir()} == {"b.hdc", "c.hdc", "sub"}


def test_a_cap_holds_for_each_file(three: Path, tmp_path: Path) -> None:
    run = hdc("compress", three, tmp_path / "out", "--target-size", 70, "--workers", 1)
    assert run.code == 0
    assert all(path.stat().st_size <= 70 for path in (tmp_path / "out").iterdir())


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="the system has no /dev/stdout")
def test_a_mask_is_found_from_elsewhere(
    three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An actor of Ray has another current folder than the command."""
    Image.new("L", (8, 8), 255).save(three / "mask.png")
    monkeypatch.chdir(tmp_path)
    options = {"mask": "mask.png", "quality": 30, "protect": "none"}
    row = Worker(Job("compress", "out", str(three), options=options), "cpu")(
        Item(0, "a.png", "out/a.hdc")
    )
    assert isinstance(row, Row) and row.status == "done", row
    assert info(three / "out" / "a.hdc")["quality_map"] == ["5"]


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_a_report_on_stdout_is_alone_there(three: Path, tmp_path: Path, name: str) -> None:
    with (tmp_path / "all").open("wb") as out:
        out.write(b"before\n")
        out.flush()
        command = [*HDC, "compress", str(three), str(tmp_path / "out"), "--report", name]
        done = subprocess.run([*command, "--workers", "1"], stdout=out, stderr=subprocess.PIPE)
    first, *rows = (tmp_path / "all").read_text().splitlines()
    assert (done.returncode, first) == (0, "before")
    assert [json.loads(row)["status"] for row in rows] == ["done"] * 3
    assert b"3 done, 0 skipped" in done.stderr


def test_the_limit_of_pixels_is_exact_and_for_these_files_alone(
    tiny: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # of which Pillow refuses the double
    save(tiny, tmp_path / "a.png")
    item = Item(0, str(tmp_path / "a.png"), str(tmp_path / "a.hdc"))
    for limit, status in [(None, "failed"), (64 * 48 - 1, "failed"), (64 * 48, "done")]:
        row = Worker(Job("compress", str(tmp_path), str(tmp_path), max_pixels=limit), "cpu")(item)
        assert isinstance(row, Row)
        assert row.status == status
        assert limit is None or status == "done" or f"limit of {limit}" in str(row.error)
        assert Image.MAX_IMAGE_PIXELS == 1000


# Wrong usage, and faults of the run as a whole


@pytest.mark.parametrize(
    "options",
    [
        ["--shard", "0/2"],
        ["--shard", "3/2"],
        ["--shard", "half"],
        ["--skip-existing", "--force"],
        ["--quality", "10", "--bpp", "0.1"],
        ["--device", "cuda:"],
        ["--workers", "0"],
        ["--ray-address", "auto"],
    ],
)
def test_wrong_usage_is_exit_code_2(three: Path, tmp_path: Path, options: list[str]) -> None:
    run = hdc("compress", three, tmp_path / "out", *options)
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("Usage: hdc batch compress")


def test_a_missing_folder_and_an_unknown_format_are_wrong_usage(tmp_path: Path) -> None:
    assert hdc("compress", tmp_path / "none", tmp_path / "out").code == 2
    assert hdc("decompress", tmp_path, tmp_path / "out", "--format", "docx").code == 2


def test_a_picture_is_never_the_report(three: Path, tmp_path: Path) -> None:
    before = (three / "a.png").read_bytes()
    run = hdc("compress", three, tmp_path / "out", "--report", three / "a.png")
    assert (run.code, run.out) == (1, "")
    assert run.err == f"hdc: cannot write {three / 'a.png'}: it has the name of a picture\n"
    assert (three / "a.png").read_bytes() == before


def test_an_empty_folder_is_done_at_once(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    run = hdc("compress", tmp_path / "in", tmp_path / "out")
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith("0 done, 0 skipped, 0 failed; ")


def test_a_device_that_is_not_there_ends_the_run(three: Path, tmp_path: Path) -> None:
    run = hdc("compress", three, tmp_path / "out", "--device", "cuda:99", "--quiet")
    assert (run.code, run.out) == (1, "")
    assert run.err == "hdc: device 'cuda:99' is not there\n"


# Killed and interrupted


@pytest.fixture
def many(tiny: Image.Image, tmp_path: Path) -> Path:
    """A folder of MANY pictures."""
    save(tiny, tmp_path / "many" / "0.png")
    for index in range(1, MANY):
        os.link(tmp_path / "many" / "0.png", tmp_path / "many" / f"{index}.png")
    return tmp_path / "many"


def started(source: Path, target: Path, *options: object) -> subprocess.Popen[str]:
    """A running compression that has made its first output."""
    command = [*HDC, "compress", *map(str, (source, target, "--workers", 2, *options))]
    process = begun(*command)
    try:
        wait_until(lambda: target.exists() and any(target.glob("*.hdc")))
    except AssertionError:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return process


def begun(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def assert_whole(target: Path) -> None:
    for path in target.glob("*.hdc"):
        assert info(path.read_bytes())["width"] == 64


def assert_the_rest_is_finished(source: Path, target: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in target.glob("*.hdc")}
    assert len(before) < MANY
    run = hdc("compress", source, target, "--skip-existing", "--json", "--workers", 2)
    assert run.code == 0
    assert json.loads(run.out)["done"] == MANY - len(before)
    assert len(list(target.glob("*.hdc"))) == MANY
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())


def test_an_interrupt_stops_it_cleanly_and_soon(many: Path, tmp_path: Path) -> None:
    target, report = tmp_path / "out", tmp_path / "report.jsonl"
    process = started(many, target, "--report", report)
    sent = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all processes
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - sent < 3
    assert process.returncode == 130
    assert err.splitlines()[-1] == "hdc: interrupted"
    assert "Traceback" not in err
    assert " unfinished" in out
    assert_whole(target)
    assert {path.suffix for path in target.iterdir()} == {".hdc"}
    done = {row["output"] for row in rows_of(report)}
    assert done <= set(map(str, target.iterdir()))
    assert_the_rest_is_finished(many, target)


@pytest.mark.parametrize(
    ("backend", "delay"),
    [("torch", 0.05), ("torch", 0.3), ("torch", 0.6), ("onnx", 0), ("onnx", 0.1), ("onnx", 0.3)],
)
def test_an_interrupt_while_it_starts(
    many: Path, tmp_path: Path, backend: str, delay: float
) -> None:
    command = [*HDC, "compress", str(many), str(tmp_path / "out"), "--backend", backend]
    process = begun(*command)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        process.kill()
        pytest.skip("the system does not list the children of a process")
    wait_until(lambda: len(children.read_text().split()) > 1)
    time.sleep(delay)
    sent = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - sent < 3
    assert (process.returncode, err.splitlines()[-1]) == (130, "hdc: interrupted")


def test_a_kill_leaves_only_whole_outputs(many: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    with started(many, target) as process:
        process.kill()
        process.communicate(timeout=30)  # until the workers, too, have closed their ends
    assert_whole(target)
    assert len(list(target.glob("*.hdc"))) < MANY


def test_a_whole_group_killed_leaves_only_whole_outputs(many: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    with started(many, target) as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)
    assert_whole(target)
    if hasattr(os, "O_TMPFILE"):
        assert {path.suffix for path in target.iterdir()} == {".hdc"}
    assert_the_rest_is_finished(many, target)


def first_worker(report: Path) -> int:
    """The process that made the first row of a report that is being written."""
    wait_until(lambda: report.exists() and "\n" in report.read_text())
    row = json.loads(report.read_text().partition("\n")[0])
    return int(row["worker"].rpartition(":")[2])


def test_nothing_is_lost_with_a_worker(many: Path, tmp_path: Path) -> None:
    target, report = tmp_path / "out", tmp_path / "report.jsonl"
    with started(many, target, "--report", report) as process:
        worker = first_worker(report)
        os.kill(worker, signal.SIGKILL)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    rows = rows_of(report)
    assert [row["status"] for row in rows] == ["done"] * MANY
    assert sum(row["worker"].endswith(f":{worker}") for row in rows) < MANY / 2
    assert len(list(target.glob("*.hdc"))) == MANY
    assert_whole(target)


@pytest.mark.parametrize(("direction", "suffix"), [("compress", ".hdc"), ("decompress", ".png")])
def test_what_a_worker_made_before_it_died_is_done(
    tiny: Image.Image, tmp_path: Path, direction: Any, suffix: str
) -> None:
    source, output = (
        tmp_path / f"a{'.png' if suffix == '.hdc' else '.hdc'}",
        tmp_path / f"b{suffix}",
    )
    if direction == "compress":
        save(tiny, source)
    else:
        source.write_bytes(compress(tiny))
    worker = Worker(Job(direction, str(tmp_path), str(tmp_path)), "cpu")
    item = Item(0, str(source), str(output))
    first = worker(item)
    assert isinstance(first, Row)
    made = output.stat().st_mtime_ns, output.read_bytes()
    second = worker(replace(item, again=True))
    assert isinstance(second, Row)
    assert replace(second, seconds=first.seconds) == first
    assert (output.stat().st_mtime_ns, output.read_bytes()) == made
    refused = worker(item)
    assert isinstance(refused, Row)
    assert (refused.status, refused.error) == ("failed", f"{output} exists already")
    output.write_bytes(b"of somebody else")
    refused = worker(replace(item, again=True))
    assert isinstance(refused, Row)
    assert (refused.status, refused.error) == ("failed", f"{output} exists already")
    assert output.read_bytes() == b"of somebody else"
    assert {path.name for path in tmp_path.iterdir()} == {source.name, output.name}


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the system has no /proc")
def test_workers_start_with_their_share_of_threads(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "77")
    report = tmp_path / "report.jsonl"
    with started(many, tmp_path / "out", "--report", report) as process:
        environment = Path(f"/proc/{first_worker(report)}/environ").read_bytes().split(b"\0")
        process.kill()
    assert f"OMP_NUM_THREADS={max(1, usable_cores() // 2)}".encode() in environment


@pytest.mark.skipif(find_spec("ray") is not None, reason="ray is installed")
def test_without_ray_its_engine_says_so(three: Path, tmp_path: Path) -> None:
    run = hdc("compress", three, tmp_path / "out", "--engine", "ray", "--quiet")
    assert (run.code, run.out) == (1, "")
    assert run.err == "hdc: this needs the Python package ray, which is not installed\n"


@pytest.fixture
def ray_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of this test's own, for a cluster and for those who use it, and no low priority."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else other work on the machine starves them


@pytest.fixture
def cluster(ray_settings: None) -> Iterator[str]:
    """The address of a Ray cluster with two cores, started by `ray start --head` on this machine.

    It listens to this machine alone, and ends with the process that was started here.
    """
    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
        command += ["--node-ip-address", "127.0.0.1", "--port", address.rpartition(":")[2]]
        command += ["--num-cpus", "2"]
        command += ["--include-dashboard", "false", "--disable-usage-stats", "--temp-dir", folder]
        with begun(*command) as head:
            try:
                wait_until(lambda: head.poll() is not None or answers(address))
                yield address
            finally:
                head.terminate()
                out, err = head.communicate(timeout=60)
    assert "Ray runtime started" in out, err


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
        return True
    return False


@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
@pytest.mark.usefixtures("ray_settings")
@pytest.mark.parametrize("own", [False, True], ids=["a cluster that runs", "a cluster of its own"])
def test_ray_loses_nothing_with_a_worker(
    many: Path, tmp_path: Path, own: bool, request: pytest.FixtureRequest
) -> None:
    target, report = tmp_path / "out", tmp_path / "report.jsonl"
    options = ["--engine", "ray", "--device", "cpu", "--report", report, "--quiet"]
    if not own:
        options += ["--ray-address", request.getfixturevalue("cluster")]
    with started(many, target, *options) as process:
        worker = first_worker(report)
        os.kill(worker, signal.SIGKILL)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    rows = rows_of(report)
    assert [row["status"] for row in rows] == ["done"] * MANY
    assert len({row["worker"] for row in rows}) == 3
    assert sum(row["worker"].endswith(f":{worker}") for row in rows) < MANY / 2
    assert_whole(target)


@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
def test_a_ray_cluster_that_is_not_there_ends_the_run(three: Path, tmp_path: Path) -> None:
    options = ["--engine", "ray", "--ray-address", "localhost:1", "--quiet"]
    run = hdc("compress", three, tmp_path / "out", *options)
    assert (run.code, run.out) == (1, "")
    assert run.err.startswith("hdc: no Ray cluster answers at localhost:1: ")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="the system has no terminals")
def test_a_terminal_shows_one_bar(three: Path, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    (three / "a.png").write_bytes(b"broken")
    command = [*HDC, "compress", str(three), str(tmp_path / "out"), "--workers", "1"]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "160"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment) as run:
        os.close(theirs)
        shown = bytearray()
        while part := read(ours):
            shown += part
    os.close(ours)
    text = shown.decode()
    assert run.returncode == 3
    assert "3/3" in text
    assert " MB" in text
    assert "/s" in text
    assert "a.png: the input is not an image" in text
    assert "b.png" not in text


def read(terminal: int) -> bytes:
    """What the terminal shows next; nothing when the other end is closed."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def test_more_processes_than_cores_are_warned_of(three: Path, tmp_path: Path) -> None:
    code = (
        "import sys, hdcodec.batch.cores as cores; cores.usable_cores = lambda: 1\n"
        "from hdcodec.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "batch", "compress", str(three), str(tmp_path / "out")]
    done = subprocess.run([*command, "--workers", "64", "--quiet"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "hdc: warning: 3 processes on 1 core take longer than 1: --workers\n"


# The plan


def planned(source: Path, **options: Any) -> Plan:
    return make_plan(source, source.parent / "elsewhere", "compress", ".hdc", **options)


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def names_of(items: Sequence[Item], folder: Path) -> list[str]:
    return [str(Path(item.input).relative_to(folder)) for item in items]


def test_shards_are_disjoint_complete_and_agree_on_names(tmp_path: Path) -> None:
    source = touch(tmp_path / "in", *(f"{i % 40}.{'png' if i < 40 else 'jpg'}" for i in range(80)))
    whole = {(item.input, item.output) for item in planned(source).items}
    shards = [planned(source, shard=(number, 3)) for number in (1, 2, 3)]
    parts = [{(item.input, item.output) for item in shard.items} for shard in shards]
    assert sum(map(len, parts)) == len(whole) == 80
    assert set().union(*parts) == whole
    assert min(map(len, parts)) > 10
    assert all([item.index for item in s.items] == list(range(len(s))) for s in shards)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["*.png"], ["a.PNG", "sub/b.png"]),
        (["sub/*"], ["sub/b.png", "sub/c.jpg"]),
        (["a.*", "*.jpg"], ["a.PNG", "sub/c.jpg"]),
        (["none", "*.txt"], []),
    ],
)
def test_patterns_choose_by_name_or_path(
    tmp_path: Path, patterns: list[str], expected: list[str]
) -> None:
    source = touch(tmp_path / "in", "a.PNG", "sub/b.png", "sub/c.jpg", "sub/d.txt")
    assert names_of(planned(source, patterns=patterns).items, source) == expected


def test_every_picture_that_can_be_read_is_worked_on(tiny: Image.Image, tmp_path: Path) -> None:
    save(tiny, tmp_path / "in" / "a.MPO", format="MPO", save_all=True, append_images=[tiny])
    assert hdc("compress", tmp_path / "in", tmp_path / "out", "--workers", 1).code == 0
    assert files_in(tmp_path / "out") == {"a.hdc"}


PLUGIN = """
from PIL import Image, ImageFile
class Heif(ImageFile.ImageFile):
    format = "HEIF"
    def _open(self):
        self._mode, self._size = "L", (8, 8)
        self.tile = [ImageFile._Tile("raw", (0, 0, 8, 8), 12, ("L", 0, 1))]
Image.register_open("HEIF", Heif, lambda start: start[4:12] == b"ftypheic")
Image.register_extension("HEIF", ".heic")
"""


def test_pictures_that_need_another_package_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = touch(tmp_path / "in", "b.heif", "c.NEF", "d.jxl", "e.txt")
    (source / "a.HEIC").write_bytes(b"\0\0\0\x0cftypheic" + bytes(64))
    reasons = [
        *["HEIC needs the Python package pillow-heif"] * 2,
        "a camera's raw file has to be developed first",
        "JPEG XL needs the Python package pillow-jxl-plugin",
        "not a picture",
    ]
    for module in ("pillow_heif", "pillow_jxl"):
        if find_spec(module) is not None:
            pytest.skip(f"{module} is installed")
    assert [row.reason for row in planned(source).settled] == reasons
    one = subprocess.run(
        [sys.executable, "-m", "hdcodec", "compress", source / "a.HEIC"], capture_output=True
    )
    assert one.returncode == 1
    assert reasons[0] in one.stderr.decode()

    package = touch(tmp_path / "packages", "pillow_heif/__init__.py")
    (package / "pillow_heif" / "HeifImagePlugin.py").write_text(PLUGIN)
    paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    run = hdc("compress", source, tmp_path / "out", "--pattern", "*.heic", "--workers", 1)
    assert run.code == 0, run.err
    assert files_in(tmp_path / "out") == {"a.hdc"}


def test_patterns_that_nothing_matches_are_an_error(three: Path, tmp_path: Path) -> None:
    run = hdc("compress", three, tmp_path / "out", "--pattern", "*.jpeg", "--pattern", "x/*")
    assert (run.code, run.out) == (1, "")
    assert run.err == f"hdc: nothing in {three} matches *.jpeg or x/*\n"
    one = [planned(three, patterns=["a.png"], shard=(number, 9)) for number in range(1, 10)]
    assert sum(map(len, one)) == 1  # the other parts are empty, and that is no error


def test_links_are_followed_once(tmp_path: Path) -> None:
    source = touch(tmp_path / "in", "x/a.png", "y/b.png")
    outside = touch(tmp_path / "outside", "c.png", "deep/d.png")
    (source / "a-link").symlink_to(source / "x")
    (source / "x" / "up").symlink_to(source)
    (source / "one").symlink_to(outside)
    (source / "two").symlink_to(outside)
    (outside / "deep" / "back").symlink_to(outside)
    (source / "e.png").symlink_to(outside / "c.png")
    plan = planned(source)
    assert names_of(plan.items, source) == [
        "e.png", "one/c.png", "one/deep/d.png", "x/a.png", "y/b.png",
    ]  # fmt: skip
    assert {row.input for row in plan.settled} == {
        str(source / name) for name in ("a-link", "two", "x/up", "one/deep/back")
    }


def test_the_destination_is_no_source(tmp_path: Path) -> None:
    source = touch(tmp_path / "in", "a.png", "out/a.png")
    plan = make_plan(source, source / "out", "compress", ".hdc")
    assert names_of(plan.items, source) == ["a.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    source = touch(tmp_path / "in")
    source.mkdir()
    os.mkfifo(source / "a.png")
    assert [row.reason for row in planned(source).settled] == ["not a regular file"]


@pytest.mark.skipif(os.getuid() == 0, reason="root may read every folder")
def test_an_unreadable_folder_has_failed(tmp_path: Path) -> None:
    source = touch(tmp_path / "in", "a.png", "sub/b.png")
    (source / "sub").chmod(0)
    plan = planned(source)
    (source / "sub").chmod(0o700)
    assert names_of(plan.items, source) == ["a.png"]
    assert [(row.status, row.error) for row in plan.settled] == [("failed", "Permission denied")]


def test_only_clashing_names_grow() -> None:
    paths = [PurePosixPath(name) for name in ("a.png", "b.png", "b.jpg", "sub/b.png", "b.png.gif")]
    assert list(map(str, outputs(paths, ".hdc"))) == [
        "a.hdc", "b.png.hdc", "b.jpg.hdc", "sub/b.hdc", "b.png.gif.hdc",
    ]  # fmt: skip


PARTS = st.text("aAbé.~", min_size=1, max_size=4).filter(lambda part: not part.startswith("."))
PATHS = st.lists(PARTS, min_size=1, max_size=2).map(lambda parts: PurePosixPath(*parts))


@given(st.lists(PATHS, unique=True, max_size=12), st.randoms())
def test_no_two_outputs_are_alike(paths: list[PurePosixPath], mixer: Any) -> None:
    names = dict(zip(paths, outputs(paths, ".hdc"), strict=True))
    assert len({str(name).casefold() for name in names.values()}) == len(paths)
    assert all(name.parent == path.parent and name.suffix == ".hdc" for path, name in names.items())
    mixer.shuffle(paths)
    assert dict(zip(paths, outputs(paths, ".hdc"), strict=True)) == names


# Sharing out the work


def test_workers_leave_each_other_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search takes more: it was 3 GB for a large picture."""
    monkeypatch.setattr("hdcodec.batch.cores.usable_cores", lambda: 8)
    monkeypatch.setattr("hdcodec.batch.cores.cgroup", lambda name: str(12 << 30))
    monkeypatch.setattr("os.sysconf", lambda name: 1 << 20)
    workers = [
        len(layout("cpu", None, 100, Hdc.Encoding(**options).memory).devices)
        for options in ({}, {"effort": 1}, {"effort": 1, "tune": "perceptual"})
    ]
    assert workers == [6, 4, 3]


def test_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hdcodec.batch.cores.usable_cores", lambda: 8)
    monkeypatch.setattr("hdcodec.batch.cores._room_for", lambda _: 64)
    assert (layout("cpu", None, 100).devices, layout("cpu", None, 100).threads) == (("cpu",) * 8, 1)
    assert (len(layout("cpu", None, 3).devices), layout("cpu", None, 3).threads) == (3, 2)
    assert layout("cpu", None, 1).threads == 8
    assert layout("cpu", 4, 100).environment["OMP_NUM_THREADS"] == "2"
    with pytest.warns(UserWarning, match="16 processes on 8 cores"):
        assert layout("cpu", 16, 100).threads == 1
    assert len(layout("cpu", 16, 8).devices) == 8
    monkeypatch.setattr("hdcodec.batch.cores._gpu_count", lambda: 2)
    monkeypatch.setattr("hdcodec.models.devices.has_driver", lambda: True)
    monkeypatch.delenv("HDC_BACKEND", raising=False)
    assert layout("auto", None, 100).devices == ("cuda:0", "cuda:1")
    assert layout("cuda:1", 2, 100).devices == ("cuda:1", "cuda:1")
    assert set(layout("auto", None, 100, backend="onnx").devices) == {"cpu"}
    assert layout("cuda", None, 100).threads == 4
    with pytest.raises(HdcError, match="cuda:2"):
        layout("cuda:0,cuda:2", None, 100)


class Scripted:
    """A crew whose members die of some items, each time or only the first."""

    def __init__(self, deadly: set[int], forgiving: set[int] | None = None) -> None:
        self.size, self.deadly, self.forgiving = 2, deadly, forgiving or set()
        self.in_hand: dict[int, Item] = {}
        self.alive: set[int] = set()

    def hire(self, slot: int) -> None:
        assert slot not in self.alive
        self.alive.add(slot)

    def give(self, slot: int, item: Item) -> None:
        assert slot in self.alive and slot not in self.in_hand
        self.in_hand[slot] = item

    def outcomes(self) -> list[tuple[int, Outcome]]:
        slot, item = self.in_hand.popitem()
        if item.index in self.deadly | self.forgiving:
            self.forgiving.discard(item.index)
            self.alive.remove(slot)
            return [(slot, Death("SIGKILL"))]
        return [(slot, Row(item.index, "done", item.input, item.output))]

    def close(self) -> None:
        self.alive.clear()


def scheduled(crew: Scripted, count: int) -> dict[int, Row]:
    rows = list(schedule(crew, [Item(i, f"{i}.png", f"{i}.hdc") for i in range(count)]))
    assert not crew.alive
    assert len({row.index for row in rows}) == len(rows)
    return {row.index: row for row in rows}


def test_an_item_gets_a_second_worker_but_no_third() -> None:
    rows = scheduled(Scripted(deadly={3}, forgiving={0, 9}), 10)
    assert {index: row.status for index, row in rows.items()} == {
        index: "failed" if index == 3 else "done" for index in range(10)
    }
    assert "SIGKILL" in str(rows[3].error)


def test_workers_that_all_die_end_the_run() -> None:
    crew = Scripted(deadly=set(range(100)))
    with pytest.raises(HdcError, match="SIGKILL"):
        list(schedule(crew, [Item(i, "", "") for i in range(100)]))
    assert not crew.alive
