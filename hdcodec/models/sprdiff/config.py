"""Sizes of the `sprdiff` family's networks: everything a checkpoint's shapes follow from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VaeConfig:
    """Channel counts and depths of the VAE; `latent`, a power of two, at 1/16 of the picture's
    side. All others are those of hdc's analysis and synthesis, whose weights it begins with."""

    latent: int = 32
    encoder_width: int = 128
    encoder_depth: int = 4
    decoder_width: int = 256
    decoder_depth: int = 6
    detail_width: int = 160
    detail_depth: int = 9
    head_depth: int = 2
