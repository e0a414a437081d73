"""What the log says of a batch.

Figures stay on the device until a line is written: asking for one would make the GPU wait.
"""

from __future__ import annotations

import torch
from torch import Tensor

Figures = dict[str, Tensor]
"""Scalars by name."""


def mean(x: Tensor, chosen: Tensor | None = None) -> Tensor:
    """Mean, of the chosen entries (bool, broadcastable to `x`) if given; 0 where there are none."""
    x = x.detach().float()
    if chosen is None:
        return x.mean() if x.numel() else x.new_zeros(())
    return (x * chosen).sum() / chosen.expand_as(x).sum().clamp(min=1)


def psnr(mse: Tensor, chosen: Tensor | None = None) -> Tensor:
    """Mean PSNR in dB of per-sample errors on [0, 1]."""
    return mean(-10 * torch.log10(mse.detach().clamp(min=1e-7)), chosen)


def figures_of(mse: Tensor, seen: Tensor) -> Figures:
    """What the log says of the errors of LIC images and pictures."""
    (lic_mse, out_mse), (lic_seen, out_seen) = mse.chunk(2), seen.chunk(2)
    return {
        "lic_db": psnr(lic_mse),
        "lic_lpips": mean(lic_seen),
        "out_db": psnr(out_mse),
        "out_lpips": mean(out_seen),
    }


def entropy_of(usage: Tensor) -> Figures:
    """Entropy in bits of a histogram of indices, and the share of codes ever used."""
    share = usage / usage.sum().clamp(min=1)
    entropy = -(share * share.clamp(min=1e-12).log2()).sum()
    return {"index_entropy": entropy, "codes_used": (usage > 0.5).float().mean()}
