"""Options that several commands share."""

import math
import os
from collections.abc import Callable
from dataclasses import Field
from typing import Any

import click

from hdcodec.format import MODELS
from hdcodec.models import DEFAULT, FAMILIES, family_class, identify
from hdcodec.models.devices import BACKENDS
from hdcodec.models.options import Choice, Options, choices, defaults, is_whole

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


class OneOf(click.IntRange):
    """One of some whole numbers."""

    def __init__(self, values: tuple[int, ...]) -> None:
        super().__init__(min(values), max(values))
        self.values = values

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        number = int(super().convert(value, param, ctx))
        if number not in self.values:
            self.fail(f"{value!r} is not one of {', '.join(map(str, self.values))}.", param, ctx)
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


def family_options(kind: str, *, lists: bool = False, without: str = "") -> Decorator:
    """The options of all model families, `kind` Encoding or Decoding; with `lists` each takes
    values between commas. `without`: one that the command has by itself."""
    found = {name: fields for name, fields in _family_fields(kind).items() if name != without}
    return together(*(_family_option(name, fields, lists) for name, fields in found.items()))


def family_names(kind: str) -> list[str]:
    """The names of the options that `family_options` makes."""
    return list(_family_fields(kind))


def _family_fields(kind: str) -> dict[str, dict[str, Field[Any]]]:
    """By name, then by family; families that share an option declare it alike, but for its
    default."""
    found: dict[str, dict[str, Field[Any]]] = {}
    for family in FAMILIES:
        for name, field in defaults(getattr(family_class(family), kind)).items():
            if field.metadata["option"].public:
                found.setdefault(name, {})[family] = field
    return found


def _shown_default(fields: dict[str, Field[Any]]) -> str | None:
    """What the help says of a default: where families have several, each with its family."""
    values = {family: field.default for family, field in fields.items()}
    first = next(iter(values.values()))
    if all(value == first for value in values.values()):
        return str(first) if first else None
    return ", ".join(f"{value} ({family})" for family, value in values.items())


def _family_option(name: str, fields: dict[str, Field[Any]], lists: bool) -> Decorator:
    field = next(iter(fields.values()))
    choice: Choice = field.metadata["option"]
    kind: click.ParamType[Any]
    if choice.names:
        kind = click.Choice(choice.names)
    elif choice.folder:
        kind = click.Path(exists=True, file_okay=False)
    elif choice.values:
        kind = OneOf(choice.values)
    elif is_whole(field):
        kind = click.IntRange(_whole(choice.low), _whole(choice.high))
    else:
        kind = Finite(choice.low, choice.high)
    switch = f"--{name.replace('_', '-')}"
    if lists:
        text = f"{choice.help} Several, between commas."
        return click.option(switch, metavar="LIST", callback=listed(kind.convert), help=text)
    return click.option(switch, type=kind, help=choice.help, show_default=_shown_default(fields))


def _whole(limit: float | None) -> int | None:
    return None if limit is None else int(limit)


def family_kind(model: str | int, kind: str) -> type[Options]:
    """A class of options, `kind` Encoding or Decoding, of a model's family."""
    found: type[Options] = getattr(family_class(MODELS[identify(model)].family), kind)
    return found


def of_family(model: str | int, kind: str, values: dict[str, Any], **shared: Any) -> dict[str, Any]:
    """Those of `values`, made by `family_options`, that were given; one that the model's family
    does not have is wrong usage. `shared`: options of the command that the family may have, too."""
    known, chosen = choices(family_kind(model, kind)), given(**values)
    for option in chosen:
        if option not in known:
            name = MODELS[identify(model)].family
            raise click.UsageError(f"--{option.replace('_', '-')} is not an option of {name}.")
    return chosen | given(**{option: shared[option] for option in shared if option in known})


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
