"""The semantic-oriented encoder: what is in a picture, in the way of networks that name objects.

It has the shape of hdc's analysis and learns to imitate a larger network, which is needed in
training alone (see `hdcodec.train.semantic`).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from hdcodec.models.latent.transforms import Analysis

from .config import SemanticConfig


class SemanticEncoder(nn.Module):
    """Pixels -> features at 1/16 whose direction counts, not their length."""

    def __init__(self, cfg: SemanticConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.analysis = Analysis(cfg.features, cfg.width, cfg.depth)

    def forward(self, x: Tensor) -> Tensor:
        """`x` N x 3 x H x W in [0, 1], sides multiples of 16 -> N x features x H/16 x W/16,
        float32; the mean square over the features of a position is 1."""
        y: Tensor = self.analysis(x).float()
        scaled: Tensor = F.normalize(y) * y.shape[1] ** 0.5
        return scaled
