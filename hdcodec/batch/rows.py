"""What happens to one file, before and after."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["done", "skipped", "failed"]


@dataclass(frozen=True)
class Item:
    """A file to be worked on. index: its place in the report; paths as the user wrote them.

    again: a worker died on it, perhaps when its output was there already.
    """

    index: int
    input: str
    output: str
    again: bool = False


@dataclass(frozen=True)
class Row:
    """The outcome of one file.

    reason: why it was skipped. error: why it failed. width, height: pixels. coded_width,
    coded_height: those of a picture that was coded smaller, else None. bpp: bits of the .hdc file
    per pixel. seconds: work on this file alone. worker: host and process that did it.
    """

    index: int
    status: Status
    input: str
    output: str | None = None
    input_bytes: int = 0
    bytes: int = 0
    width: int = 0
    height: int = 0
    coded_width: int | None = None
    coded_height: int | None = None
    bpp: float | None = None
    seconds: float = 0.0
    reason: str | None = None
    error: str | None = None
    warnings: tuple[str, ...] = ()
    worker: str | None = None

    def facts(self) -> dict[str, Any]:
        """The row of the report."""
        facts = asdict(self)
        del facts["index"]
        return facts
