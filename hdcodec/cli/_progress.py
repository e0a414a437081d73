"""What a long run shows on stderr while it goes on."""

import sys
from types import TracebackType
from typing import Protocol

from hdcodec.batch import Plan, Row, Tally
from hdcodec.cli._files import printable, tell


class Display(Protocol):
    """Shown while rows come in."""

    def __enter__(self) -> "Display": ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def show(self, row: Row, tally: Tally) -> None:
        """One picture is done."""


def display(plan: Plan, quiet: bool) -> Display:
    """A bar on a terminal, else lines; in either case, or `quiet`, all that is wrong."""
    if quiet:
        return Silence()
    return Bar(plan) if sys.stderr and sys.stderr.isatty() else Lines(plan)


class Silence:
    """Only failures and warnings."""

    def __enter__(self) -> "Silence":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, row: Row, tally: Tally) -> None:
        for line in _wrong(row):
            self.write(line)

    def write(self, line: str) -> None:
        tell(line)


class Lines(Silence):
    """A line for each file that was worked on."""

    def __init__(self, plan: Plan) -> None:
        self.count, self.total = 0, len(plan.items)

    def show(self, row: Row, tally: Tally) -> None:
        super().show(row, tally)
        if row.worker is not None:
            self.count += 1
        if row.status == "done":
            self.write(f"{self.count}/{self.total} {_line(row)}")


class Bar(Silence):
    """Files, megabytes in and out, rate and time left in one line that stays in place."""

    def __init__(self, plan: Plan) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self.progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[megabytes]}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self.task = self.progress.add_task("", total=len(plan.items), megabytes="", rate="")

    def __enter__(self) -> "Bar":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def show(self, row: Row, tally: Tally) -> None:
        super().show(row, tally)
        if row.worker is not None:
            rate = tally.counts["done"] / tally.seconds
            self.progress.update(
                self.task,
                advance=1,
                megabytes=f"{tally.input_bytes / 1e6:.1f} -> {tally.bytes / 1e6:.3f} MB",
                rate=f"{rate:.1f}/s",
            )

    def write(self, line: str) -> None:
        self.progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _wrong(row: Row) -> list[str]:
    name = printable(row.input)
    lines = [f"hdc: warning: {name}: {printable(text)}" for text in row.warnings]
    return [*lines, f"hdc: {name}: {printable(row.error)}"] if row.error is not None else lines


def _line(row: Row) -> str:
    return (
        f"{printable(row.input)} -> {printable(row.output or '')}: "
        f"{row.bytes:,} bytes, {row.bpp:.4f} bpp, {row.seconds:.2f} s"
    )
