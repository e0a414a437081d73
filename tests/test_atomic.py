"""Files appear whole or not at all."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hdcodec import HdcError, OutputError
from hdcodec._atomic import replacing, write_bytes


@pytest.fixture(params=["nameless", "named"], autouse=True)
def temporary_files(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs with what Linux has for temporary files and with what all systems have."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)


def test_a_file_is_written_with_ordinary_permissions(tmp_path: Path) -> None:
    target = tmp_path / "out.hdc"
    write_bytes(target, b"content")
    (tmp_path / "other").touch()
    assert target.read_bytes() == b"content"
    assert target.stat().st_mode == (tmp_path / "other").stat().st_mode
    assert sorted(os.listdir(tmp_path)) == ["other", "out.hdc"]


def test_an_existing_file_is_kept_unless_forced(tmp_path: Path) -> None:
    target = tmp_path / "out.hdc"
    target.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists"):
        write_bytes(target, b"new")
    assert target.read_bytes() == b"old"
    write_bytes(target, b"new", force=True)
    assert target.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out.hdc"]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "out.hdc"
    with pytest.raises(OutputError, match="exists"), replacing(target) as stream:
        stream.write(b"ours")
        target.write_bytes(b"theirs")
    assert target.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["out.hdc"]


@pytest.mark.parametrize("kind", [ValueError, HdcError, KeyboardInterrupt])
def test_a_failure_leaves_everything_as_it_was(tmp_path: Path, kind: type[BaseException]) -> None:
    target = tmp_path / "out.hdc"
    target.write_bytes(b"old")
    with pytest.raises(kind), replacing(target, force=True) as stream:
        stream.write(b"half")
        raise kind("stop")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.hdc"]


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_killed_process_leaves_the_final_name_as_it_was(
    tmp_path: Path, before: bytes | None
) -> None:
    target = tmp_path / "out.hdc"
    if before is not None:
        target.write_bytes(before)
    code = (
        "import os, sys, time; from hdcodec._atomic import replacing\n"
        f"if not {hasattr(os, 'O_TMPFILE')}: vars(os).pop('O_TMPFILE', None)\n"
        "with replacing(sys.argv[1], force=True) as stream:\n"
        "    stream.write(b'half'); stream.flush(); print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    assert (target.read_bytes() if target.exists() else None) == before
    if hasattr(os, "O_TMPFILE"):
        assert os.listdir(tmp_path) == ["out.hdc"] * (before is not None)


def test_a_process_that_ends_itself_leaves_nothing_else(tmp_path: Path) -> None:
    code = (
        "import os, sys; from hdcodec._atomic import replacing; from hdcodec._ending import end\n"
        f"if not {hasattr(os, 'O_TMPFILE')}: vars(os).pop('O_TMPFILE', None)\n"
        "with replacing(sys.argv[1]): pass\n"
        "with replacing(sys.argv[1], force=True): end(3)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out.hdc")]
    assert subprocess.run(command, check=False).returncode == 3
    assert os.listdir(tmp_path) == ["out.hdc"]


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="the system has no nameless files")
def test_a_file_without_a_name_is_on_no_list(tmp_path: Path) -> None:
    target = tmp_path / "out.hdc"
    has_nameless = hasattr(os, "O_TMPFILE")
    with replacing(target) as stream:
        stream.write(b"content")
        assert len(os.listdir(tmp_path)) == (0 if has_nameless else 1)
    assert os.listdir(tmp_path) == ["out.hdc"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing/out.hdc", "directory does not exist"),
        ("file/out.hdc", "not a directory"),
        ("folder", "is a directory"),
        ("x" * 300, "too long"),
    ],
)
def test_a_path_that_cannot_be_written_says_why(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=words) as caught:
        write_bytes(tmp_path / name, b"content", force=True)
    assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="permission denied"):
            write_bytes(tmp_path / "out.hdc", b"content")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_says_so() -> None:
    with pytest.raises(OutputError, match="disk is full"):
        write_bytes("/dev/full", bytes(1 << 20))


def test_a_file_over_the_size_limit_of_the_process_leaves_nothing(tmp_path: Path) -> None:
    """A real write error in mid-file, as a full disk would give."""
    resource = pytest.importorskip("resource")
    code = (
        "import resource, signal, sys; from hdcodec._atomic import write_bytes\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "from hdcodec import OutputError\n"
        "try: write_bytes(sys.argv[1], bytes(100_000))\n"
        "except OutputError as error: print(error)"
    )
    assert resource
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "out.hdc")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot write" in done.stdout
    assert os.listdir(tmp_path) == []


def test_a_dangling_link_counts_as_existing(tmp_path: Path) -> None:
    link = tmp_path / "out.hdc"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="exists"):
        write_bytes(link, b"content")
    write_bytes(link, b"content", force=True)
    assert not link.is_symlink()
    assert os.listdir(tmp_path) == ["out.hdc"]


def test_a_device_is_written_not_replaced() -> None:
    write_bytes(os.devnull, b"content", force=True)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_pipe_is_written_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    write_bytes(pipe, b"content")
    reader.join(timeout=10)
    assert received == [b"content"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_one_of_many_writers_wins(tmp_path: Path) -> None:
    target = tmp_path / "out.hdc"
    outcomes: list[str] = []

    def write(number: int) -> None:
        try:
            with replacing(target) as stream:
                stream.write(bytes([number]) * 1000)
                time.sleep(0.05)
        except OutputError:
            outcomes.append("refused")
        else:
            outcomes.append("written")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 7 + ["written"]
    assert len(set(target.read_bytes())) == 1
    assert os.listdir(tmp_path) == ["out.hdc"]
