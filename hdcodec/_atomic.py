"""Writing files so that no partial file ever carries the final name."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hdcodec._ending import unfinished
from hdcodec._errors import ExistsError, OutputError

_REASONS = {
    errno.EACCES: "permission denied",
    errno.EBADF: "it is not open for writing",
    errno.EDQUOT: "the disk quota is used up",
    errno.EISDIR: "it is a directory",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOENT: "its directory does not exist",
    errno.ENOSPC: "the disk is full",
    errno.ENOTDIR: "its parent is not a directory",
    errno.EPERM: "permission denied",
    errno.EPIPE: "the reader has gone",
    errno.EROFS: "the file system is read-only",
}

_OPEN_FILES = "/proc/self/fd"
_DESCRIPTORS = ("/dev/fd", _OPEN_FILES)
_MOST_LINKS = 40


def write_bytes(
    target: str | os.PathLike[str], data: bytes, *, force: bool = False, follow: bool = True
) -> None:
    """Write `data` to the file `target`, whole or not at all, as `replacing` does.

    Raises ExistsError if `target` exists (unless `force`), OutputError if it cannot be written.
    """
    with replacing(target, force=force, follow=follow) as stream:
        stream.write(data)


@contextlib.contextmanager
def replacing(
    target: str | os.PathLike[str], *, force: bool = False, follow: bool = True
) -> Iterator[BinaryIO]:
    """Yield a binary stream whose content becomes the file `target` when the block succeeds.

    The content goes to a temporary file in the same directory, is synced and gets its name; if the
    block fails, the temporary file is removed and `target` is as it was. Where the system has files
    without a name, not even a kill leaves one behind. A file that is replaced hands on its mode; of
    a link, what it leads to is replaced, unless `follow` is false. What is no regular file (a
    device, a pipe) or is open already (/dev/stdout) is written, not replaced.

    Raises ExistsError if `target` exists (unless `force`), or OutputError in place of any OSError.
    """
    path = Path(target)
    with output_errors(str(path)):
        if is_special(path):
            content = io.BytesIO()
            yield content
            with opened(path) as stream:
                stream.write(content.getbuffer())
            return
        _refuse(path, force)
        if os.fspath(target).endswith((os.sep, os.altsep or os.sep)):  # which Path drops
            raise FileNotFoundError(errno.ENOENT, "no such folder")
        path = path.resolve() if follow and path.is_symlink() else path
        nameless = _nameless(path.parent)
        with _named_late(nameless, path, force) if nameless else _renamed(path, force) as stream:
            _hand_on_mode(path, stream)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())


@contextlib.contextmanager
def output_errors(name: str) -> Iterator[None]:
    """Turn any OSError of the block into an OutputError that says why `name` was not written."""
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
        raise OutputError(f"cannot write {name}: {reason}") from error


def is_special(path: str | os.PathLike[str]) -> bool:
    """True for what a rename would not write: a device, a pipe, a socket, a file that is open."""
    if open_descriptor(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def opened(path: str | os.PathLike[str]) -> BinaryIO:
    """A stream straight into `path`; into a file that is open already, from where that is now."""
    descriptor = open_descriptor(path)
    return open(path if descriptor is None else os.dup(descriptor), "wb")


def open_descriptor(path: str | os.PathLike[str]) -> int | None:
    """N if `path` is /dev/fd/N or /proc/self/fd/N, or a link to it, as /dev/stdout is."""
    for _ in range(_MOST_LINKS):
        folder, name = os.path.split(path)
        if name.isdecimal() and os.path.realpath(folder) in map(os.path.realpath, _DESCRIPTORS):
            return int(name)
        if not os.path.islink(path):
            break
        path = os.path.join(folder, os.readlink(path))
    return None


def _refuse(path: Path, force: bool) -> None:
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a directory")
    if not force and os.path.lexists(path):
        raise ExistsError(f"{path} exists already")


def _hand_on_mode(path: Path, stream: BinaryIO) -> None:
    """Let the new file have the mode of the one at `path`, if there is one and the system can."""
    with contextlib.suppress(OSError, AttributeError):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            os.fchmod(stream.fileno(), stat.S_IMODE(mode))


def _nameless(folder: Path) -> BinaryIO | None:
    """A new file without a name on the file system of `folder`, if that can make one."""
    if not (hasattr(os, "O_TMPFILE") and os.path.isdir(_OPEN_FILES)):
        return None
    try:
        return os.fdopen(os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o666), "wb")
    except OSError:
        return None


@contextlib.contextmanager
def _named_late(stream: BinaryIO, path: Path, force: bool) -> Iterator[BinaryIO]:
    """Yield the nameless `stream`, which gets the name `path` at the end."""
    with stream:
        yield stream
        folder = os.open(_OPEN_FILES, os.O_RDONLY)
        try:
            _link(str(stream.fileno()), folder, path, force)
        finally:
            os.close(folder)


def _link(name: str, folder: int, path: Path, force: bool) -> None:
    """Give the open file `name` of `folder` a name; one that exists is replaced by a rename."""
    try:
        os.link(name, path, src_dir_fd=folder, follow_symlinks=True)
    except FileExistsError:
        if not force:
            raise ExistsError(f"{path} exists already") from None
        with _temporary(path) as temporary:
            os.link(name, temporary, src_dir_fd=folder, follow_symlinks=True)
            os.replace(temporary, path)


@contextlib.contextmanager
def _renamed(path: Path, force: bool) -> Iterator[BinaryIO]:
    """Yield a new file beside `path`, which gets that name at the end."""
    with _temporary(path) as temporary:
        with temporary.open("xb") as stream:
            yield stream
        _publish(temporary, path, force)


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Yield a name beside `path`; no file has it when the block is left."""
    temporary = path.parent / f".hdc-{secrets.token_hex(8)}.tmp"
    unfinished.add(str(temporary))
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
        unfinished.discard(str(temporary))


def _publish(temporary: Path, path: Path, force: bool) -> None:
    """Give the finished file its name. Without `force`, a file that appeared meanwhile stays."""
    if not force:
        try:
            os.link(temporary, path)
            return
        except FileExistsError:
            raise ExistsError(f"{path} exists already") from None
        except OSError:
            _refuse(path, force)
    os.replace(temporary, path)
