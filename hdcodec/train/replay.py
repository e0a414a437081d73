"""Training steps recorded as CUDA graphs.

A step of these networks is some ten thousand small kernels, and starting them one by one takes a
CPU longer than running them takes a GPU. A recorded step starts with one call. Random numbers of
the device come anew at each replay; what Python decides, such as a view's place, stays as it was
recorded, so several recordings take turns.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .figures import Figures

WARM_UPS = 3
"""Steps taken before the first recording, in which libraries choose their algorithms."""

RECORDINGS = 16

Update = Callable[[Tensor, torch.Generator], Figures]


class Replay:
    """`update`, recorded; its figures hold until the next call."""

    def __init__(self, update: Update) -> None:
        self.update, self.taken = update, 0
        self.recordings: dict[int, tuple[torch.cuda.CUDAGraph, Figures]] = {}
        self.stream: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self.pool = torch.cuda.graph_pool_handle()
        self.batch: Tensor | None = None

    def __call__(self, batch: Tensor, generator: torch.Generator) -> Figures:
        """One update from a batch of always the same shape."""
        if self.batch is None:
            self.batch = torch.empty_like(batch)
        self.batch.copy_(batch)
        self.taken += 1
        if self.taken <= WARM_UPS:
            return self._plain(generator)
        number = int(torch.randint(RECORDINGS, (), generator=generator))
        if number not in self.recordings:
            self.recordings[number] = self._record(generator)
        graph, figures = self.recordings[number]
        graph.replay()
        return figures

    def _plain(self, generator: torch.Generator) -> Figures:
        assert self.batch is not None
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            figures = self.update(self.batch, generator)
        torch.cuda.current_stream().wait_stream(self.stream)
        return figures

    def _record(self, generator: torch.Generator) -> tuple[torch.cuda.CUDAGraph, Figures]:
        assert self.batch is not None
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            figures = self.update(self.batch, generator)
        return graph, figures
