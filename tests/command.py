"""The command line and scripts, run in the tests' own process."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest


class Run(NamedTuple):
    """What a command answered."""

    code: int
    out: bytes
    err: str

    @property
    def facts(self) -> dict[str, Any]:
        """Its JSON."""
        assert self.code == 0, self.err
        return dict(json.loads(self.out))


Hdc = Callable[..., Run]


def script(path: str) -> ModuleType:
    """A script of the repository as a module; it may import others that lie beside it."""
    file = Path(__file__).parents[1] / path
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(file.parent)
        return import_module(file.stem)
