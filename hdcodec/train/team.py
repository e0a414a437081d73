"""Processes that train one model together, each on crops of its own.

One process per core trains more pictures a second than one process with as many threads, and costs
of the optimizer are shared.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import start_processes


@dataclass(frozen=True)
class Team:
    """One process's place among `size` processes; a team of one communicates with nobody."""

    rank: int = 0
    size: int = 1

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace the tensors, of the same shapes everywhere, by their means over the team."""
        if self.size > 1:
            flat = torch.cat([t.flatten() for t in tensors])
            dist.all_reduce(flat)
            _unpack(flat.div_(self.size), tensors)

    def share(self, tensors: Sequence[Tensor], owner: int) -> None:
        """Replace the tensors by those of the process with rank `owner`."""
        if self.size > 1 and tensors:
            flat = torch.cat([t.flatten() for t in tensors])
            dist.broadcast(flat, owner)
            if self.rank != owner:
                _unpack(flat, tensors)

    def agree(self, value: float) -> float:
        """The first process's value."""
        held = torch.tensor([value], dtype=torch.float64)
        self.share([held], 0)
        return float(held)

    def gather(self, value: Any) -> list[Any]:
        """Everybody's value, by rank."""
        values = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(values, value)
        return values


ALONE = Team()


@torch.no_grad()
def _unpack(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    parts = torch.split(flat, [t.numel() for t in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))


def in_team(size: int, work: Callable[[Team], None]) -> None:
    """Run `work`, which must pickle, in `size` processes of one machine, and wait for them."""
    if size == 1:
        work(ALONE)
        return
    with TemporaryDirectory() as folder:
        place = (Path(folder) / "meeting").as_uri()
        start_processes(_member, (size, place, work), size, start_method="spawn")  # type: ignore[no-untyped-call]


def _member(rank: int, size: int, place: str, work: Callable[[Team], None]) -> None:
    # torch sends this when the parent dies; a job in a shell's background would ignore it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    dist.init_process_group("gloo", init_method=place, rank=rank, world_size=size)
    try:
        work(Team(rank, size))
    finally:
        dist.destroy_process_group()
