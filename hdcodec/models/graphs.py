"""What a family's networks are to all else here: functions of numpy arrays, by name.

A graph takes arrays and gives arrays, rows and columns first, channels last, for one picture or
tile. `TorchGraphs` computes them from the networks' own modules, on any device; `OnnxGraphs` from
the files that were exported from these modules, on the CPU and without torch.
"""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

Array = NDArray[Any]


class Graphs(Protocol):
    """The networks of a family on one device."""

    @property
    def backend(self) -> str:
        """ "onnx" or "torch"."""
        ...

    @property
    def device(self) -> str:
        """As torch names it."""
        ...

    @property
    def precision(self) -> str:
        """ "float32" or "bfloat16": what pictures are computed in."""
        ...

    def sized(self, pixels: int) -> Graphs:
        """What computes the graphs for pictures of so many pixels soonest."""
        ...

    def prepare(self, name: str) -> None:
        """Begin to load the graph `name`, beside other work, if that takes time."""
        ...

    def __call__(self, name: str, *inputs: Array) -> list[Array]:
        """The outputs of the graph `name`. Raises FullDeviceError, WeightsError."""
        ...
