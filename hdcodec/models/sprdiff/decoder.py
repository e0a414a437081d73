"""From the VAE's latents to pixels, told what the file says of them."""

from __future__ import annotations

from torch import Tensor, nn

from hdcodec.models.hdc.config import DecoderConfig
from hdcodec.models.hdc.vq import CorrectedDecoder, LicFeatures


class SampleDecoder(nn.Module):
    """The VAE's latents and what the coarse picture is made of -> picture.

    It is the decoder of hdc's VQ stream, with samples of the diffusion in the place of codewords:
    32 numbers at 1/16 need not hold again what the file has said, and training begins where hdc's
    ends.
    """

    def __init__(self, cfg: DecoderConfig) -> None:
        super().__init__()
        self.features = LicFeatures(cfg)
        self.corrected = CorrectedDecoder(cfg)

    def forward(self, z: Tensor, coarse: Tensor, eighth: Tensor) -> Tensor:
        """`z` N x vae x H/16 x W/16, the coarse picture N x 3 x H x W and the features that it was
        made of, N x seen x H/8 x W/8 -> N x 3 x H x W, not clipped."""
        told = self.features(coarse, eighth)
        unfaithful = coarse.new_zeros(1, 1, 1, 1)
        picture: Tensor = self.corrected.corrected(z, (coarse, *told), unfaithful)
        return picture
