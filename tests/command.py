"""The command line, run in the tests' own process."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple


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
