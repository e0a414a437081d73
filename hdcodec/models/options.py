"""Options of a model family, declared once for Python, the command line, batches and `hdc eval`.

A family's options are a frozen dataclass that inherits from `Options`, its fields made by `option`:

    class Decoding(Options):
        fidelity: float = option(0.75, "0 looks most natural, 1 is closest.", low=0, high=1)
"""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields, replace
from numbers import Integral, Real
from typing import Any, TypeVar, cast

Self = TypeVar("Self", bound="Options")

_KEY = "option"

PSNR, PERCEPTUAL = "psnr", "perceptual"

MEMORY = 2 << 30
"""Bytes to count with for a process that works on a photograph of some megapixels."""


@dataclass(frozen=True)
class Choice:
    """What may be given for an option, and how it is shown.

    low, high: limits of a number. values: of a whole number, one of these. names: of a text, one of
    these. folder: whether it is the path of one. public: whether users see it; others are for tests
    and research.
    """

    help: str
    low: float | None = None
    high: float | None = None
    values: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    folder: bool = False
    public: bool = True

    def check(self, name: str, value: Any, whole: bool = False) -> None:
        """Raises ValueError where `value` lies outside, TypeError where it is of another kind or,
        with `whole`, no whole number."""
        if among := self.values or self.names:
            if type(value) is not type(among[0]) or value not in among:
                raise ValueError(f"{name} must be one of {', '.join(map(str, among))}")
        elif not self.folder:
            check_number(name, value, whole)
            self._check_limits(name, value)

    def _check_limits(self, name: str, value: float) -> None:
        low, high = self.low, self.high
        if not (low is None or value >= low) or not (high is None or value <= high):
            span = f"at least {low}" if high is None else f"between {low} and {high}"
            verb = "be" if high is None else "lie"
            raise ValueError(f"{name} must {verb} {span}")


def check_number(name: str, value: Any, whole: bool = False) -> None:
    """Raises TypeError where `value` is no number, or, with `whole`, no whole one."""
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        kind = "a whole number" if whole else "a number"
        raise TypeError(f"{name} must be {kind}, not {type(value).__name__}")


def is_whole(field: Field[Any]) -> bool:
    """Whether the field of a class of options takes whole numbers alone."""
    return "int" in str(field.type)


def option(default: Any, help: str, **choice: Any) -> Any:
    """A field of a class of options; `choice` are the fields of `Choice`."""
    return field(default=default, metadata={_KEY: Choice(help, **choice)})


@dataclass(frozen=True)
class Options:
    """Base of a family's options. Making one raises ValueError or TypeError for what it cannot be;
    None, where it is the default, leaves a choice to the family."""

    def __post_init__(self) -> None:
        known = defaults(type(self))
        for name, choice in choices(type(self)).items():
            value = getattr(self, name)
            if value is not None or known[name].default is not None:
                choice.check(name, value, is_whole(known[name]))

    @property
    def memory(self) -> int:
        """Bytes to count with for a process that works with these options."""
        return MEMORY

    @property
    def quick(self: Self) -> Self:
        """The same without what takes long: enough to tell how large a file becomes."""
        return self

    @classmethod
    def of(cls: type[Self], given: dict[str, Any]) -> Self:
        """From keywords; raises TypeError that names the one that is unknown."""
        for name in given:
            if name not in choices(cls):
                known = ", ".join(choices(cls)) or "none"
                raise TypeError(f"there is no option {name!r}; the model has {known}")
        return cls(**given)


def choices(kind: type[Options]) -> dict[str, Choice]:
    """The options of a class by name, in order."""
    return {item.name: item.metadata[_KEY] for item in fields(kind)}


def defaults(kind: type[Options]) -> dict[str, Field[Any]]:
    """The fields of a class of options by name; each has its default and type."""
    return {item.name: item for item in fields(kind)}


@dataclass(frozen=True)
class Searching(Options):
    """Options of encoders that can search for better symbols."""

    effort: int = option(
        0,
        "Search longer for a better picture in as few bytes, 0 to 10; decoding takes no longer.",
        low=0,
        high=10,
    )
    tune: str = option(
        PSNR,
        "What an --effort is for; perceptual takes LPIPS and DISTS (see --metric-weights) and many "
        "times as long.",
        names=(PSNR, PERCEPTUAL),
    )
    metric_weights: str | None = option(
        None,
        "Folder of LPIPS and DISTS weights; without it they come from installed packages.",
        folder=True,
    )

    @property
    def quick(self: Self) -> Self:
        """Without a search."""
        found: Self = replace(cast("Any", self), effort=0)
        return found

    @property
    def memory(self) -> int:
        """A search takes gradients, one by LPIPS and DISTS their networks, too."""
        if not self.effort:
            return super().memory
        return 3 << 30 if self.tune == PSNR else 4 << 30
