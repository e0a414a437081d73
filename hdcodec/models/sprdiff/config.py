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


@dataclass(frozen=True)
class SemanticConfig:
    """Channel counts and depth of the semantic encoder; `features` at 1/16 of the picture's side.
    The others are those of hdc's analysis, whose weights it begins with."""

    features: int = 64
    width: int = 128
    depth: int = 4


@dataclass(frozen=True)
class LatentCodecConfig:
    """Channel counts and depths of the codec: `latent` at 1/32, `hyper` at 1/64 of the picture's
    side.

    `vae`, `distortion` and `semantic` are the channels of the three encoders at 1/16, of which
    `width` are made, then `deep` at 1/32, each with `depth` blocks; as many of `deep` begin the
    reconstruction. All from `between` on are sizes of hdc's synthesis, whose weights it goes on
    with: its latents, its blocks at 1/16 and at 1/8, and the depth of its head.
    """

    latent: int = 128
    hyper: int = 16
    context: int = 128
    levels: int = 9
    vae: int = 32
    distortion: int = 192
    semantic: int = 64
    width: int = 192
    deep: int = 256
    depth: int = 2
    between: int = 96
    trunk_width: int = 256
    trunk_depth: int = 6
    detail_width: int = 160
    detail_depth: int = 9
    head_depth: int = 2


@dataclass(frozen=True)
class DiffusionConfig:
    """Channel counts and depths of the diffusion and of what it is conditioned on.

    `latent` is the VAE's, `decoded` that of the latents in a file; `trunk_width` and `trunk_depth`
    are those of hdc's synthesis at 1/16, whose weights the trunk begins with. The denoiser has
    `depth` blocks of `width` at 1/16, twice, and between them `deep_depth` of `deep_width` at 1/32;
    `levels` rows of qualities and `embedding` numbers say time and quality to them.
    """

    latent: int = 32
    decoded: int = 96
    levels: int = 9
    trunk_width: int = 256
    trunk_depth: int = 6
    width: int = 224
    depth: int = 2
    deep_width: int = 320
    deep_depth: int = 4
    embedding: int = 128
