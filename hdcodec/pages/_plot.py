"""Line charts as SVG: curves over a logarithmic axis, in the colours of the style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hdcodec.pages._elements import Markup, element

COLOURS = 8
WIDTH, HEIGHT = 560, 360
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 16, 48
_MARKS = (
    "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z",  # circle
    "M-4-4h8v8h-8z",  # square
    "M0-5.2L5.2 4h-10.4z",  # triangle
    "M0-5.6L5.6 0 0 5.6-5.6 0z",  # diamond
)

Scale = Callable[[float], float]


@dataclass(frozen=True)
class PlotPoint:
    """A measured point; text: what is said of it when it is pointed at."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class PlotCurve:
    """Points under a name. colour: its place in the legend, from 0."""

    name: str
    points: Sequence[PlotPoint]
    colour: int


def chart(title: str, x_title: str, curves: Sequence[PlotCurve], *, falling: bool) -> Markup:
    """A figure with the curves; x is logarithmic, and y falls upwards where `falling`.

    Better is then always further up. At least one curve has a point; all x are above 0.
    """
    points = [point for curve in curves for point in curve.points]
    x_ticks = log_ticks(min(p.x for p in points), max(p.x for p in points))
    y_ticks = ticks(min(p.y for p in points), max(p.y for p in points))
    lowest, highest = (y_ticks[-1], y_ticks[0]) if falling else (y_ticks[0], y_ticks[-1])
    xs = [*(p.x for p in points), *x_ticks]
    low, high = math.log(min(xs) / 1.06), math.log(max(xs) * 1.06)
    x = _scale(low, high, LEFT, WIDTH - RIGHT)
    y = _scale(lowest, highest, HEIGHT - BOTTOM, TOP)
    drawing = element(
        "svg",
        *(_x_tick(x(math.log(tick)), f"{tick:g}") for tick in x_ticks),
        *(_y_tick(y(tick), f"{tick:g}") for tick in y_ticks),
        element("text", x_title, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 8, text_anchor="middle"),
        *(_curve(curve, lambda value: x(math.log(value)), y) for curve in curves),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"{title} over {x_title}; the figures are in the tables below",
    )
    return element("figure", element("figcaption", title), drawing, class_="chart")


def legend(names: Iterable[str]) -> Markup:
    """The names with the colours and marks of their curves."""
    items = []
    for colour, name in enumerate(names):
        line = element("path", d="M0 7H26", class_="curve", stroke_width=2.5)
        sample = element("svg", line, _mark(13, 7, colour), viewBox="0 0 26 14", aria_hidden="true")
        items.append(element("li", sample, element("span", name), class_=_class(colour)))
    return element("ul", *items, class_="legend")


def _scale(start: float, end: float, first: float, last: float) -> Scale:
    return lambda value: round(first + (value - start) / (end - start) * (last - first), 1)


def log_ticks(low: float, high: float) -> list[float]:
    """Values 1, 2 and 5 times powers of ten between the ends, or the one below them."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = [float(f"{step}e{power}") for power in powers for step in (1, 2, 5)]
    inside = [value for value in every if low <= value <= high]
    return inside or [max(value for value in every if value <= low)]


def ticks(low: float, high: float) -> list[float]:
    """Four to nine round values from at most `low` to at least `high`."""
    spread = (high - low) or max(abs(high), 1.0) / 10
    rough = spread / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [float(f"{n * step:.10g}") for n in range(first, max(last, first + 1) + 1)]


def _x_tick(x: float, text: str) -> Markup:
    line = element("path", d=f"M{x} {TOP}V{HEIGHT - BOTTOM}", class_="grid")
    label = element("text", text, x=x, y=HEIGHT - BOTTOM + 18, text_anchor="middle")
    return element("g", line, label)


def _y_tick(y: float, text: str) -> Markup:
    line = element("path", d=f"M{LEFT} {y}H{WIDTH - RIGHT}", class_="grid")
    return element("g", line, element("text", text, x=LEFT - 8, y=y + 4.5, text_anchor="end"))


def _curve(curve: PlotCurve, x: Scale, y: Scale) -> Markup:
    places = [(x(point.x), y(point.y)) for point in curve.points]
    path = "M" + "L".join(f"{a} {b}" for a, b in places)
    marks = [
        _mark(*place, curve.colour, element("title", point.text))
        for place, point in zip(places, curve.points, strict=True)
    ]
    line = element("path", d=path, class_="curve")
    return element("g", line, *marks, class_=_class(curve.colour))


def _mark(x: float, y: float, colour: int, *children: Markup) -> Markup:
    shape = _MARKS[colour % len(_MARKS)]
    return element("path", *children, d=shape, transform=f"translate({x} {y})", class_="mark")


def _class(colour: int) -> str:
    return f"s{colour % COLOURS}"
