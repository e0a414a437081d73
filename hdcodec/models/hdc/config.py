"""Sizes of the `hdc` model family: everything a checkpoint's shapes follow from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hdcodec.models.latent.sizes import DecoderConfig, Sizes

CELLS = 4
"""Latents of a file along a side of a tile of 64 x 64 pixels: they lie at 1/16."""


@dataclass(frozen=True)
class Config(Sizes):
    """Channel counts and depths; `latent` at 1/16, `hyper` at 1/64 of the picture's side.

    `textures` is at how many scales noise enters the VQ decoder: 1/4, and 1/8."""

    latent: int = 96
    hyper: int = 32
    context: int = 128
    levels: int = 9
    analysis_width: int = 128
    analysis_depth: int = 4
    synthesis_width: int = 256
    synthesis_depth: int = 6
    detail_width: int = 160
    detail_depth: int = 9
    head_depth: int = 2
    codes: int = 512
    code_dim: int = 32
    vq_width: int = 128
    vq_depth: int = 3
    drv: int = 64
    denoiser_width: int = 128
    predictor_width: int = 192
    predictor_depth: int = 4
    decoder_width: int = 224
    decoder_depth: int = 5
    decoder_detail: int = 144
    decoder_detail_depth: int = 7
    textures: int = 2

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        """A configuration from `to_dict`'s result; raises ValueError on anything else.

        The first weights are older than noise at 1/8, which they do not name.
        """
        return super().from_dict({"textures": 1} | values)

    @property
    def decoder(self) -> DecoderConfig:
        """The sizes of the VQ decoder."""
        return DecoderConfig(
            self.code_dim,
            self.detail_width,
            self.predictor_width,
            self.decoder_width,
            self.decoder_depth,
            self.decoder_detail,
            self.decoder_detail_depth,
            self.head_depth,
        )
