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
        ("folder/", "is a directory"),
        ("missing/", "directory does not exist"),
        ("x" * 300, "too long"),
    ],
)
def test_a_path_that_cannot_be_written_says_why(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=words) as caught:
        write_bytes(f"{tmp_path}/{name}", b"content", force=True)
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
    assert link.is_symlink()
    assert (tmp_path / "elsewhere").read_bytes() == b"content"
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "out.hdc"]


@pytest.mark.parametrize("target", ["sub/real.hdc", "other"])
def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path, target: str) -> None:
    real, link = tmp_path / "sub" / "real.hdc", tmp_path / "out.hdc"
    real.parent.mkdir()
    real.write_bytes(b"old")
    real.chmod(0o640)
    (tmp_path / "other").symlink_to("sub/real.hdc")
    link.symlink_to(target)
    with pytest.raises(OutputError, match="exists"):
        write_bytes(link, b"new")
    with pytest.raises(ValueError), replacing(link, force=True):
        raise ValueError
    assert real.read_bytes() == b"old"
    write_bytes(link, b"new", force=True)
    assert (os.readlink(link), real.read_bytes()) == (target, b"new")
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert os.listdir(real.parent) == ["real.hdc"]


def test_a_link_that_is_not_to_be_followed_is_replaced(tmp_path: Path) -> None:
    real, link = tmp_path / "real.hdc", tmp_path / "out.hdc"
    real.write_bytes(b"old")
    link.symlink_to(real)
    write_bytes(link, b"new", force=True, follow=False)
    (tmp_path / "plain").touch()
    assert (real.read_bytes(), link.read_bytes(), link.is_symlink()) == (b"old", b"new", False)
    assert link.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o444])
def test_a_replaced_file_hands_on_its_mode(tmp_path: Path, mode: int) -> None:
    target = tmp_path / "out.hdc"
    target.write_bytes(b"old")
    target.chmod(mode)
    write_bytes(target, b"new", force=True)
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"new", mode)


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


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="the system has no /dev/fd")
@pytest.mark.parametrize("place", ["/dev/fd/{}", "/proc/self/fd/{}", "link", "link to it"])
def test_an_open_file_is_written_on_where_it_is(tmp_path: Path, place: str) -> None:
    (tmp_path / "link to it").symlink_to(tmp_path / "link")
    with (tmp_path / "all").open("wb") as stream:
        stream.write(b"before ")
        stream.flush()
        (tmp_path / "link").symlink_to(f"/dev/fd/{stream.fileno()}")
        write_bytes(tmp_path / place.format(stream.fileno()), b"content")
        stream.write(b" after")
    assert (tmp_path / "all").read_bytes() == b"before content after"
    assert sorted(os.listdir(tmp_path)) == ["all", "link", "link to it"]
    assert (tmp_path / "link to it").is_symlink() and (tmp_path / "link").is_symlink()


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="the system has no /dev/fd")
def test_a_descriptor_that_is_not_open_for_writing_says_so(tmp_path: Path) -> None:
    (tmp_path / "read").touch()
    with (tmp_path / "read").open("rb") as stream:
        for number in (stream.fileno(), 987):
            with pytest.raises(OutputError, match="not open for writing"):
                write_bytes(f"/dev/fd/{number}", b"content")


def test_a_failure_writes_nothing_to_a_pipe() -> None:
    reading, writing = os.pipe()
    with pytest.raises(ValueError), replacing(f"/dev/fd/{writing}") as stream:
        stream.write(b"half")
        raise ValueError
    os.close(writing)
    assert os.read(reading, 9) == b""
    os.close(reading)


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
