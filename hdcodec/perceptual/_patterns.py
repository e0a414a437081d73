"""Patterns that a picture shows and its original does not: grids, dots, weaves.

LPIPS and DISTS reward some of the texture that blurred areas have lost, and what costs a decoder
least is the same mark again and again: lines in the power spectrum of a small window. Natural
texture of the same strength is spread over it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 32
STRIDE = 16
SMOOTH = 5
"""Frequencies over which the power of the original is averaged, either way."""

MARGIN = 6.0
"""Decibels above the original that the random ups and downs of a natural texture reach."""

UNSEEN = 1 / 255
"""Root mean square of noise that nobody sees."""

LUMA = (0.299, 0.587, 0.114)


def patterns(picture: Tensor, original: Tensor) -> Tensor:
    """Power beyond the original's, in decibels above a margin, mean over windows and frequencies.

    Pictures N x 3 x H x W in [0, 1], sides at least 32; returns N, about 0.005 for the original
    itself.
    """
    ours, wanted = (spectrum(x.float()) for x in (picture, original))
    floor = UNSEEN**2
    excess = 10 * torch.log10((ours + floor) / (smoothed(wanted) + floor)) - MARGIN
    return F.relu(excess).mean((1, 2, 3))


def spectrum(x: Tensor) -> Tensor:
    """N x windows x 32 x 17: power of the luma in Hann windows, noise of variance v giving v."""
    luma = sum(weight * x[:, k] for k, weight in enumerate(LUMA))
    assert isinstance(luma, Tensor)
    cut = luma.unfold(1, WINDOW, STRIDE).unfold(2, WINDOW, STRIDE).flatten(1, 2)
    line = torch.hann_window(WINDOW, device=x.device)
    window = line[:, None] * line
    window = window / window.square().mean().sqrt()
    cut = (cut - cut.mean((2, 3), keepdim=True)) * window
    power: Tensor = torch.fft.rfft2(cut, norm="ortho").abs().square()
    return power


def smoothed(power: Tensor) -> Tensor:
    """Means over neighbouring frequencies, in the same shape."""
    side = SMOOTH // 2
    flat = power.flatten(0, 1).unsqueeze(1)
    flat = F.pad(F.pad(flat, (side, side, 0, 0), "reflect"), (0, 0, side, side), "circular")
    return F.avg_pool2d(flat, SMOOTH, 1).reshape(power.shape)
