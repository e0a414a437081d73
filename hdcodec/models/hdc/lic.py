"""The LIC stream: analysis, coding of its latents, synthesis."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from hdcodec.models.latent.coding import (
    CodedBatch,
    CodingSizes,
    EntropyNets,
    HyperAnalysis,
    LatentCoding,
    gains,
    pattern_of,
)
from hdcodec.models.latent.transforms import Analysis, Synthesis

from .config import CELLS, Config


class LicOutput(NamedTuple):
    """Training view of the LIC stream; `base` N x 3 x H x W."""

    base: Tensor
    features: Tensor
    coded: CodedBatch


class Lic(LatentCoding):
    """The whole LIC stream as it is trained. A quality index 0..200 belongs to each tile of 64 x 64
    pixels: `qindex` is N x H/64 x W/64."""

    cells = CELLS

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.cfg = cfg
        sizes = CodingSizes(cfg.latent, cfg.hyper, cfg.context, cfg.levels, CELLS)
        self.register_buffer("pattern", pattern_of(cfg.latent), persistent=False)
        self.analysis = Analysis(cfg.latent, cfg.analysis_width, cfg.analysis_depth)
        self.hyper_analysis = HyperAnalysis(sizes)
        self.synthesis = Synthesis(
            cfg.latent,
            cfg.synthesis_width,
            cfg.synthesis_depth,
            (cfg.detail_width, cfg.detail_depth),
            cfg.head_depth,
        )
        self.entropy = EntropyNets(sizes)
        self.log_gain = gains(sizes, 0.6, 6.0)
        self.level = nn.Parameter(torch.zeros(cfg.levels, 128))

    def encode(self, x: Tensor, qindex: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels in [0, 1], sides multiples of 64 -> y (gained) and z, both unrounded."""
        y = self.analysis(x) * self.gain(qindex)
        return y, self.hyper(y, qindex)

    def decode(self, latent: Tensor, qindex: Tensor) -> tuple[Tensor, Tensor]:
        """Decoded latents (gained) -> base image and features."""
        base, features = self.synthesis(latent / self.gain(qindex))
        return base, features

    def forward(self, x: Tensor, qindex: Tensor) -> LicOutput:
        """`x` N x 3 x H x W in [0, 1], sides multiples of 64."""
        coded = self.code(x, qindex)
        return LicOutput(*self.decode(coded.latent, qindex), coded)

    def code(self, x: Tensor, qindex: Tensor) -> CodedBatch:
        """Pixels in [0, 1] -> what the bitstream would hold (see `coded`)."""
        return self.coded(self.analysis(x) * self.gain(qindex), qindex)
