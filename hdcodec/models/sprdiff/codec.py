"""The codec of the sprdiff family: what three encoders see of a picture, in latents at 1/32, and
what these say to a diffusion.

A triple encoder and a distortion-aware reconstruction with features of pixels and of meaning (after
SPRDiff, Wei et al. 2026). Below .03 bits per pixel latents at 1/32 are better than at 1/16 (AEIC,
2025). They are coded as hdc codes its own, by float twins of the same integer networks.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hdcodec.models.latent.blocks import down, stack, up
from hdcodec.models.latent.coding import (
    CodedBatch,
    CodingSizes,
    EntropyNets,
    HyperAnalysis,
    LatentCoding,
    gains,
    interpolate,
    pattern_of,
    spread,
)
from hdcodec.models.latent.layers import Pointwise
from hdcodec.models.latent.transforms import Synthesis

from .config import CELLS, LatentCodecConfig
from .diffusion import Reconstructed, zeroed

PARTS = ("vae", "distortion", "semantic", "semantic-head", "pixel-head")
"""What a codec can be trained without: one of its encoders, or what one of its heads teaches."""

GAINS = (0.7, 2.0)
"""Of the lowest and the highest quality, before training."""

LOG_SCALE = -1.1
"""Logarithm of the scale predicted for latents before training: about the one that they have."""


class TripleFeatures(NamedTuple):
    """What the three encoders say of a picture, each N x channels x H/16 x W/16: the VAE's latents,
    hdc's features before its latents, and the semantic encoder's features."""

    vae: Tensor
    distortion: Tensor
    semantic: Tensor


class Rebuilt(NamedTuple):
    """What latents say of a picture: `given`, what a diffusion is given; `semantic`, an estimate of
    the semantic encoder's features, N x semantic x H/16 x W/16; and `between`, an estimate of hdc's
    latents, N x between x H/16 x W/16, of which the other two are made."""

    given: Reconstructed
    semantic: Tensor
    between: Tensor


class Fusion(nn.Module):
    """Features of three encoders at 1/16 -> latents at 1/32, before gain."""

    def __init__(self, cfg: LatentCodecConfig) -> None:
        super().__init__()
        inputs = (cfg.vae, cfg.distortion, cfg.semantic)
        self.enter = nn.ModuleList(Pointwise(channels, cfg.width) for channels in inputs)
        self.net = nn.Sequential(
            stack(cfg.width, cfg.depth),
            down(cfg.width, cfg.deep),
            stack(cfg.deep, cfg.depth),
            Pointwise(cfg.deep, cfg.latent),
        )

    def forward(self, seen: TripleFeatures, used: Tensor) -> Tensor:
        """`used` 3 is 0 for each encoder that is left out, 1 for the others -> N x latent x H/32 x
        W/32."""
        vae, distortion, semantic = (
            factor * layer(features)
            for factor, layer, features in zip(used, self.enter, seen, strict=True)
        )
        y: Tensor = self.net(vae + distortion + semantic)
        return y


class DualReconstruction(nn.Module):
    """Latents at 1/32 -> a coarse estimate of the VAE's latents, semantic features and a coarse
    picture. From 1/16 on it is hdc's synthesis, which all three share at 1/16."""

    def __init__(self, cfg: LatentCodecConfig) -> None:
        super().__init__()
        self.enter = Pointwise(cfg.latent, cfg.deep)
        self.quality = nn.Parameter(torch.zeros(cfg.levels, cfg.deep))
        self.deep = nn.Sequential(stack(cfg.deep, cfg.depth), up(cfg.deep, cfg.between))
        self.synthesis = Synthesis(
            cfg.between,
            cfg.trunk_width,
            cfg.trunk_depth,
            (cfg.detail_width, cfg.detail_depth),
            cfg.head_depth,
        )
        self.coarse = zeroed(Pointwise(cfg.trunk_width, cfg.vae))
        self.semantic = Pointwise(cfg.trunk_width, cfg.semantic)

    def forward(self, y: Tensor, qindex: Tensor) -> Rebuilt:
        """`y` N x latent x h x w without gain, sides multiples of 2; `qindex` N x h/2 x w/2."""
        x = self.enter(y)
        x = self.deep(x + spread(interpolate(self.quality, qindex), CELLS).to(x.dtype))
        features = self.synthesis.trunk(x)
        given = Reconstructed(self.coarse(features).float(), features, qindex)
        return Rebuilt(given, self.semantic(features).float(), x)

    def detailed(self, given: Reconstructed) -> tuple[Tensor, Tensor]:
        """What the coarse picture is made of: hdc's base image, N x 3 x H x W, not clipped, and
        features N x detail_width x H/8 x W/8."""
        return self.synthesis.detailed(given.features)

    def picture(self, given: Reconstructed) -> Tensor:
        """The base image alone."""
        return self.detailed(given)[0]


class LatentCodec(LatentCoding):
    """The codec as it is trained.

    Three buffers are of its training alone and go with a checkpoint: `used`, 1 for each of `PARTS`
    and 0 for what it is trained without; `worth`, a factor of distortion in the loss; `felt`,
    how much pixels change with each channel of the VAE's latents, 1 on average.
    """

    used: Tensor
    worth: Tensor
    felt: Tensor
    cells = CELLS

    def __init__(self, cfg: LatentCodecConfig) -> None:
        super().__init__()
        self.cfg = cfg
        sizes = CodingSizes(cfg.latent, cfg.hyper, cfg.context, cfg.levels, CELLS)
        self.register_buffer("pattern", pattern_of(cfg.latent), persistent=False)
        self.register_buffer("used", used())
        self.register_buffer("worth", torch.tensor(1.0))
        self.register_buffer("felt", torch.ones(cfg.vae))
        self.fusion = Fusion(cfg)
        self.hyper_analysis = HyperAnalysis(sizes)
        self.entropy = EntropyNets(sizes)
        self.reconstruction = DualReconstruction(cfg)
        self.log_gain = gains(sizes, *GAINS)
        self.level = nn.Parameter(torch.zeros(cfg.levels, 128))
        self.entropy.begin(LOG_SCALE)

    def encode(self, seen: TripleFeatures, qindex: Tensor) -> Tensor:
        """Gained latents, unrounded, N x latent x H/32 x W/32; sides multiples of 64."""
        y: Tensor = self.fusion(seen, self.used[:3]) * self.gain(qindex)
        return y

    def decode(self, latent: Tensor, qindex: Tensor) -> Rebuilt:
        """What decoded latents, with gain, say."""
        rebuilt: Rebuilt = self.reconstruction(latent / self.gain(qindex), qindex)
        return rebuilt

    def forward(self, seen: TripleFeatures, qindex: Tensor) -> tuple[CodedBatch, Rebuilt]:
        """`qindex` N x H/64 x W/64 -> what the bitstream would hold, and what it says."""
        coded = self.coded(self.encode(seen, qindex), qindex)
        return coded, self.decode(coded.latent, qindex)


def used(without: Collection[str] = ()) -> Tensor:
    """1 for each of `PARTS`, 0 for those to be left out."""
    return torch.tensor([float(part not in without) for part in PARTS])
