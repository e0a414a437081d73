"""Model families, each a package of networks under its own name.

A family's `runtime.Networks` does what `hdcodec.codec` asks of it: `load`, `analyse`, `encode`,
`refine`, `indices`, `reconstruct`. Its registered id stands in `hdcodec.format.MODELS`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hdcodec.weights import Weights

    from .hdc.runtime import Networks


def load_networks(family: str, weights: Weights, device: str) -> Networks:
    """The networks of a family on a device; raises WeightsError, DeviceError."""
    with _nothing_collected():
        runtime = import_module(f"{__name__}.{family}.runtime")
        networks: Networks = runtime.Networks.load(weights, device)
    return networks


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Importing torch makes a great many objects and no garbage: looking for it takes a seventh."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
