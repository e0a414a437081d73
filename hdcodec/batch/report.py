"""What a run amounts to: totals, and a file with one JSON object per line."""

from __future__ import annotations

import io
import json
import os
import time
from collections import Counter
from types import TracebackType
from typing import Any

from hdcodec._atomic import opened, output_errors
from hdcodec.batch.rows import Row


class Tally:
    """Totals of the rows so far. planned: how many rows there are to be."""

    def __init__(self, planned: int) -> None:
        self.planned = planned
        self.started = time.perf_counter()
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.input_bytes = self.bytes = 0
        self.bpp = 0.0

    def add(self, row: Row) -> None:
        """Count a row in."""
        self.counts[row.status] += 1
        if row.reason is not None:
            self.reasons[row.reason] += 1
        self.input_bytes += row.input_bytes
        self.bytes += row.bytes
        self.bpp += row.bpp or 0.0

    @property
    def seconds(self) -> float:
        """Since this was made."""
        return time.perf_counter() - self.started

    @property
    def failed(self) -> int:
        """Rows of files that failed."""
        return self.counts["failed"]

    def facts(self) -> dict[str, Any]:
        """The totals; unfinished: files for which there is no row yet."""
        done, seconds = self.counts["done"], self.seconds
        return {
            "done": done,
            "skipped": self.counts["skipped"],
            "failed": self.failed,
            "unfinished": self.planned - self.counts.total(),
            "skipped_because": dict(self.reasons.most_common()),
            "input_bytes": self.input_bytes,
            "bytes": self.bytes,
            "mean_bpp": round(self.bpp / done, 5) if done else None,
            "seconds": round(seconds, 3),
            "images_per_second": round(done / seconds, 3) if done else 0.0,
        }


class ReportFile:
    """Writes rows to a file in the order of their index as soon as that order allows.

    What the order has kept back is written at the end. Raises OutputError.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)
        self.kept_back: dict[int, Row] = {}
        self.next = 0
        with output_errors(self.name):
            self.stream = io.TextIOWrapper(opened(path), "ascii")

    def __enter__(self) -> ReportFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with output_errors(self.name), self.stream:
            self._write([self.kept_back[index] for index in sorted(self.kept_back)])

    def add(self, row: Row) -> None:
        """Write a row, or keep it until all before it have come. Raises OutputError."""
        self.kept_back[row.index] = row
        ready = []
        while self.next in self.kept_back:
            ready.append(self.kept_back.pop(self.next))
            self.next += 1
        with output_errors(self.name):
            self._write(ready)

    def _write(self, rows: list[Row]) -> None:
        if rows:
            self.stream.write("".join(json.dumps(row.facts()) + "\n" for row in rows))
            self.stream.flush()
