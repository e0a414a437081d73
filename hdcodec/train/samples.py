"""Pictures to look at while training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.latent.coding import uniform

from .data import Pixels
from .terms import most_uncertain, tokens

QUALITIES = (30, 80, 140)
SIDE = 256

Views = Callable[[Tensor], list[Tensor]]
"""What a model makes of one picture: 1 x 3 x H x W -> several of the same shape."""


@torch.no_grad()
def write_samples(views: Views, photos: list[Pixels], path: Path) -> None:
    """A sheet with a row per photo: the original, then its views."""
    rows = [_row(views, _centre(photo)) for photo in photos if min(photo.shape[:2]) >= SIDE]
    if rows:
        Image.fromarray(np.concatenate(rows)).save(path)


def hdc_views(model: HdcModel, x: Tensor) -> list[Tensor]:
    """Base and picture at three qualities."""
    qualities = (torch.tensor([qindex], device=x.device) for qindex in QUALITIES)
    return [seen for qindex in qualities for seen in decoded(model, x, qindex)]


def _row(views: Views, x: Tensor) -> Pixels:
    strip = torch.cat([x, *views(x)], 3)[0].clamp(0, 1).mul(255).round().to(torch.uint8)
    pixels: Pixels = strip.permute(1, 2, 0).cpu().numpy()
    return pixels


def decoded(
    model: HdcModel, x: Tensor, qindex: Tensor, keep: float = 0.1, fidelity: float = 0.0
) -> list[Tensor]:
    """Base image and decoder's picture, with the float twins in place of the integer networks."""
    qindex = uniform(qindex, x)
    out = model.lic(x, qindex)
    indices = tokens(model, x, out.base.clamp(0, 1))
    logits = model.prior(out.coded.latent, out.coded.hyper)
    kept = most_uncertain(logits, torch.tensor([keep], device=x.device))
    noise = torch.randn(1, 2 * model.cfg.drv, x.shape[2] // 32, x.shape[3] // 32).to(x.device)
    strength = torch.full((1, 1, 1, 1), fidelity, device=x.device)
    fused = model.reconstruct(out.coded.latent, qindex, indices, kept, noise, strength)
    return [out.base, fused]


def _centre(photo: Pixels) -> Tensor:
    top, left = (photo.shape[0] - SIDE) // 2, (photo.shape[1] - SIDE) // 2
    crop = photo[top : top + SIDE, left : left + SIDE].copy()
    return torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 255
