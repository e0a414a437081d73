"""The autoencoder whose latents everything else of the family lives in.

A sampler draws these latents, and never quite meets those of the picture. So all channels have one
scale, by a measured mean and deviation, and the decoder learns from latents with noise. 32 channels
at 1/16 are a 24th of a picture's numbers; of the directions of hdc's 96 latents as many are in use.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hdcodec.models.latent.transforms import Analysis, Synthesis

from .config import VaeConfig

PACE = 0.01
"""Weight of a batch in the running mean and deviation of the latents."""


class Normalisation(nn.Module):
    """Every channel less its mean over many pictures, in units of its deviation.

    Both are running statistics and constants to the gradient (batch renormalisation, Ioffe 2017,
    without its limits): those of a batch of few pictures would tell of these pictures.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))

    def forward(self, y: Tensor) -> Tensor:
        """N x channels x h x w -> the same shape, float32; in training `y` is measured first."""
        y = y.float()
        if self.training:
            self._measure(y.detach())
        scale = 1 / self.deviation
        return (y - self.mean[:, None, None]) * scale[:, None, None]

    @torch.no_grad()
    def _measure(self, y: Tensor) -> None:
        channels = y.transpose(0, 1).flatten(1)
        self.mean.lerp_(channels.mean(1), PACE)
        variance = (channels - self.mean[:, None]).square().mean(1)
        self.deviation.copy_(self.deviation.square().lerp(variance, PACE).sqrt())


class VaeEncoder(nn.Module):
    """hdc's analysis and a normalisation. Unlike other VAEs' it predicts no variance: the noise
    that its latents have to bear is equally strong everywhere, and training adds it."""

    def __init__(self, cfg: VaeConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.encoder = Analysis(cfg.latent, cfg.encoder_width, cfg.encoder_depth)
        self.normalisation = Normalisation(cfg.latent)

    def encode(self, x: Tensor) -> Tensor:
        """Pixels N x 3 x H x W in [0, 1], sides multiples of 16 -> latents N x latent x H/16 x
        W/16, float32, mean 0 and deviation 1 over photographs."""
        z: Tensor = self.normalisation(self.encoder(x))
        return z


class Vae(VaeEncoder):
    """The encoder, and hdc's synthesis as the decoder that it is trained with. Pictures of files
    are made by another one, `PictureDecoder`, which is also told what the file says."""

    def __init__(self, cfg: VaeConfig) -> None:
        super().__init__(cfg)
        self.decoder = Synthesis(
            cfg.latent,
            cfg.decoder_width,
            cfg.decoder_depth,
            (cfg.detail_width, cfg.detail_depth),
            cfg.head_depth,
        )

    def decode(self, z: Tensor) -> Tensor:
        """Latents N x latent x h x w, with noise or without -> picture N x 3 x 16h x 16w, not
        clipped."""
        x: Tensor = self.decoder(z)[0]
        return x

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """The reconstruction of `x`, with `noise` added to its latents."""
        z = self.encode(x)
        return self.decode(z if noise is None else z + noise)
