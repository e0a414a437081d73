"""The page of `hdc compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from hdcodec.eval.comparison import Entry, winners
from hdcodec.eval.metrics import METRICS
from hdcodec.eval.points import finite
from hdcodec.eval.report import number
from hdcodec.pages._document import document
from hdcodec.pages._elements import Markup, element, table
from hdcodec.pages._stage import Slide, stage

RAW_BYTES = 3
TIMES = "\u00d7"
_NAMES = {"avif": "AVIF", "webp": "WebP", "jpeg": "JPEG", "jxl": "JPEG XL", "vvc": "VVC"}


def comparison_page(
    original: Image.Image, entries: Sequence[Entry], name: str, notes: Sequence[str] = ()
) -> bytes:
    """One HTML document on a picture and its files, this codec's first.

    original: RGB, of the size of all entries. name: of the picture, as it is shown. notes: what
    else is to be said under the table.
    """
    ours = entries[0]
    slides = [Slide(original, "Original", _size(original), f"{name}, the original")]
    slides += [
        Slide(one.image, title(one.codec), _bytes(one.bytes),
              f"{name} from {_bytes(one.bytes)} of {title(one.codec)}")
        for one in entries
    ]  # fmt: skip
    return document(
        f"{name} in {_bytes(ours.bytes)}",
        name,
        _lead(original, ours),
        stage(slides, f"{name}, before and after"),
        *_figures(entries, notes),
        facts=facts(original, entries),
    )


def facts(original: Image.Image, entries: Sequence[Entry]) -> dict[str, Any]:
    """The numbers of the page for JSON; null where a metric has no finite value."""
    fields = ("codec", "bytes", "bpp", "quality", "within")
    rows = [{name: getattr(one, name) for name in fields} | finite(one.metrics) for one in entries]
    return {"width": original.width, "height": original.height, "codecs": rows}


def title(codec: str) -> str:
    """The name of a codec to show: AVIF, half size for avif@x2."""
    base, _, factor = codec.partition("@x")
    scale = {"2": ", half size", "4": ", quarter size"}.get(factor, "")
    return _NAMES.get(base, base) + scale


def _lead(original: Image.Image, ours: Entry) -> Markup:
    ratio = RAW_BYTES * original.width * original.height / ours.bytes
    return element(
        "p",
        f"{_size(original)} in ",
        element("b", _bytes(ours.bytes)),
        f": {ours.bpp:.4f} bits per pixel, 1 : {ratio:,.0f} of the raw pixels.",
    )


def _size(image: Image.Image) -> str:
    return f"{image.width:,} {TIMES} {image.height:,} pixels"


def _bytes(count: int) -> str:
    return f"{count:,} bytes"


def _figures(entries: Sequence[Entry], notes: Sequence[str]) -> list[Markup]:
    names = list(entries[0].metrics)
    heads = ["Codec", "Bytes", _explained("bpp", "bits per pixel"), *map(_head, names)]
    best = winners(entries)
    largest = max(entry.bytes for entry in entries)
    rows = [_cells(entry, entries[0].bytes, largest, best) for entry in entries]
    return [
        element("h2", "The same bytes" if len(entries) > 1 else "The figures"),
        table(heads, rows, "Bytes and metrics of each codec"),
        *(element("p", note, class_="note") for note in [*_rules(entries), *notes]),
    ]


def _head(name: str) -> Markup:
    metric = METRICS[name]
    arrow, meaning = ("↑", "higher") if metric.higher_is_better else ("↓", "lower")
    return _explained(f"{metric.title} {arrow}", f"{meaning} is better")


def _explained(text: str, meaning: str) -> Markup:
    return element("abbr", text, title=meaning)


def _cells(entry: Entry, budget: int, largest: int, best: Mapping[str, float]) -> list[Markup]:
    share = f"--share:{100 * entry.bytes / largest:.1f}%"
    bar = element("span", class_="bar", style=share, aria_hidden="true")
    return [
        Markup(f"{element('span', title(entry.codec))}{_remark(entry, budget)}"),
        element("td", f"{entry.bytes:,}", bar),
        element("td", f"{entry.bpp:.4f}"),
        *(_value(entry, name, best) for name in entry.metrics),
    ]


def _remark(entry: Entry, budget: int) -> Markup:
    if entry.within:
        return element("small", f"quality {entry.quality:g}")
    excess = f"{entry.bytes / budget:.1f} {TIMES} the bytes"
    return element("small", f"lowest quality, {excess}", class_="larger")


def _value(entry: Entry, name: str, best: Mapping[str, float]) -> Markup:
    value = entry.metrics[name]
    wins = entry.within and value == best.get(name)
    return element("td", number(name, value), class_="best" if wins else None)


def _rules(entries: Sequence[Entry]) -> list[str]:
    if len(entries) == 1:
        return []
    rules = ["Rivals are at the quality whose file comes closest to these bytes without exceeding "
             "them; the best value of each metric is marked."]  # fmt: skip
    if not all(entry.within for entry in entries):
        rules.append("Some cannot get that small at this size: they are shown at their lowest "
                     "quality, with more bytes, and are not compared.")  # fmt: skip
    return rules
