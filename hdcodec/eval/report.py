"""Tables for people, and one object for programs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from hdcodec.eval import summary
from hdcodec.eval.metrics import METRICS
from hdcodec.eval.points import Point, finite

WIDTH = 240
MISSING = "-"

Means = dict[str, tuple[float, int]]
"""Of metrics, each with the number of pictures in it."""


@dataclass(frozen=True)
class Report:
    """What the rows of a run say, for some metrics.

    `rates` are the bits per pixel to interpolate at, `anchor` the codec that BD-rates compare with;
    there are none where it has no rows.
    """

    rows: Sequence[Point]
    names: Sequence[str]
    rates: Sequence[float] = ()
    anchor: str | None = None

    def tables(self) -> dict[str, Table]:
        """The tables by what they show, without those that would be empty."""
        every = {
            "Means per setting": self._settings_table(),
            "Means at equal rates": self._rates_table(),
            "Difference in rate at equal quality": self._bd_table(),
        }
        return {title: table for title, table in every.items() if table.row_count}

    def markdown(self) -> str:
        """The tables as Markdown, one after another."""
        console = Console(file=StringIO(), width=WIDTH, color_system=None)
        return "\n".join(_markdown(console, table) for table in self.tables().values())

    def as_object(self) -> dict[str, Any]:
        """The numbers of the tables for JSON; null where there is none."""
        at = [{"codec": c, "bpp": bpp} | _counted(found) for c, bpp, found in self._at_rates()]
        bd = [
            {"codec": c, "anchor": self.anchor} | _counted(found) for c, found in self._bd_rates()
        ]
        settings = [finite(row) for row in summary.per_setting(self.rows)]
        return {"images": self._images, "settings": settings, "at_bpp": at, "bd_rate": bd}

    @property
    def _images(self) -> int:
        return len({row["image"] for row in self.rows})

    def _at_rates(self) -> list[tuple[str, float, Means]]:
        split = summary.by_codec(self.rows)
        return [
            (codec, bpp, {name: summary.mean_at(rows, name, bpp) for name in self.names})
            for bpp in self.rates
            for codec, rows in split.items()
        ]

    def _bd_rates(self) -> list[tuple[str, Means]]:
        split = summary.by_codec(self.rows)
        anchor = split.pop(self.anchor, None) if self.anchor else None
        if anchor is None:
            return []
        return [
            (codec, {name: summary.bd_rate(rows, anchor, name) for name in self.names})
            for codec, rows in split.items()
        ]

    def _settings_table(self) -> Table:
        heads = ["setting", "images", "bytes", "bpp", *self._titles(), "encode s", "decode s"]
        table = grid("codec", heads)
        for row in summary.per_setting(self.rows):
            cells = [f"{row['setting']:g}", str(row["images"]), f"{row['bytes']:.0f}"]
            cells += [f"{row['bpp']:.4f}", *(number(name, row[name]) for name in self.names)]
            cells += [f"{row[name]:.2f}" for name in ("encode_seconds", "decode_seconds")]
            table.add_row(row["codec"], *cells)
        return table

    def _rates_table(self) -> Table:
        """A value that not all pictures reach has their number behind it."""
        table = grid("codec", ["at bpp", *self._titles()])
        for codec, bpp, values in self._at_rates():
            cells = [
                number(name, value) + (f" ({count})" if 0 < count < self._images else "")
                for name, (value, count) in values.items()
            ]
            if any(cell != MISSING for cell in cells):
                table.add_row(codec, f"{bpp:g}", *cells)
        return table

    def _bd_table(self) -> Table:
        table = grid(f"BD-rate % against {self.anchor}", self._titles())
        for codec, pairs in self._bd_rates():
            cells = [f"{v:+.1f} ({n})" if n else MISSING for v, n in pairs.values()]
            table.add_row(codec, *cells)
        return table

    def _titles(self) -> list[str]:
        return [METRICS[name].title for name in self.names]


def grid(first: str, heads: Iterable[str]) -> Table:
    """An empty table in Markdown: a column of names, then one of numbers per head."""
    table = Table(box=box.MARKDOWN)
    table.add_column(first, no_wrap=True)
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    return table


def _markdown(console: Console, table: Table) -> str:
    with console.capture() as capture:
        console.print(table)
    return "".join(f"{line.strip()}\n" for line in capture.get().splitlines() if line.strip())


def number(name: str, value: float) -> str:
    """A metric's value with its digits, ∞, or a dash for NaN."""
    if math.isinf(value):
        return "∞"
    return MISSING if math.isnan(value) else f"{value:.{METRICS[name].digits}f}"


def _counted(means: Means) -> dict[str, Any]:
    """For JSON."""
    return {
        name: finite({"value": value, "images": images}) for name, (value, images) in means.items()
    }
