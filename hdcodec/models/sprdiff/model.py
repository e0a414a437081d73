"""All networks of the `sprdiff` family that coding takes, and the decoder's path through them."""

from __future__ import annotations

import torch
from torch import Tensor

from hdcodec.models.latent.coding import LatentCoding, LatentModel
from hdcodec.models.latent.transforms import Analysis

from .codec import LatentCodec, TripleFeatures
from .config import SprdiffConfig
from .decoder import PictureDecoder
from .diffusion import Reconstructed, Sampler
from .semantic import SemanticEncoder
from .vae import VaeEncoder


class SprdiffModel(LatentModel):
    """The networks. `distortion` are the layers of hdc's analysis but for the last."""

    def __init__(self, cfg: SprdiffConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.vae = VaeEncoder(cfg.vae)
        self.distortion = Analysis(1, cfg.distortion.width, cfg.distortion.depth).net[:-1]
        self.semantic = SemanticEncoder(cfg.semantic)
        self.codec = LatentCodec(cfg.codec)
        self.sampler = Sampler(cfg.diffusion)
        self.decoder = PictureDecoder(cfg.decoder)

    @property
    def coding(self) -> LatentCoding:
        """What codes latents."""
        return self.codec

    def analysed(self, x: Tensor) -> Tensor:
        """Pixels N x 3 x H x W in [0, 1], sides multiples of 64 -> latents before gain, N x latent
        x H/32 x W/32."""
        seen = TripleFeatures(self.vae.encode(x), self.distortion(x), self.semantic(x))
        y: Tensor = self.codec.fusion(seen, self.codec.used[:3])
        return y

    def given(self, latent: Tensor, qindex: Tensor) -> Reconstructed:
        """Decoded latents N x latent x H/32 x W/32 and quality indices N x H/64 x W/64 -> what the
        diffusion is given, in float32: no other rounding shows as much in pictures."""
        with torch.autocast(latent.device.type, enabled=False):
            return self.codec.decode(latent, qindex).given

    def coarse(self, given: Reconstructed) -> Tensor:
        """The coarse picture, N x 3 x H x W, not clipped: about the mean of all that may be."""
        picture: Tensor = self.decoder.refinement(*self.codec.reconstruction.detailed(given))
        return picture

    def picture(
        self, latent: Tensor, qindex: Tensor, noise: Tensor, fidelity: Tensor, steps: int
    ) -> Tensor:
        """The decoder after the symbols; `noise` N x vae x H/16 x W/16, `fidelity` N x 1 x 1 x 1
        -> N x 3 x H x W, not clipped.

        The straight line between a sample and the mean: for squared error no other picture is
        nearer the original and as near what looks natural (Freirich et al. 2021, "A theory of the
        distortion-perception tradeoff in Wasserstein space").
        """
        given = self.given(latent, qindex)
        base, features = self.codec.reconstruction.detailed(given)
        mean = self.decoder.refinement(base, features)
        sample = self.decoder(mean, features, self.sampler.sample(given, noise, steps))
        picture: Tensor = (1 - fidelity) * sample + fidelity * mean
        return picture
