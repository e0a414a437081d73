"""Model families, each a package under its own name; `family.Family` is what all of them offer."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING

from hdcodec._errors import UnknownModelError
from hdcodec.format import MODELS

if TYPE_CHECKING:
    from .family import Family

FAMILIES = {"hdc": "hdcodec.models.hdc", "sprdiff": "hdcodec.models.sprdiff"}
"""Name of a family, to the module that holds its class under the name `Family`."""

DEFAULT = "hdc"

_opening = RLock()


def identify(model: str | int) -> int:
    """The model id of an id, or of a family's name: its newest. Raises UnknownModelError."""
    ids = [number for number, known in MODELS.items() if model in (number, known.family)]
    if not ids or isinstance(model, bool):
        known = ", ".join(FAMILIES)
        raise UnknownModelError(f"unknown model {model!r}; this release knows {known}")
    return max(ids)


def newest() -> list[int]:
    """The model ids whose weights belong to this release, one of each family."""
    return [identify(name) for name in FAMILIES]


def family_class(name: str) -> type[Family]:
    """The class of a family; imports nothing heavy."""
    found: type[Family] = import_module(FAMILIES[name]).Family
    return found


def open_model(model: str | int) -> Family:
    """The family object of a model, made once. Raises UnknownModelError, WeightsError."""
    with _opening:
        return _opened(identify(model))


@lru_cache(maxsize=8)
def _opened(model_id: int) -> Family:
    return family_class(MODELS[model_id].family)(model_id)


def forget() -> None:
    """Make `open_model` read weights anew."""
    _opened.cache_clear()
