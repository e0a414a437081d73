"""The page of `hdc eval`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

from hdcodec.eval import summary
from hdcodec.eval.gallery import Example, Gallery
from hdcodec.eval.metrics import METRICS
from hdcodec.eval.points import Point, finite
from hdcodec.eval.report import Report, number
from hdcodec.pages._document import data_uri, document
from hdcodec.pages._elements import Markup, element, table
from hdcodec.pages._plot import PlotCurve, PlotPoint, chart, legend
from hdcodec.pages._stage import Slide, stage

RATE = "bits per pixel"
LINES = "application/x-ndjson"


def evaluation_page(
    report: Report, name: str, shown: Gallery | None = None, points: str | None = None
) -> bytes:
    """One HTML document on a run over a folder: curves, worst and best pictures, tables, rows.

    name: of the folder, as it is shown. points: the address of the file with all rows, relative
    to the page; the rows of this report are in the page, too.
    """
    sections = [*_curves(report), *_gallery(shown), *_tables(report), *_rows(report.rows, points)]
    title = f"{name}: rate and quality"
    return document(title, name, _lead(report), *sections, facts=report.as_object())


def _lead(report: Report) -> Markup:
    images = len({(row["image"], row["digest"]) for row in report.rows})
    names = ", ".join(summary.codecs(report.rows)) or "nothing"
    pictures = "1 picture" if images == 1 else f"{images} pictures"
    return element("p", element("b", pictures), f", coded by {names}; sizes are of whole files.")


def _curves(report: Report) -> Iterator[Markup]:
    means = summary.per_setting(report.rows)
    codecs = summary.codecs(means)
    charts = [chart for name in report.names for chart in _chart(means, codecs, name)]
    if charts:
        yield element("h2", "Rate and quality")
        yield element("p", "Means over all pictures. Further up is better, everywhere.",
                      class_="note")  # fmt: skip
        yield legend(codecs)
        yield element("div", *charts, class_="charts")


def _chart(means: Sequence[Point], codecs: Sequence[str], name: str) -> Iterator[Markup]:
    metric = METRICS[name]
    found = [
        PlotCurve(codec, _points(means, codec, name), colour) for colour, codec in enumerate(codecs)
    ]
    curves = [curve for curve in found if curve.points]
    if curves:
        yield chart(metric.title, RATE, curves, falling=not metric.higher_is_better)


def _points(means: Sequence[Point], codec: str, name: str) -> list[PlotPoint]:
    rows = [row for row in summary.of(means, codec=codec) if math.isfinite(row[name])]
    return [
        PlotPoint(row["bpp"], row[name], f"{codec}, {row['setting']:g}: {row['bpp']:.4f} bpp, "
              f"{METRICS[name].title} {number(name, row[name])}")
        for row in sorted(rows, key=lambda row: float(row["bpp"]))
    ]  # fmt: skip


def _tables(report: Report) -> Iterator[Markup]:
    tables = report.tables()
    if tables:
        yield element("h2", "Figures")
    for title, one in tables.items():
        rows = zip(*(column.cells for column in one.columns), strict=True)
        yield element("h3", title)
        yield table([column.header for column in one.columns], rows, title)


def _gallery(shown: Gallery | None) -> Iterator[Markup]:
    if shown is None:
        return
    metric = METRICS[shown.metric].title
    for title, examples in (("Worst", shown.worst), ("Best", shown.best)):
        if examples:
            yield element("h2", f"{title} by {metric}, {shown.codec} at {shown.setting:g}")
            cards = (_card(example, shown) for example in examples)
            yield element("div", *cards, class_="gallery")


def _card(example: Example, shown: Gallery) -> Markup:
    row, name = example.row, example.row["image"]
    values = [f"{row['bytes']:,} bytes", f"{row['bpp']:.4f} bpp"]
    values += [
        f"{metric.title} {number(key, row[key])}"
        for key, metric in METRICS.items()
        if key in row and not metric.of_sets
    ]
    if example.factor > 1:
        values.append(f"shown at 1/{example.factor:.1f} of its size")
    coded = f"{row['bytes']:,} bytes"
    slides = [
        Slide(example.original, "Original", "", f"{name}, the original"),
        Slide(example.decoded, shown.codec, coded, f"{name} from {coded} of {shown.codec}"),
    ]
    return element(
        "article",
        element("h3", name),
        element("p", " · ".join(values)),
        stage(slides, f"{name}, before and after"),
    )


def _rows(rows: Sequence[Point], points: str | None) -> Iterator[Markup]:
    lines = "".join(f"{json.dumps(finite(row))}\n" for row in rows)
    within = element("a", "The rows behind this page", href=data_uri(LINES, lines.encode()),
                     download="rows.jsonl")  # fmt: skip
    beside = [", and ", element("a", points, href=points), " beside it with all there are"]
    yield element("h2", "Data")
    yield element("p", within, f" ({len(rows):,} JSON lines)", *(beside if points else ()), ".")
