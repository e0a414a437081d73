"""Writing files so that no partial file ever carries the final name."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hdcodec._errors import OutputError

_REASONS = {
    errno.EACCES: "permission denied",
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


def write_bytes(target: str | os.PathLike[str], data: bytes, *, force: bool = False) -> None:
    """Write `data` to the file `target`, whole or not at all.

    Raises OutputError if `target` exists (unless `force`) or cannot be written.
    """
    with replacing(target, force=force) as stream:
        stream.write(data)


@contextlib.contextmanager
def replacing(target: str | os.PathLike[str], *, force: bool = False) -> Iterator[BinaryIO]:
    """Yield a binary stream whose content becomes the file `target` when the block succeeds.

    The content goes to a temporary file in the same directory, is synced and renamed; if the block
    fails, the temporary file is removed and `target` is as it was. A device or a pipe is written
    directly.

    Raises OutputError if `target` exists (unless `force`), or in place of any OSError.
    """
    path = Path(target)
    with output_errors(str(path)):
        if _is_special(path):
            with path.open("wb") as stream:
                yield stream
            return
        _refuse(path, force)
        with _temporary(path) as (stream, temporary):
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            stream.close()
            _publish(temporary, path, force)


@contextlib.contextmanager
def output_errors(name: str) -> Iterator[None]:
    """Turn any OSError of the block into an OutputError that says why `name` was not written."""
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
        raise OutputError(f"cannot write {name}: {reason}") from error


def _is_special(path: Path) -> bool:
    """True for a device, a pipe or a socket, which a rename would replace by a plain file."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _refuse(path: Path, force: bool) -> None:
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a directory")
    if not force and os.path.lexists(path):
        raise OutputError(f"{path} exists already")


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Yield a new file beside `path` and its name; whatever happens, the name is gone after."""
    temporary = path.parent / f".hdc-{secrets.token_hex(8)}.tmp"
    stream = temporary.open("xb")
    try:
        with stream:
            yield stream, temporary
    finally:
        temporary.unlink(missing_ok=True)


def _publish(temporary: Path, path: Path, force: bool) -> None:
    """Give the finished file its name. Without `force`, a file that appeared meanwhile stays."""
    if not force:
        try:
            os.link(temporary, path)
            return
        except FileExistsError:
            raise OutputError(f"{path} exists already") from None
        except OSError:
            _refuse(path, force)
    os.replace(temporary, path)
