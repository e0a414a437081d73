"""What varies between the samples of a batch: quality, kept fraction, fidelity, noise.

On the CPU the numbers are those of a generator of the step. On a GPU they are the device's own,
which come anew whenever a recorded step is played again (see `replay`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from hdcodec.models.latent.qualities import QUALITIES, STRIDE

MAP_RANGE = 70
"""Quality indices by which a region may differ in training."""

KEEP_CODES = 16
"""Kept codes k of the file format; the kept fraction is (k / 15)**2."""


def uniform(like: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Numbers in [0, 1), float32, on the device of `like`."""
    return torch.rand(shape, generator=_source(like, generator), device=like.device)


def normal(like: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Normal numbers, float32, on the device of `like`."""
    return torch.randn(shape, generator=_source(like, generator), device=like.device)


def random_qindex(
    x: Tensor, generator: torch.Generator, below: int = QUALITIES, power: float = 1.0
) -> Tensor:
    """A quality index per sample; with a `power` above 1 low ones more often."""
    part = uniform(x, (x.shape[0],), generator) ** power
    return (part * below).long().clamp(max=below - 1)


def random_map(
    x: Tensor, generator: torch.Generator, below: int = QUALITIES, power: float = 1.0
) -> Tensor:
    """Quality indices of tiles of 64 x 64 pixels, N x H/64 x W/64: `random_qindex`, in half of the
    samples with an offset of up to +-`MAP_RANGE` within a rectangle."""
    n, rows, columns = x.shape[0], x.shape[2] // STRIDE, x.shape[3] // STRIDE
    whole = random_qindex(x, generator, below, power)[:, None, None]
    draws = uniform(x, (6, n, 1, 1), generator)
    down, right = torch.arange(rows, device=x.device), torch.arange(columns, device=x.device)
    inside = _between(down[:, None], rows, draws[0], draws[1]) & _between(
        right, columns, draws[2], draws[3]
    )
    offset = ((2 * draws[4] - 1) * MAP_RANGE).round().long() * (draws[5] < 0.5)
    return (whole + offset * inside).clamp(0, QUALITIES - 1)


def _between(place: Tensor, count: int, start: Tensor, end: Tensor) -> Tensor:
    """Which of `count` places lie in an interval between two draws, of which at least one does."""
    first, last = (torch.minimum(start, end) * count).floor(), (torch.maximum(start, end) * count)
    return (place >= first) & (place < last.ceil().clamp(min=1))


def random_keep(x: Tensor, generator: torch.Generator) -> Tensor:
    """A kept fraction of the file format per sample; half of them none, as most files have it."""
    codes = (uniform(x, (x.shape[0],), generator) * (2 * KEEP_CODES - 1)).floor()
    return ((codes - KEEP_CODES + 1).clamp(min=0) / (KEEP_CODES - 1)) ** 2


def random_fidelity(x: Tensor, generator: torch.Generator) -> Tensor:
    """A fidelity per sample, N x 1 x 1 x 1, both ends often, 0 in more than a fifth of them."""
    return (uniform(x, (x.shape[0], 1, 1, 1), generator) * 1.6 - 0.35).clamp(0, 1)


def _source(like: Tensor, generator: torch.Generator) -> torch.Generator | None:
    return None if like.is_cuda else generator
