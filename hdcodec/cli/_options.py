"""Options that several commands share."""

import math
import os
from collections.abc import Callable
from typing import Any

import click

from hdcodec.models import DEFAULT
from hdcodec.models.devices import BACKENDS

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
Rgb = tuple[int, int, int]


class Finite(click.FloatRange):
    """A range of floats that has no place for nan and infinity."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def colour(text: str) -> Rgb:
    """A colour as Pillow names it: white, #ff8800, rgb(255, 136, 0)."""
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no colour; try white or #ff8800.") from error
    return red, green, blue


def listed(
    convert: Callable[[Any, click.Parameter | None, click.Context | None], Any],
) -> Callable[..., Any]:
    """A callback that converts what stands between commas; an empty text is the empty list."""

    def callback(ctx: click.Context, param: click.Parameter, text: str | None) -> list[Any] | None:
        if text is None:
            return None
        return [convert(item.strip(), param, ctx) for item in text.split(",") if item.strip()]

    return callback


def together(*decorators: Decorator) -> Decorator:
    """One decorator for all of `decorators`; in the help they keep this order."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def given(**options: object) -> dict[str, Any]:
    """The options that are not None, for a call that has defaults of its own."""
    return {name: value for name, value in options.items() if value is not None}


def exclusive(**options: object) -> dict[str, Any]:
    """The one option that was given, or none; more than one is wrong usage."""
    chosen = given(**options)
    if len(chosen) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in chosen)
        raise click.UsageError(f"{names} exclude each other.")
    return chosen


rate = together(
    click.option(
        "-q",
        "--quality",
        type=Finite(0, 100),
        help="0 (smallest file) to 100; 50 unless given.",
    ),
    click.option(
        "--bpp",
        type=Finite(0, min_open=True),
        help="Best quality with at most this many bits per pixel, whole file counted.",
    ),
    click.option(
        "--target-size",
        type=click.IntRange(1),
        metavar="BYTES",
        help="Best quality with at most this many bytes.",
    ),
)

max_side = click.option(
    "--max-side",
    type=click.IntRange(1),
    metavar="N",
    help="Code the picture smaller, its longer side of at most N pixels; decoding enlarges it.",
)


class Place(click.ParamType[str]):
    """A region as it is written; kept as text."""

    name = "region"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from hdcodec.models.regions import Region

        try:
            Region.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


def protected(ctx: click.Context, param: click.Parameter, text: str) -> str:
    """A callback that checks what is to be protected."""
    if text == "none":
        return text
    from hdcodec._regions import kinds

    try:
        kinds(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return text


regions = together(
    click.option(
        "--region",
        "regions",
        type=Place(),
        multiple=True,
        metavar="X,Y,W,H[:OFFSET]",
        help="Pixels that get more quality than the rest, by 25 unless given; may be repeated.",
    ),
    click.option(
        "--mask",
        type=click.Path(exists=True, dir_okay=False),
        metavar="FILE",
        help="Gray picture: what is white gets 25 more quality, what is black 25 less.",
    ),
    click.option(
        "--protect",
        default="auto",
        show_default=True,
        metavar="WHAT",
        callback=protected,
        help="faces, text, both with a comma, or none: they get more quality the smaller they are; "
        "auto is faces where their detector is installed.",
    ),
)


class Named(click.Path):
    """A path that is not empty, as an argument is that a shell makes of an unset variable."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not os.fspath(value):
            self.fail("The name is empty.", param, ctx)
        return super().convert(value, param, ctx)


FILE = Named(allow_dash=True, readable=False)
"""A file or a stream, which is looked at when it is opened."""


metric_weights = click.option(
    "--metric-weights",
    type=click.Path(exists=True, file_okay=False),
    help="Folder of LPIPS and DISTS weights; without it they come from installed packages.",
)

model = click.option("--model", default=DEFAULT, show_default=True, help="One of `hdc models`.")

device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where the networks run; auto takes a GPU if there is one.",
)

backend = click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="auto",
    show_default=True,
    help="What computes the networks: onnx (onnxruntime, on the CPU), torch, or what is fastest; "
    "HDC_BACKEND sets what auto means.",
)

flatten = click.option(
    "--flatten",
    type=colour,
    metavar="COLOUR",
    help="Put a transparent picture on this colour, e.g. white or #ff8800.",
)

force = click.option("-f", "--force", is_flag=True, help="Replace an existing output.")

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")

quiet = click.option("--quiet", is_flag=True, help="Print nothing but what is wrong, and --json.")

max_pixels = click.option(
    "--max-pixels",
    type=click.IntRange(1),
    metavar="N",
    help="Refuse pictures of more pixels, before memory is taken; 178956970 unless given.",
)
