"""What a diffusion of the sprdiff family is given by its codec: the networks around the stage
`diffuse`, what it begins with, and what a sheet shows of them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from hdcodec.models.latent.coding import uniform
from hdcodec.models.sprdiff.codec import LatentCodec, Rebuilt, TripleFeatures
from hdcodec.models.sprdiff.config import DiffusionConfig
from hdcodec.models.sprdiff.diffusion import Reconstructed, Sampler
from hdcodec.models.sprdiff.vae import Vae

from .checkpoint import load_average
from .codec import Encoders, load_codec, load_encoders
from .data import Crops
from .draws import random_qindex

SHOWN_QUALITY = 50
"""Quality index of the pictures in a sheet of samples."""

SHOWN_STEPS = (1, 4)


class Coded(nn.Module):
    """The three encoders and the codec behind them, frozen."""

    def __init__(self, encoders: Encoders, codec: LatentCodec) -> None:
        super().__init__()
        self.encoders, self.codec = encoders, codec
        self.requires_grad_(False).eval()

    @property
    def vae(self) -> Vae:
        """The VAE whose latents the diffusion draws."""
        return self.encoders.vae

    def kept(self, x: Tensor) -> Tensor:
        """What is kept of pixels N x 3 x H x W in [0, 1], as bytes (see `Encoders.kept`)."""
        return self.encoders.kept(x)

    @torch.no_grad()
    def told(self, kept: Tensor, generator: torch.Generator) -> tuple[Reconstructed, Tensor]:
        """What is kept, N x B x h x w -> what files of random qualities say, and the VAE's
        latents."""
        seen, x = self.encoders.unpacked(kept)
        qindex = uniform(random_qindex(x, generator), x)
        return self.rebuilt(seen, qindex).given, seen.vae

    def rebuilt(self, seen: TripleFeatures, qindex: Tensor) -> Rebuilt:
        """What files say of pictures of which the encoders say this."""
        latent = self.codec.written(self.codec.encode(seen, qindex), qindex).latent
        return self.codec.decode(latent, qindex)


def load_coded(vae: Path, semantic: Path, codec: Path, device: str) -> Coded:
    """The landed weights of hdc, and the networks of three checkpoints."""
    coded = Coded(load_encoders(vae, semantic, device), load_codec(codec))
    coded.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return coded


def start_sampler(
    path: Path | None, config: DiffusionConfig | None, _: Crops, frozen: Coded
) -> Sampler:
    """The averaged sampler of a checkpoint, or one that begins as the coarse estimate."""
    model = Sampler(config or DiffusionConfig())
    if path is not None:
        load_average(model, path)
    return model


def sampler_views(model: Sampler, x: Tensor, frozen: Coded) -> list[Tensor]:
    """A picture, N x 3 x H x W, at a low quality: the coarse picture, what the VAE makes of the
    coarse estimate, samples in one step and in four, and what the VAE makes of the original."""
    qindex = uniform(torch.tensor([SHOWN_QUALITY], device=x.device), x)
    seen = frozen.encoders.encode(x)
    given, z = frozen.rebuilt(seen, qindex).given, seen.vae
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(0)).to(z.device)
    samples = [model.sample(given, noise, steps) for steps in SHOWN_STEPS]
    pictures = [frozen.vae.decode(latents) for latents in (given.coarse, *samples, z)]
    return [frozen.codec.reconstruction.picture(given), *pictures]
