"""Failing well: every fault has its documented message and exit code, and leaves nothing behind."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Hdc, Run
from PIL import Image

import hdcodec
from hdcodec import _atomic, _errors, batch, weights
from hdcodec.batch import Plan
from hdcodec.conformance.suite import DATA
from hdcodec.entropy.coder import Encoder, Frequencies, Symbols

PACKAGE = Path(hdcodec.__file__).parent
DOCUMENT = (PACKAGE.parent / "docs" / "errors.md").read_text()
KINDS = [kind for kind in vars(_errors).values() if isinstance(kind, type)]
TOOLS = ("eval", "train")


def messages(heading: str) -> list[str]:
    """The first column of the table under a heading."""
    text = DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [
        line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line[:1] == "|"
    ]
    return rows[2:]


HEADINGS = re.findall(r"^## (.+)$", DOCUMENT, re.MULTILINE)
ALL = [message for heading in HEADINGS for message in messages(heading)]


def blanked(message: str) -> str:
    """A message of the document with * for each of its *parts*."""
    return re.sub(r"\*[^*]+\*", "*", message)


def is_documented(line: str) -> bool:
    patterns = ("(.+)".join(map(re.escape, blanked(message).split("*"))) for message in ALL)
    return any(re.fullmatch(pattern, line) for pattern in patterns)


def assert_failed(run: Run, *words: str, code: int = 1) -> None:
    """A documented line on stderr that holds `words`, nothing on stdout, this exit code."""
    assert (run.code, run.out) == (code, b""), run
    (line,) = run.err.splitlines()
    assert line.startswith("hdc: ")
    assert is_documented(line.removeprefix("hdc: ")), line
    assert all(word in line for word in words), line


@pytest.fixture
def picture(small_coffee: Image.Image, tmp_path: Path) -> Path:
    """A PNG of 60 x 40 pixels, alone in its folder."""
    small_coffee.resize((60, 40)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An .hdc file."""
    golden = DATA / "one-pixel.hdc"
    (tmp_path / "b.hdc").write_bytes(golden.read_bytes())
    return tmp_path / "b.hdc"


# The document


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_error_is_documented(kind: type[Exception]) -> None:
    assert messages(kind.__name__)


def raised() -> Iterator[tuple[str, str]]:
    """Kind and literal message of every error that the package makes, with * for its parts."""
    names = {kind.__name__ for kind in KINDS}
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] in TOOLS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in names and node.args:
                message = literal(node.args[0])
                if message is not None:
                    yield ast.unparse(node.func), message


def literal(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        parts = [p.value if isinstance(p, ast.Constant) else "*" for p in node.values]
        return "".join(map(str, parts))
    return None


def test_every_message_is_documented_under_its_kind() -> None:
    found = list(raised())
    assert len(found) > 60
    for kind, message in found:
        assert message in map(blanked, messages(kind)), f"{kind}: {message}"


def test_every_documented_message_is_made_somewhere() -> None:
    """The two of CorruptError that come from elsewhere are a TruncatedError's and Pillow's."""
    made = {message for _, message in raised()}
    for kind in KINDS:
        assert set(map(blanked, messages(kind.__name__))) <= made, kind


def test_every_reason_for_a_failed_write_is_documented() -> None:
    assert all(reason in DOCUMENT for reason in _atomic._REASONS.values())


def test_the_check_of_messages_can_fail() -> None:
    assert is_documented("cannot write a.hdc: the disk is full")
    assert not is_documented("something is wrong")
    assert not is_documented("the file is empty, but")


# Places that cannot be written

NAMESPACE = ["unshare", "-m"] if os.name == "posix" and os.geteuid() == 0 else ["unshare", "-rm"]

FULL = """
import contextlib, io, json, subprocess, sys
from pathlib import Path
folder, picture, file = map(Path, sys.argv[1:])

def mount(name, *options):
    (folder / name).mkdir()
    subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", folder / name], check=True)
    return folder / name

full, fixed = mount("full", "-o", "size=4k"), mount("fixed", "-o", "ro")
(full / "other").write_bytes(bytes(4096))
from hdcodec.cli import main
from hdcodec.conformance.suite import DATA
from hdcodec.entropy.coder import Encoder, Frequencies, Symbols
runs = []
for place in (full, fixed):
    for command, output in ((["compress", picture], "out.hdc"), (["decompress", file], "out.png")):
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            code = main([*map(str, command), str(place / output), "--device", "cpu"])
        runs.append([code, err.getvalue(), sorted(path.name for path in place.iterdir())])
print(json.dumps(runs))
"""


def can_mount() -> bool:
    try:
        command = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not can_mount(), reason="no file system can be mounted here")
def test_a_full_and_a_read_only_file_system(picture: Path, file: Path, tmp_path: Path) -> None:
    command = [*NAMESPACE, sys.executable, "-c", FULL, tmp_path, picture, file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    runs = json.loads(done.stdout)
    for (code, err, names), output in zip(runs[:2], ("out.hdc", "out.png"), strict=True):
        path = tmp_path / "full" / output
        assert_failed(Run(code, b"", err), f"cannot write {path}: the disk is full")
        assert names == ["other"]
    for code, err, names in runs[2:]:
        assert_failed(Run(code, b"", err), "the file system is read-only")
        assert names == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_device(hdc: Hdc, picture: Path, file: Path) -> None:
    assert_failed(hdc("compress", picture, "/dev/full"), "cannot write /dev/full: the disk is full")
    run = hdc("decompress", file, "/dev/full")
    assert_failed(run, "cannot write /dev/full: the disk is full")


@pytest.mark.skipif(not Path("/sys").is_dir(), reason="the system has no /sys")
def test_a_folder_that_takes_no_files(hdc: Hdc, picture: Path) -> None:
    assert_failed(hdc("compress", picture, "/sys/a.hdc"), "cannot write /sys/a.hdc: ")


def test_a_file_in_place_of_a_folder(hdc: Hdc, picture: Path) -> None:
    assert_failed(hdc("compress", picture, picture / "a.hdc"), "directory")


# Standard streams


def test_streams_that_a_process_was_started_without(
    hdc: Hdc, picture: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in (["compress", "-", "out.hdc"], ["decompress", "-", "out.png"], ["info", "-"]):
        assert_failed(hdc(*command, stdin=None), "cannot read stdin: it is closed")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        for command in (["compress", picture, "-"], ["decompress", file, "-"]):
            assert_failed(hdc(*command), "cannot write stdout: it is closed")
        assert hdc("compress", picture) == Run(0, b"", "")
    assert picture.with_suffix(".hdc").is_file()


def started(redirections: str, *arguments: object, **options: Any) -> Run:
    """The command in a process of its own under a shell."""
    shell = ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-m", "hdcodec"]
    command = [*shell, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=False, **options)
    return Run(done.returncode, done.stdout, done.stderr.decode())


@pytest.mark.skipif(os.name != "posix", reason="for a POSIX shell")
def test_closed_standard_streams(file: Path, tmp_path: Path) -> None:
    assert_failed(started("<&-", "info", "-"), "cannot read stdin: it is closed")
    assert started(">&-", "info", file) == Run(0, b"", "")
    for closed in ("2>&-", "2>/dev/full", "<&- >&- 2>&-"):
        assert started(closed, "info", tmp_path / "none.hdc") == Run(1, b"", "")
    for command in (["info", file], ["packets", "room", "--size=99", "--count=1"], ["--version"]):
        full = started(">/dev/full", *command)
        assert_failed(full, "cannot write stdout: the disk is full")


@pytest.mark.skipif(os.name != "posix", reason="for POSIX pipes")
def test_a_reader_that_has_gone(file: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "hdcodec", "info", str(file)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    run = Run(done.returncode, b"", done.stderr)
    assert_failed(run, "cannot write stdout: the reader has gone")


@pytest.mark.skipif(os.name != "posix", reason="names of other systems are text")
def test_names_that_are_no_text_or_would_move_the_cursor(file: Path, hdc: Hdc) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    odd = os.path.join(os.fsencode(file.parent), b"\xff\x1b[2J.hdc")
    os.rename(file, odd)
    run = started("", "info", os.fsdecode(odd), env=environment)
    assert (run.code, run.err) == (0, "")
    assert rb"\udcff\x1b[2J.hdc" in run.out
    assert b"\x1b" not in run.out
    os.unlink(odd)
    run = hdc("info", os.fsdecode(odd))
    assert_failed(run, r"\x1b[2J.hdc: No such file or directory")
    assert "\x1b" not in run.err


@pytest.mark.skipif(os.name != "posix", reason="other systems keep a folder that is in use")
def test_a_current_folder_that_is_gone(picture: Path, file: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys; from hdcodec.cli import main\n"
        "os.mkdir(sys.argv[1]); os.chdir(sys.argv[1]); os.rmdir(sys.argv[1])\n"
        "sys.exit(main(sys.argv[2:]))"
    )
    for arguments in (["compress", picture], ["batch", "compress", tmp_path, tmp_path / "out"]):
        command = [sys.executable, "-c", code, tmp_path / "gone", *arguments]
        done = subprocess.run(command, capture_output=True, check=False)
        run = Run(done.returncode, done.stdout, done.stderr.decode())
        assert_failed(run, "the current folder has been deleted")


# Batches


@pytest.fixture
def vanishing(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a batch is planned, one of its inputs is gone and one is a folder."""

    def planned(source: Path, *arguments: Any, **options: Any) -> Plan:
        plan = batch.plan.make_plan(source, *arguments, **options)
        (source / "gone.png").unlink()
        (source / "sub" / "folder.png").unlink()
        (source / "sub" / "folder.png").mkdir()
        return plan

    monkeypatch.setattr(batch, "make_plan", planned)


@pytest.mark.usefixtures("vanishing")
def test_an_input_that_vanishes_fails_alone(hdc: Hdc, picture: Path, tmp_path: Path) -> None:
    source, target, report = tmp_path / "in", tmp_path / "out", tmp_path / "report.jsonl"
    for name in ("a.png", "gone.png", "sub/folder.png", "sub/z.png"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(picture.read_bytes())
    run = hdc("batch", "compress", source, target, "--workers", 1, "--report", report, "--quiet")
    assert (run.code, run.out) == (3, b"")
    lines = run.err.splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        str(source / "gone.png"),
        str(source / "sub" / "folder.png"),
    ]
    for line in lines:
        name = line.split(": ")[1]
        assert is_documented(line.removeprefix(f"hdc: {name}: ")), line
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    assert [row["status"] for row in rows] == ["done", "failed", "failed", "done"]
    assert {path.name for path in target.rglob("*") if path.is_file()} == {"a.hdc", "z.hdc"}


# Weights


@pytest.fixture
def copied(own_weights: Path) -> Path:
    """A copy of the shipped weights, which is used in their place."""
    for path in (PACKAGE.parent / "weights" / "hdc").iterdir():
        (own_weights / path.name).write_bytes(path.read_bytes())
    assert weights.find(1).folder == own_weights
    return own_weights


def gone(path: Path) -> None:
    path.unlink()


def unreadable(path: Path) -> None:
    """Even for root."""
    path.unlink()
    path.mkdir()


def changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x80
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [gone, unreadable, changed])
@pytest.mark.parametrize("name", ["entropy.safetensors", "networks.safetensors", "manifest.json"])
def test_weights_that_are_not_as_shipped(
    hdc: Hdc, copied: Path, picture: Path, name: str, spoil: Callable[[Path], None]
) -> None:
    spoil(copied / name)
    assert_failed(hdc("compress", picture, "--device", "cpu"), name)
    assert not picture.with_suffix(".hdc").exists()
    assert hdc("models").code == 1


def test_too_little_memory_for_the_networks_is_said(
    hdc: Hdc, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In torch's words; a limit on the process itself makes it hang or abort in many places."""

    def loaded(*_: Any) -> Any:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")

    monkeypatch.setattr("hdcodec.models.latent.graphs.filled", loaded)
    run = hdc("compress", picture, "--backend", "torch")
    assert_failed(run, "not enough memory for this picture")


# Devices


def test_a_device_that_is_not_there(hdc: Hdc, picture: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert_failed(hdc("compress", picture, "--device", "cuda"), "device 'cuda' is not there")
    run = hdc("batch", "compress", picture.parent, picture.parent / "out", "--device", "cuda")
    assert run.code == 1
    assert run.err == "hdc: device 'cuda' is not there\n"
    assert not (picture.parent / "out").exists()


# Verification


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders take their frequencies from other symbols than decoders do."""

    class Broken(Encoder):
        def code(self, symbols: Symbols | None, frequencies: Frequencies) -> Symbols:
            return super().code(symbols, np.roll(frequencies, 1, axis=1))

    monkeypatch.setattr("hdcodec.models.latent.picture_coder.RangeEncoder", Broken)


@pytest.mark.usefixtures("faulty")
def test_a_file_that_would_not_decode_is_not_written(hdc: Hdc, picture: Path) -> None:
    output = picture.with_suffix(".hdc")
    output.write_bytes(b"precious")
    assert_failed(hdc("compress", picture, "--force"), "verification failed")
    assert output.read_bytes() == b"precious"
    assert hdc("compress", picture, "--force", "--no-verify").code == 0
    assert output.read_bytes() != b"precious"
    assert {path.name for path in picture.parent.iterdir()} == {"a.png", "a.hdc"}
