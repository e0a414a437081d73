"""The mask predictor: probabilities of the indices that were not sent (after MAGE's decoder).

Attention runs in windows of 8 x 8 tokens (128 pixels) that also see the 4 x 4 tokens of the second
DRV lying in the window; depth-conv blocks between carry information across windows.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdcodec.models.latent.blocks import Block
from hdcodec.models.latent.layers import Pointwise

from .config import Config

WINDOW = 8


def windows(x: Tensor, size: int) -> Tensor:
    """N x C x h x w -> N * windows x size² x C; sides are multiples of `size`."""
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // size, size, w // size, size).permute(0, 2, 4, 3, 5, 1)
    return x.reshape(-1, size * size, c)


def unwindows(x: Tensor, size: int, n: int, h: int, w: int) -> Tensor:
    """The inverse of `windows`."""
    x = x.reshape(n, h // size, w // size, size, size, -1).permute(0, 5, 1, 3, 2, 4)
    return x.reshape(n, -1, h, w)


HEADS = 6
"""Heads of the attention."""


class WindowAttention(nn.Module):
    """Pre-norm multi-head attention of the tokens of a window to themselves and its DRV tokens."""

    def __init__(self, width: int, drv: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.token = nn.Linear(width, 3 * width)
        self.drv = nn.Linear(drv, 2 * width)
        self.leave = nn.Linear(width, width)
        self.position = nn.Parameter(torch.zeros(WINDOW * WINDOW, width))

    def forward(self, x: Tensor, drv: Tensor, valid: Tensor) -> Tensor:
        """`x` B x 64 x width, `drv` B x 16 x drv, `valid` B x 80 (which keys exist)."""
        q, k, v = self.token(self.norm(x) + self.position).chunk(3, -1)
        dk, dv = self.drv(drv).chunk(2, -1)
        q, k, v = (self._split(t) for t in (q, torch.cat([k, dk], 1), torch.cat([v, dv], 1)))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=valid[:, None, None])
        y: Tensor = self.leave(out.transpose(1, 2).flatten(2))
        return x + y

    def _split(self, t: Tensor) -> Tensor:
        return t.reshape(*t.shape[:2], HEADS, -1).transpose(1, 2)


class MaskPredictor(nn.Module):
    """Kept codewords, LIC features, the second DRV -> logits over all codes, N x codes x h x w."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        w = cfg.predictor_width
        self.code = Pointwise(cfg.code_dim, w)
        self.missing = nn.Parameter(torch.zeros(1, w, 1, 1))
        self.lic = Pointwise(w, w)
        self.blocks = nn.ModuleList(Block(w) for _ in range(cfg.predictor_depth))
        self.attend = nn.ModuleList(WindowAttention(w, cfg.drv) for _ in range(cfg.predictor_depth))
        self.head = nn.Sequential(Pointwise(w, w), nn.LeakyReLU(0.1), Pointwise(w, cfg.codes))

    def forward(self, codes: Tensor, kept: Tensor, lic: Tensor, drv: Tensor) -> Tensor:
        """`codes` N x code_dim x h x w (any value where not kept), `kept` bool N x 1 x h x w,
        `lic` N x predictor_width x h x w, `drv` N x drv x h/2 x w/2."""
        h, w = codes.shape[2:]
        x = torch.where(kept, self.code(codes), self.missing.to(lic.dtype)) + self.lic(lic)
        pad = (0, -w % WINDOW, 0, -h % WINDOW)
        x, tokens, valid = F.pad(x, pad), self._drv_windows(drv), _valid_keys(x, pad)
        for block, attend in zip(self.blocks, self.attend, strict=True):
            x = block(x)
            n, _, height, width = x.shape
            y = attend(windows(x, WINDOW), tokens, valid)
            x = unwindows(y, WINDOW, n, height, width)
        logits: Tensor = self.head(x[:, :, :h, :w])
        return logits

    @staticmethod
    def _drv_windows(drv: Tensor) -> Tensor:
        half = WINDOW // 2
        h, w = drv.shape[2:]
        return windows(F.pad(drv, (0, -w % half, 0, -h % half)), half)


def _valid_keys(x: Tensor, pad: tuple[int, int, int, int]) -> Tensor:
    real = torch.ones_like(x[:, :1], dtype=torch.bool)
    tokens = windows(F.pad(real, pad), WINDOW)[..., 0]
    drv = windows(F.pad(real[:, :, ::2, ::2], tuple(p // 2 for p in pad)), WINDOW // 2)[..., 0]
    return torch.cat([tokens, drv], 1)
