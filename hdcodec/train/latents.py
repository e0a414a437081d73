"""What frozen networks make of photos, once, for stages that train in latents."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from .data import Crops
from .precision import autocast


class Keeper(Protocol):
    """Frozen networks whose answers are kept."""

    def kept(self, x: Tensor) -> Tensor:
        """Pixels N x 3 x H x W in [0, 1] -> what is kept of them, N x h x w x C, of any type."""


class CachedLatents:
    """Batches of what frozen networks make of random crops, in the memory of the crops' device; the
    batch of a step depends on seed and step only."""

    def __init__(self, crops: Crops, frozen: Keeper, views: int) -> None:
        """Encodes `views` crops of every photo."""
        self.batch, self.seed = crops.batch, crops.seed
        parts = []
        for x in crops.each(views):
            with autocast(x.device):
                parts.append(frozen.kept(x))
        self.kept = torch.cat(parts)

    def __call__(self, step: int) -> Tensor:
        """The batch of `step`: batch x C x h x w, of the type that is kept, channels last."""
        rng = np.random.default_rng([self.seed, step])
        chosen = torch.from_numpy(rng.choice(len(self.kept), self.batch))
        return self.kept[chosen.to(self.kept.device)].permute(0, 3, 1, 2)
