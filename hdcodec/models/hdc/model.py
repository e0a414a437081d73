"""All networks of the `hdc` family and the decoder's path through them."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from hdcodec.models.latent.coding import LatentCoding, LatentModel
from hdcodec.models.latent.decoder import LicFeatures

from .config import Config
from .drv import DENOISING_STEPS, Condition, Denoiser, DrvEncoder, Enhancer, sample
from .lic import Lic
from .predictor import MaskPredictor
from .vq import Codebook, IndexPrior, VqDecoder, VqEncoder


class HdcModel(LatentModel):
    """The networks; `drv_encoder` is used in training only."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.cfg = cfg
        self.lic = Lic(cfg)
        self.vq_encoder, self.codebook, self.vq_decoder = (
            VqEncoder(cfg),
            Codebook(cfg),
            VqDecoder(cfg),
        )
        self.prior = IndexPrior(cfg)
        self.drv_encoder, self.condition = DrvEncoder(cfg), Condition(cfg)
        self.denoisers = nn.ModuleList([Denoiser(cfg), Denoiser(cfg)])
        self.enhancer = Enhancer(cfg)
        self.lic_features = LicFeatures(cfg.decoder)
        self.predictor = MaskPredictor(cfg)

    @property
    def coding(self) -> LatentCoding:
        """What codes latents."""
        return self.lic

    def analysed(self, x: Tensor) -> Tensor:
        """Pixels N x 3 x H x W in [0, 1] -> latents before gain, N x latent x H/16 x W/16."""
        y: Tensor = self.lic.analysis(x)
        return y

    def sample_drvs(
        self, features: Tensor, noise: Tensor, steps: int = DENOISING_STEPS
    ) -> tuple[Tensor, Tensor]:
        """Both DRVs from synthesis features; `noise` N x 2 * drv x H/32 x W/32."""
        condition = self.condition(features)
        first, second = noise.chunk(2, 1)
        one, two = (cast(Denoiser, denoiser) for denoiser in self.denoisers)
        return sample(one, condition, first, steps), sample(two, condition, second, steps)

    def complete(self, indices: Tensor, kept: Tensor, lic: Tensor, drv: Tensor) -> Tensor:
        """Codewords of every position: the sent ones, and the expected codeword of those missing.

        The expectation over the predictor's probabilities, not its best guess, keeps the picture a
        continuous function of the features. Returns N x code_dim x h x w.
        """
        codes = self.codebook.lookup(indices.clamp(min=0))
        logits = self.predictor(codes, kept, lic, drv)
        return mix_codes(codes, kept, logits, self.codebook.vectors())

    def fuse(
        self,
        x_lic: Tensor,
        features: Tensor,
        indices: Tensor,
        kept: Tensor,
        drv: Tensor,
        noise: Tensor,
        fidelity: Tensor,
    ) -> Tensor:
        """LIC image and features, `indices` N x h x w, `kept` N x 1 x h x w, the second DRV, the
        noise of both -> picture, N x 3 x H x W."""
        eighth, sixteenth = self.lic_features(x_lic, features)
        codes = self.complete(indices, kept, sixteenth, drv)
        out: Tensor = self.vq_decoder(codes, (x_lic, eighth, sixteenth), fidelity, noise)
        return out

    def reconstruct(
        self,
        latent: Tensor,
        qindex: Tensor,
        indices: Tensor,
        kept: Tensor,
        noise: Tensor,
        fidelity: Tensor,
        steps: int = DENOISING_STEPS,
    ) -> Tensor:
        """The decoder after the symbols: latents, indices and noise -> picture, not clipped."""
        base, features = self.lic.decode(latent, qindex)
        first, second = self.sample_drvs(features, noise, steps)
        x_lic = self.enhancer(base, features, first)
        return self.fuse(x_lic, features, indices, kept, second, noise, fidelity)


def mix_codes(codes: Tensor, kept: Tensor, logits: Tensor, vectors: Tensor) -> Tensor:
    """`codes` where kept, elsewhere the codewords' mean under softmax(logits)."""
    chances = logits.float().softmax(1).permute(0, 2, 3, 1)
    expected = (chances @ vectors.float()).permute(0, 3, 1, 2)
    return torch.where(kept, codes.float(), expected)
