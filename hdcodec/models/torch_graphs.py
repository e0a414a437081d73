"""Graphs computed by torch, on any device, from the networks' own modules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .devices import TORCH, chosen_bfloat16
from .graphs import Array
from .tiles import FullDeviceError


@contextmanager
def told_when_full() -> Iterator[None]:
    """Raise FullDeviceError where torch says that a GPU has no memory left."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise FullDeviceError from error


class TorchGraphs:
    """Modules that take and give tensors as `Graphs` do arrays; those in `halved` compute in
    bfloat16 where that is fastest, or as `precision` says."""

    backend = TORCH

    def __init__(
        self,
        modules: dict[str, nn.Module],
        device: torch.device,
        precision: str = "auto",
        halved: tuple[str, ...] = (),
    ) -> None:
        self.place, self.modules, self.halved = device, modules, halved
        self.half = chosen_bfloat16(device.type, precision)
        """Whether pictures are computed in bfloat16; symbols never depend on it."""

    @property
    def device(self) -> str:
        """As torch names it."""
        return str(self.place)

    @property
    def precision(self) -> str:
        """What pictures are computed in."""
        return "bfloat16" if self.half else "float32"

    def sized(self, pixels: int) -> TorchGraphs:
        """The same: one way suits all sizes."""
        return self

    def prepare(self, name: str) -> None:
        """Nothing: they are ready."""

    def __call__(self, name: str, *inputs: Array) -> list[Array]:
        """The outputs of a graph, whatever modes of torch the caller is in. Raises
        FullDeviceError."""
        half = self.half and name in self.halved
        precision = torch.autocast(self.place.type, torch.bfloat16, enabled=half)
        with told_when_full(), torch.inference_mode(), precision:
            found = self.modules[name](*map(self.tensor, inputs))
            outputs = (found,) if isinstance(found, Tensor) else found
            return [output.contiguous().cpu().numpy() for output in outputs]

    def tensor(self, array: Array) -> Tensor:
        """An array on the device; a view of it on the CPU."""
        return torch.from_numpy(array).to(self.place)
