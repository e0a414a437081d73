"""HTML and SVG elements from Python calls; whatever is not an element itself is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_VOID = frozenset(("br", "img"))


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, *children: object, **attributes: object) -> Markup:
    """An element. class_ stands for class, aria_label for aria-label; None and False leave an
    attribute out, True gives it no value.
    """
    start = f"<{name}{''.join(_attribute(*item) for item in attributes.items())}>"
    return Markup(start if name in _VOID else f"{start}{joined(children)}</{name}>")


def joined(children: Iterable[object]) -> Markup:
    """Elements and texts in a row, the texts escaped."""
    return Markup("".join(c if isinstance(c, Markup) else escape(str(c)) for c in children))


def _attribute(name: str, value: object) -> str:
    name = name.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def table(head: Iterable[object], rows: Iterable[Iterable[object]], caption: str) -> Markup:
    """A table that scrolls sideways where it is too wide; the first cell of a row is its header."""
    heads = [element("th", cell, scope="col") for cell in head]
    body = [element("tr", *_cells(list(row))) for row in rows]
    whole = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *heads)),
        element("tbody", *body),
    )
    return element("div", whole, class_="scroll", tabindex=0, role="region", aria_label=caption)


def _cells(row: list[object]) -> list[Markup]:
    return [element("th", row[0], scope="row"), *(_cell(value) for value in row[1:])]


def _cell(value: object) -> Markup:
    if isinstance(value, Markup) and value.startswith("<td"):
        return value
    return element("td", value)
