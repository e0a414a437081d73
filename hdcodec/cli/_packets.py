"""Files of packets: the options that say how they are cut, and where they are written."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any, TypeVar

import click

from hdcodec._errors import ExistsError
from hdcodec.cli._files import tell

T = TypeVar("T")

SUFFIX = ".hdp"
MOST_BYTES = 1 << 16
"""Of a packet."""

BYTES = click.IntRange(4, MOST_BYTES)

bare = click.option(
    "--bare",
    is_flag=True,
    help="Packets of 3 bytes of overhead, for transports that know what they carry; 10 otherwise.",
)
parity = click.option(
    "--parity", is_flag=True, help="One packet more, which rebuilds any one that is lost."
)


@dataclass(frozen=True)
class Cut:
    """How a file is cut: into packets of at most `size` bytes."""

    size: int
    parity: bool
    bare: bool

    def room(self, count: int) -> int:
        """Bytes that a file may have to go into `count` packets."""
        from hdcodec import packets

        return _sized(lambda: packets.room(self.size, count, parity=self.parity, bare=self.bare))

    def split(self, data: bytes) -> list[bytes]:
        """The packets of a file."""
        from hdcodec import packets

        return _sized(lambda: packets.split(data, self.size, parity=self.parity, bare=self.bare))


@dataclass(frozen=True)
class Packets:
    """The packets of a file and their names: photo.1-of-3.hdp, and so on."""

    names: list[str]
    contents: list[bytes]
    force: bool

    @classmethod
    def planned(cls, data: bytes, cut: Cut, folder: Path, stem: str, force: bool) -> "Packets":
        """Raises ExistsError where one of them exists, unless `force`; nothing is written yet."""
        made = cut.split(data)
        count = len(made) - cut.parity
        numbers = [str(k + 1) for k in range(count)] + ["parity"] * cut.parity
        names = [str(folder / f"{stem}.{number}-of-{count}{SUFFIX}") for number in numbers]
        for name in names:
            if os.path.lexists(name) and not force:
                raise ExistsError(f"{name} exists already (--force replaces it)")
        return cls(names, made, force)

    def write(self) -> None:
        """Each of them whole or not at all. Raises OutputError."""
        from hdcodec._atomic import write_bytes

        for name, packet in zip(self.names, self.contents, strict=True):
            write_bytes(name, packet, force=self.force)
        first = Path(self.names[0])
        others = first.parent.glob(f"{escape(first.name.rsplit('.1-of-', 1)[0])}.*-of-*{SUFFIX}")
        if stale := sorted({str(path) for path in others} - set(self.names)):
            tell(f"hdc: warning: {', '.join(stale)}: not of these packets, from an earlier cut")

    @property
    def facts(self) -> dict[str, Any]:
        """Names and sizes."""
        return {"outputs": self.names, "bytes": [len(packet) for packet in self.contents]}

    @property
    def line(self) -> str:
        """Their number and sizes in words."""
        sizes = [len(packet) for packet in self.contents]
        many = f"{len(sizes)} packet{'s'[: len(sizes) > 1]}"
        return f"{many}, {sum(sizes):,} bytes in all, {max(sizes)} at most"


def _sized(work: Callable[[], T]) -> T:
    """The result of `work`; a size or count that cannot be is wrong usage."""
    try:
        return work()
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
