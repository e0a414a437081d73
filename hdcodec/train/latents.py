"""What frozen networks make of photos, once, for stages that train in latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from hdcodec import weights
from hdcodec.models import identify
from hdcodec.models.hdc.config import HYPER_STRIDE
from hdcodec.models.hdc.lic import Lic
from hdcodec.models.sprdiff.diffusion import Diffusion, Reconstructed
from hdcodec.models.sprdiff.vae import Vae

from .data import Crops
from .draws import random_qindex
from .precision import autocast
from .restore import restore
from .vae import load_vae

QUALITIES = 46
"""Quality indices of the files that a diffusion is trained for: those below, at most .03 bpp."""


class Frozen(nn.Module):
    """What lies around a diffusion: hdc's LIC stream, whose latents a file holds, and the VAE."""

    def __init__(self, lic: Lic, vae: Vae) -> None:
        super().__init__()
        self.lic, self.vae = lic, vae
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Pixels N x 3 x H x W in [0, 1], sides multiples of 64 -> both latents, one behind the
        other, hdc's before gain: N x (decoded + latent) x H/16 x W/16, float32."""
        return torch.cat([self.lic.analysis(x).float(), self.vae.encode(x)], 1)

    @torch.no_grad()
    def pair(self, both: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """What `encode` gives -> hdc's latents as files of random qualities hold them, without
        gain; their quality indices, N x H/64 x W/64; the VAE's latents."""
        count = self.lic.cfg.latent
        y, z = both[:, :count].float(), both[:, count:].float()
        tiles = (both.shape[2] // HYPER_STRIDE, both.shape[3] // HYPER_STRIDE)
        qindex = random_qindex(both, generator, QUALITIES)[:, None, None].expand(-1, *tiles)
        return self.decoded(y, qindex), qindex, z

    def decoded(self, y: Tensor, qindex: Tensor) -> Tensor:
        """Latents before gain -> those that a file holds, without gain, by the entropy networks'
        float twins: rounded, and at their means where no symbol is sent."""
        gain = self.lic.gain(qindex)
        return self.lic.written(y * gain, qindex).latent / gain

    def told(
        self, model: Diffusion, both: Tensor, generator: torch.Generator
    ) -> tuple[Reconstructed, Tensor]:
        """What `encode` gives -> what files of random qualities say by the model's trunk, and the
        VAE's latents."""
        y, qindex, z = self.pair(both, generator)
        return model.reconstruction(y, qindex), z

    def kept(self, x: Tensor) -> Tensor:
        """What `encode` gives, as it is kept in memory: float16, channels last, N x h x w x C."""
        return self.encode(x).permute(0, 2, 3, 1).half()


def load_frozen(vae: Path, device: str) -> Frozen:
    """The landed weights of hdc and the VAE of a checkpoint."""
    frozen = Frozen(restore(weights.find(identify("hdc"))).lic, load_vae(vae))
    frozen.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return frozen


class Keeper(Protocol):
    """Frozen networks whose answers are kept."""

    def kept(self, x: Tensor) -> Tensor:
        """Pixels N x 3 x H x W in [0, 1] -> what is kept of them, N x h x w x C, of any type."""


class Teller(Keeper, Protocol):
    """Frozen networks that say what a diffusion is given."""

    @property
    def vae(self) -> Vae:
        """In whose latents it is one."""

    def told(
        self, model: Any, kept: Tensor, generator: torch.Generator
    ) -> tuple[Reconstructed, Tensor]:
        """What is kept of pictures, N x C x h x w -> what files of random qualities say of them,
        and the VAE's latents."""


class CachedLatents:
    """Batches of what frozen networks make of random crops, in the memory of the crops' device; the
    batch of a step depends on seed and step only."""

    def __init__(self, crops: Crops, frozen: Keeper, views: int) -> None:
        """Encodes `views` crops of every photo."""
        self.batch, self.seed = crops.batch, crops.seed
        parts = []
        for x in crops.each(views):
            with autocast(x.device):
                parts.append(frozen.kept(x))
        self.kept = torch.cat(parts)

    def __call__(self, step: int) -> Tensor:
        """The batch of `step`: batch x C x h x w, of the type that is kept, channels last."""
        rng = np.random.default_rng([self.seed, step])
        chosen = torch.from_numpy(rng.choice(len(self.kept), self.batch))
        return self.kept[chosen.to(self.kept.device)].permute(0, 3, 1, 2)
