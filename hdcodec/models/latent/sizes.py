"""Sizes of networks: everything a checkpoint's shapes follow from, as a manifest holds it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

Own = TypeVar("Own", bound="Sizes")

MAX_SIZE = 4096


@dataclass(frozen=True)
class Sizes:
    """Base of the sizes of a network. A field is a whole number or the sizes of a part; each has a
    default."""

    def to_dict(self) -> dict[str, Any]:
        """All sizes by name."""
        return asdict(self)

    @classmethod
    def from_dict(cls: type[Own], values: dict[str, Any]) -> Own:
        """The inverse of `to_dict`; raises ValueError on anything else."""
        known = {field.name: field.default for field in fields(cls)}
        if not isinstance(values, dict):
            raise ValueError(f"the model sizes are {values!r}")
        if unknown := set(values) - set(known):
            raise ValueError(f"unknown model size: {', '.join(sorted(unknown))}")
        return cls(**{name: _read(name, known[name], value) for name, value in values.items()})


def _read(name: str, default: Any, value: Any) -> Any:
    if isinstance(default, Sizes):
        return type(default).from_dict(value)
    if type(value) is not int or not 0 < value <= MAX_SIZE:
        raise ValueError(f"the model size {name} is {value!r}")
    return value


@dataclass(frozen=True)
class DecoderConfig(Sizes):
    """Of a decoder that the LIC stream corrects: `depth` blocks of `width` at 1/16 and
    `detail_depth` of `detail` at 1/8, then `head_depth`; and of what it is given: vectors of
    `vectors` numbers, and features of `seen` at 1/8, out of which `sixteenth` at 1/16 are made."""

    vectors: int = 32
    seen: int = 160
    sixteenth: int = 192
    width: int = 224
    depth: int = 5
    detail: int = 144
    detail_depth: int = 7
    head_depth: int = 2
