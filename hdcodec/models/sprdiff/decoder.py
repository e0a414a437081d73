"""From what a file says to pixels: the coarse picture, and a sample's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hdcodec.models.latent.blocks import Block, PixelHead
from hdcodec.models.latent.decoder import CorrectedDecoder, LicFeatures
from hdcodec.models.latent.sizes import DecoderConfig


class Refinement(nn.Module):
    """The reconstruction's picture and features -> the coarse picture: hdc's enhancer, whose blocks
    are scaled and shifted everywhere alike, where hdc's are by a DRV."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(channels) for _ in range(4))
        self.affine = nn.Parameter(torch.zeros(4, 2 * channels))
        self.head = PixelHead(channels, zero=True)

    def forward(self, base: Tensor, features: Tensor) -> Tensor:
        """`base` N x 3 x H x W, `features` N x channels x H/8 x W/8 -> N x 3 x H x W, not
        clipped."""
        x = features
        for affine, block in zip(self.affine, self.blocks, strict=True):
            scale, shift = affine[:, None, None].chunk(2)
            x = block(x, scale, shift)
        picture: Tensor = base + self.head(x)
        return picture


class PictureDecoder(nn.Module):
    """hdc's decoder for both pictures: its enhancer makes the coarse one; its VQ decoder that of a
    sample, from the VAE's latents in the place of codewords. It is told what the file says, too, so
    that the latents, 32 numbers at 1/16, need not repeat it."""

    def __init__(self, cfg: DecoderConfig) -> None:
        super().__init__()
        self.refinement = Refinement(cfg.seen)
        self.features = LicFeatures(cfg)
        self.corrected = CorrectedDecoder(cfg)

    def forward(self, coarse: Tensor, features: Tensor, z: Tensor) -> Tensor:
        """What `refinement` gives, the features that it is given, and the VAE's latents `z`, N x
        vae x H/16 x W/16 -> N x 3 x H x W, not clipped."""
        told = self.features(coarse, features)
        unfaithful = coarse.new_zeros(1, 1, 1, 1)
        picture: Tensor = self.corrected.corrected(z, (coarse, *told), unfaithful)
        return picture
