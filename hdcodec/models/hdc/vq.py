"""The VQ stream: encoder, codebook, decoder, index prior.

The codebook is a learned linear map of frozen random vectors (SimVQ, Zhu et al. 2024), so every
code moves with every gradient and none dies.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdcodec.models.latent.blocks import Patches, PixelHead, down, stack
from hdcodec.models.latent.decoder import CorrectedDecoder, Texture
from hdcodec.models.latent.fixed import FixedNet, Layer, mixer
from hdcodec.models.latent.layers import Pointwise

from .config import Config

NOISE_FOLDS = (8, 4)
"""Noise at 1/32 with 2 * drv channels is laid out at 1/4 with a 64th of them, and at 1/8 with a
sixteenth."""


class VqEncoder(nn.Module):
    """Picture and base image -> vectors to be quantised, N x code_dim x H/16 x W/16."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        w = cfg.vq_width
        self.net = nn.Sequential(
            Patches(w, cin=6),
            stack(w, cfg.vq_depth),
            down(w, w + 64),
            stack(w + 64, cfg.vq_depth),
            Pointwise(w + 64, cfg.code_dim),
        )

    def forward(self, x: Tensor, base: Tensor) -> Tensor:
        """`base` is 0.5 everywhere where the encoder must do without it."""
        y: Tensor = self.net(torch.cat([x, base], 1))
        return y


class Codebook(nn.Module):
    """`codes` vectors of `code_dim` numbers; nearest neighbour by Euclidean distance."""

    seed: Tensor

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        shape, generator = (cfg.codes, cfg.code_dim), torch.Generator("cpu").manual_seed(1)
        seed = torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")
        self.register_buffer("seed", seed)
        self.map = nn.Linear(cfg.code_dim, cfg.code_dim)
        nn.init.orthogonal_(self.map.weight)

    def vectors(self) -> Tensor:
        """All codewords, codes x code_dim."""
        with torch.autocast(self.seed.device.type, enabled=False):
            codes: Tensor = self.map(self.seed)
        return codes

    def indices(self, z: Tensor) -> Tensor:
        """Nearest codewords of N x code_dim x h x w: int64 N x h x w."""
        codes = self.vectors()
        flat = z.float().permute(0, 2, 3, 1)
        distance = codes.square().sum(1) - 2 * flat @ codes.t()
        return distance.argmin(-1)

    def lookup(self, indices: Tensor) -> Tensor:
        """int64 N x h x w -> N x code_dim x h x w."""
        return self.vectors()[indices].permute(0, 3, 1, 2)

    def quantise(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Straight-through codewords, indices, and the codebook + commitment loss."""
        z = z.float()
        indices = self.indices(z.detach())
        codes = self.lookup(indices)
        loss = F.mse_loss(codes, z.detach()) + 0.25 * F.mse_loss(z, codes.detach())
        return z + (codes - z).detach(), indices, loss


class VqDecoder(CorrectedDecoder):
    """Codewords -> picture, with what the LIC stream says or, in its first training, without."""

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg.decoder)
        self.head = PixelHead(cfg.decoder_detail)
        channels = (self.fused_head.at_quarter.in_channels, cfg.decoder_detail)
        textures = [
            Texture(count, 2 * cfg.drv, fold)
            for count, fold in zip(channels, NOISE_FOLDS, strict=True)
        ]
        self.grain = textures[0]
        self.coarse_grain = textures[1] if cfg.textures > 1 else None

    def forward(
        self,
        codes: Tensor,
        lic: tuple[Tensor, Tensor, Tensor] | None = None,
        fidelity: Tensor | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """As `corrected`; without `lic` or `fidelity` what the codewords alone say. `noise` is what
        the DRVs are sampled from."""
        if lic is None or fidelity is None:
            return self._plain(codes)
        return self.corrected(codes, lic, fidelity, noise)

    def _plain(self, codes: Tensor) -> Tensor:
        x = self.enter(codes)
        for block in self.coarse:
            x = block(x)
        x = self.up(x)
        for block in self.detail:
            x = block(x)
        picture: Tensor = self.head(x) + 0.5
        return picture


class IndexPrior(nn.Module):
    """Float twin of the integer index prior: decoded latents and hyper features -> logits.

    Logits are natural logarithms, clipped to what fixed point holds: N x codes x H/16 x W/16.
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        layers = mixer(cfg.latent + cfg.context, 192, 192)
        layers[-1] = Layer("pw", 192, 192, relu=True)
        self.net = FixedNet([*layers, Layer("pw", 192, cfg.codes)])

    def forward(self, latent: Tensor, hyper: Tensor) -> Tensor:
        """`latent` N x latent x H/16 x W/16, `hyper` N x context x H/16 x W/16."""
        logits: Tensor = self.net(torch.cat([latent.to(hyper.dtype), hyper], 1))
        return logits
