"""Sizes of the `sprdiff` family's networks: everything a checkpoint's shapes follow from."""

from __future__ import annotations

from dataclasses import dataclass

from hdcodec.models.latent.sizes import DecoderConfig, Sizes

CELLS = 2
"""Latents of a file along a side of a tile of 64 x 64 pixels: they lie at 1/32."""

TRADE_OFF = (0.0012, 0.065)
"""Bits per pixel against distortion, as hdc counts it, at the lowest and the highest quality; as
many bits go with less of it than in the stage `codec`, where distortion is that of latents."""

VAE_STRIDE = 16
"""Pixels per position of the VAE's latents."""


@dataclass(frozen=True)
class VaeConfig(Sizes):
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
class SemanticConfig(Sizes):
    """Channel counts and depth of the semantic encoder; `features` at 1/16 of the picture's side.
    The others are those of hdc's analysis, whose weights it begins with."""

    features: int = 64
    width: int = 128
    depth: int = 4


@dataclass(frozen=True)
class LatentCodecConfig(Sizes):
    """Channel counts and depths of the codec: `latent` at 1/32, `hyper` at 1/64 of the picture's
    side.

    `vae`, `distortion` and `semantic` are the channels of the three encoders at 1/16, of which
    `width` are made, then `deep` at 1/32, each with `depth` blocks; as many of `deep` begin the
    reconstruction. All from `between` on are sizes of hdc's synthesis, whose weights it goes on
    with: its latents, its blocks at 1/16 and at 1/8, and the depth of its head.
    """

    latent: int = 64
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
class DiffusionConfig(Sizes):
    """Channel counts and depths of the diffusion and of what it is conditioned on.

    `latent` is the VAE's, `trunk_width` that of the features that it is given. The denoiser has
    `depth` blocks of `width` at 1/16, twice, and between them `deep_depth` of `deep_width` at 1/32;
    `levels` rows of qualities and `embedding` numbers say time and quality to them.
    """

    latent: int = 32
    levels: int = 9
    trunk_width: int = 256
    width: int = 192
    depth: int = 2
    deep_width: int = 256
    deep_depth: int = 4
    embedding: int = 128


@dataclass(frozen=True)
class DistortionConfig(Sizes):
    """Width and depth of the distortion-oriented encoder, hdc's analysis without its last layer."""

    width: int = 128
    depth: int = 4


DECODER = DecoderConfig()
"""The sizes of hdc's VQ decoder."""


@dataclass(frozen=True)
class SprdiffConfig(Sizes):
    """The sizes of all networks of the family; the decoder is hdc's. Raises ValueError where they
    do not fit one another."""

    vae: VaeConfig = VaeConfig()
    distortion: DistortionConfig = DistortionConfig()
    semantic: SemanticConfig = SemanticConfig()
    codec: LatentCodecConfig = LatentCodecConfig()
    diffusion: DiffusionConfig = DiffusionConfig()
    decoder: DecoderConfig = DECODER

    def __post_init__(self) -> None:
        codec, diffusion, decoder = self.codec, self.diffusion, self.decoder
        needed = {
            "the codec's vae": (codec.vae, self.vae.latent),
            "the codec's distortion": (codec.distortion, self.distortion.width + 64),
            "the codec's semantic": (codec.semantic, self.semantic.features),
            "the diffusion's latent": (diffusion.latent, self.vae.latent),
            "the diffusion's trunk_width": (diffusion.trunk_width, codec.trunk_width),
            "the decoder's vectors": (decoder.vectors, self.vae.latent),
            "the decoder's seen": (decoder.seen, codec.detail_width),
        }
        for name, (found, wanted) in needed.items():
            if found != wanted:
                raise ValueError(f"{name} is {found}, not {wanted}")
