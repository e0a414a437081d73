"""Where a command reads and writes; `-` is stdin or stdout."""

import contextlib
import json
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import click

from hdcodec._atomic import is_special, open_descriptor, output_errors, write_bytes
from hdcodec._errors import (
    ChecksumError,
    CorruptError,
    ExistsError,
    HdcError,
    MissingWeightsError,
    NotHdcError,
    OutputError,
    TooLargeError,
    TruncatedError,
    UnknownModelError,
    UnsupportedVersionError,
)
from hdcodec.format import MAGIC, MAX_FILE_BYTES

STREAM = "-"
STDOUT = 1

_FAULTS = (
    ChecksumError,
    CorruptError,
    MissingWeightsError,
    NotHdcError,
    TooLargeError,
    TruncatedError,
    UnknownModelError,
    UnsupportedVersionError,
)


def read_hdc(source: str) -> bytes:
    """The bytes of an .hdc file or of stdin; of a foreign or endless one no more than it takes."""
    with reading(source) as stream:
        start = stream.read(len(MAGIC))
        return start + stream.read(MAX_FILE_BYTES) if start == MAGIC else start


@contextlib.contextmanager
def naming(source: str) -> Iterator[None]:
    """Put the name of the file into the message of what is wrong with it."""
    try:
        yield
    except _FAULTS as error:
        raise type(error)(f"{source}: {error}") from error


def reading(source: str) -> contextlib.AbstractContextManager[BinaryIO]:
    """The bytes of a file or of stdin."""
    if source == STREAM:
        return contextlib.nullcontext(stdin())
    return open(source, "rb")


def stdin() -> BinaryIO:
    """The bytes of stdin; raises HdcError if the process was started without one."""
    if sys.stdin is None:
        raise HdcError("cannot read stdin: it is closed")
    return sys.stdin.buffer


def stdout() -> BinaryIO:
    """Where bytes go to stdout; raises OutputError if the process was started without one."""
    if sys.stdout is None:
        raise OutputError("cannot write stdout: it is closed")
    return sys.stdout.buffer


@dataclass(frozen=True)
class Output:
    """The place of a result: a file that must not exist yet unless `force`, or stdout.

    shared: whether what is printed on stdout would get into the result.
    """

    name: str
    force: bool
    shared: bool

    @classmethod
    def planned(
        cls, source: str, output: str | None, suffix: str, force: bool, *others: str | None
    ) -> "Output":
        """`output` if named, else beside `source` with another suffix, stdout for a stream.

        others: further inputs. Raises OutputError where the write at the end is bound to fail, and
        where it would replace an input or give the result the name of something else.
        """
        streams = source == STREAM or open_descriptor(source) is not None
        name = output or (STREAM if streams else os.path.splitext(source)[0] + suffix)
        result = cls(name, force, shares_stdout(name))
        if result.streams:
            _refuse_terminal()
        else:
            result._refuse([Path(name) for name in (source, *others) if name])
            refuse_kind(name, suffix)
        return result

    @property
    def streams(self) -> bool:
        """Whether it is standard output."""
        return _is_stdout(self.name)

    def _refuse(self, sources: list[Path]) -> None:
        path = Path(self.name)
        if path.is_file() and any(each.is_file() and path.samefile(each) for each in sources):
            raise OutputError(f"cannot write {path}: it is the input")
        if is_special(path):
            return
        if not os.path.isdir(os.path.dirname(self.name) or os.curdir):  # also of a new name with /
            raise OutputError(f"cannot write {self.name}: its directory does not exist")
        if path.is_dir():
            raise OutputError(f"cannot write {path}: it is a directory")
        if os.path.lexists(path) and not self.force:
            raise ExistsError(f"{path} exists already (--force replaces it)")

    @property
    def place(self) -> str | BinaryIO:
        """What hdcodec.images.save takes: the name of the file, or the stream."""
        return stdout() if self.streams else self.name

    def write(self, data: bytes) -> None:
        """Put `data` there; a file is written whole or not at all. Raises OutputError."""
        if not self.streams:
            write_bytes(self.name, data, force=self.force)
            return
        stream = stdout()
        with output_errors("stdout"):
            stream.write(data)
            stream.flush()

    def report(self, line: str, facts: Mapping[str, object], as_json: bool, quiet: bool) -> None:
        """Print `facts` as JSON, or `line`; on stderr where stdout holds the result."""
        if quiet and not as_json:
            return
        text = json.dumps(facts) if as_json else printable(line)
        if self.shared:
            tell(text)
        else:
            say(text)


def shares_stdout(name: str) -> bool:
    """Whether `name` is stdout, or the pipe or the file that stdout goes into."""
    if _is_stdout(name):
        return True
    try:
        place = os.stat(name)
        return not stat.S_ISCHR(place.st_mode) and os.path.samestat(place, os.fstat(STDOUT))
    except OSError:
        return False


def _is_stdout(name: str) -> bool:
    return name == STREAM or open_descriptor(name) == STDOUT


def refuse_kind(name: str, suffix: str) -> None:
    """Spare a picture or an .hdc file that is not meant, as the second of a shell's `*.jpg`.

    suffix: that of what is to be written. Raises OutputError.
    """
    kind = _kind(name)
    if kind and kind != _kind(f"result{suffix}"):
        raise OutputError(f"cannot write {name}: it has the name of {kind}")


def _kind(name: str) -> str | None:
    from hdcodec._pictures import HDC, is_picture

    if name.lower().endswith(HDC):
        return "an .hdc file"
    return "a picture" if is_picture(name) else None


def _refuse_terminal() -> None:
    if stdout().isatty():
        raise click.UsageError("The result does not go to a terminal; name an OUTPUT.")


def say(text: str) -> None:
    """Print on stdout; raises OutputError. A process that was started without one says nothing."""
    with output_errors("stdout"):
        click.echo(text)


def tell(text: str) -> None:
    """Print on stderr; where that cannot take it, the work goes on without."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True)


def printable(text: str) -> str:
    """The text with whatever cannot be printed in one line as it is written in Python."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", text)
