"""What a long run shows on stderr while it goes on."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from hdcodec.cli._files import printable, tell

if TYPE_CHECKING:
    from hdcodec.batch import Plan, Row, Tally


class Bar:
    """A bar that stays in place below the lines written, where stderr is a terminal and it is to be
    `shown`; else the lines alone."""

    def __init__(self, total: int, shown: bool) -> None:
        self._progress = None
        if not (shown and sys.stderr and sys.stderr.isatty()):
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        text = TextColumn("{task.description}", markup=False)
        columns = (BarColumn(), MofNCompleteColumn(), text, TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._task = self._progress.add_task("", total=total)

    @property
    def drawn(self) -> bool:
        """Whether there is more than lines."""
        return self._progress is not None

    def __enter__(self) -> "Bar":
        if self._progress:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._progress:
            self._progress.stop()

    def advance(self, text: str) -> None:
        """One more is done; `text` stands beside the bar."""
        if self._progress:
            self._progress.update(self._task, advance=1, description=printable(text))

    def write(self, line: str) -> None:
        """A line that stays."""
        if self._progress:
            self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            tell(line)


class BatchBar(Bar):
    """Of a batch: all that is wrong, and unless `quiet` a bar with files, megabytes and rate, or
    where there is none a line for each file that was worked on."""

    def __init__(self, plan: "Plan", quiet: bool) -> None:
        super().__init__(len(plan.items), not quiet)
        self.lines = not (quiet or self.drawn)
        self.count, self.total = 0, len(plan.items)

    def show(self, row: "Row", tally: "Tally") -> None:
        """One picture is done."""
        for line in _wrong(row):
            self.write(line)
        if row.worker is not None:
            self.count += 1
            megabytes = f"{tally.input_bytes / 1e6:.1f} -> {tally.bytes / 1e6:.3f} MB"
            self.advance(f"{megabytes} {tally.counts['done'] / tally.seconds:.1f}/s")
        if self.lines and row.status == "done":
            self.write(f"{self.count}/{self.total} {_line(row)}")


def _wrong(row: "Row") -> list[str]:
    name = printable(row.input)
    lines = [f"hdc: warning: {name}: {printable(text)}" for text in row.warnings]
    return [*lines, f"hdc: {name}: {printable(row.error)}"] if row.error is not None else lines


def _line(row: "Row") -> str:
    return (
        f"{printable(row.input)} -> {printable(row.output or '')}: "
        f"{row.bytes:,} bytes, {row.bpp:.4f} bpp, {row.seconds:.2f} s"
    )
