"""Options of the model families, for the commands that take them."""

from dataclasses import Field
from typing import Any

import click

from hdcodec import models
from hdcodec.cli._options import Decorator, Finite, given, listed, together
from hdcodec.format import MODELS
from hdcodec.models import family_class, identify
from hdcodec.models.options import Choice, Options, choices, defaults, is_whole


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
    for family in models.FAMILIES:
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
