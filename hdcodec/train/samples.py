"""Pictures to look at while training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hdcodec.models.hdc.model import HdcModel

from .data import Pixels
from .terms import most_uncertain, tokens

QUALITIES = (30, 80, 140)
SIDE = 256


@torch.no_grad()
def write_samples(model: HdcModel, photos: list[Pixels], path: Path) -> None:
    """A sheet with a row per photo: the original, then base and picture at three qualities."""
    rows = [_row(model.eval(), _centre(photo)) for photo in photos if min(photo.shape[:2]) >= SIDE]
    if rows:
        Image.fromarray(np.concatenate(rows)).save(path)


def _row(model: HdcModel, x: Tensor) -> Pixels:
    views = [x]
    for quality in QUALITIES:
        views += decoded(model, x, torch.tensor([quality], device=x.device))
    strip = torch.cat(views, 3)[0].clamp(0, 1).mul(255).round().to(torch.uint8)
    pixels: Pixels = strip.permute(1, 2, 0).cpu().numpy()
    return pixels


def decoded(
    model: HdcModel, x: Tensor, quality: Tensor, keep: float = 0.1, fidelity: float = 0.0
) -> list[Tensor]:
    """Base image and decoder's picture, with the float twins in place of the integer networks."""
    out = model.lic(x, quality)
    indices = tokens(model, x, out.base.clamp(0, 1))
    logits = model.prior(out.coded.latent, out.coded.hyper)
    kept = most_uncertain(logits, torch.tensor([keep], device=x.device))
    noise = torch.randn(1, 2 * model.cfg.drv, x.shape[2] // 32, x.shape[3] // 32).to(x.device)
    strength = torch.full((1, 1, 1, 1), fidelity, device=x.device)
    fused = model.reconstruct(out.coded.latent, quality, indices, kept, noise, strength)
    return [out.base, fused]


def _centre(photo: Pixels) -> Tensor:
    top, left = (photo.shape[0] - SIDE) // 2, (photo.shape[1] - SIDE) // 2
    crop = photo[top : top + SIDE, left : left + SIDE].copy()
    return torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 255
