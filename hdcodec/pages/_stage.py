"""Pictures of one size on top of each other, with a divider between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from hdcodec.pages._document import picture
from hdcodec.pages._elements import Markup, element

_MINUS = "\u2212"
_ZOOM = {
    "out": (_MINUS, "Zoom out"),
    "in": ("+", "Zoom in"),
    "fit": ("Fit", "Fit the whole picture"),
    "one": ("1:1", "One screen pixel for each pixel"),
    "full": ("Full screen", None),
}
_KEYS = {
    "divider": ("←", "→"),
    "left": ("1", "…"),
    "right": ("⇧1", "…"),
    "flip": ("X",),
    "zoom": ("+", _MINUS, "0"),
}


@dataclass(frozen=True)
class Slide:
    """A picture under its name, with a line of small print. text: what it shows, in words."""

    image: Image.Image
    name: str
    note: str
    text: str


def stage(slides: Sequence[Slide], label: str) -> Markup:
    """The first slide on the left, the second on the right; buttons choose where there are more.

    All slides have the same size.
    """
    width, height = slides[0].image.size
    divider = element(
        "div", element("span", aria_hidden="true"),
        class_="divider", role="slider", tabindex=0, aria_label="Divider between left and right",
        aria_valuemin=0, aria_valuemax=100, aria_valuenow=50, aria_orientation="horizontal",
    )  # fmt: skip
    sides = ("left", "right") if len(slides) > 2 else ()
    pickers = [_picker(side, slides) for side in sides]
    view = element("div", *map(_figure, slides), divider, class_="view")
    return element(
        "section",
        element("div", *pickers, class_="pickers") if pickers else "",
        view,
        _tools(),
        class_="stage",
        aria_label=label,
        style=f"--width:{width};--height:{height}",
    )


def _figure(slide: Slide) -> Markup:
    caption = element("figcaption", element("b", slide.name), " ", element("small", slide.note))
    return element("figure", picture(slide.image, slide.text), caption)


def _picker(side: str, slides: Sequence[Slide]) -> Markup:
    buttons = [
        element("button", element("kbd", number, aria_hidden="true"), slide.name, type="button")
        for number, slide in enumerate(slides, 1)
    ]
    label = f"{side.capitalize()} picture"
    return element("div", *buttons, class_=f"picker {side}", role="group", aria_label=label)


def _tools() -> Markup:
    buttons = [
        element("button", sign, type="button", data_zoom=name, aria_label=text, title=text)
        for name, (sign, text) in _ZOOM.items()
    ]
    scale = element("output", class_="scale", aria_label="Scale")
    keys = [
        element("span", *(element("kbd", name) for name in names), f" {does}")
        for does, names in _KEYS.items()
    ]
    return element(
        "div",
        element("div", buttons[0], scale, *buttons[1:], class_="zoom"),
        element("div", *keys, class_="keys", aria_hidden="true"),
        class_="tools",
    )
