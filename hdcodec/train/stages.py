"""What each stage trains, by which loss and how fast.

The stages of hdc build on each other: `lic`, `vq`, `prior`, `drv1`, `drv2`, `joint`, `whole`,
`draw`; so do those of sprdiff, `vae`, `semantic`, `codec-start`, `codec`, `diffuse` and `finish`.
Only the named parts of the model learn in a stage; everything else is frozen.
"""

from __future__ import annotations

from dataclasses import dataclass

from hdcodec.perceptual import DISTS

from .codec import codec_loss, rate_loss
from .diffuse import diffuse_loss
from .draw import Drawing, draw_loss
from .finish import finish_loss
from .losses import (
    MakeLoss,
    drv1_loss,
    drv2_loss,
    lic_loss,
    prior_loss,
    vq_loss,
    whole_loss,
)
from .realism import Realism
from .semantic import semantic_loss
from .tokens import start_loss, tokens_loss
from .vae import vae_loss

Judges = Realism | Drawing | DISTS
"""What a loss is given beside LPIPS; the first two have discriminators."""


@dataclass(frozen=True)
class Stage:
    """The parts of the model that learn ("" is all of it), the loss, and the peak learning rate;
    which judges the loss needs beside LPIPS, if any, and whether it is the same from first to last.

    `model` is which of the models it trains; `needs` what is loaded to be frozen around it, by the
    names of options, `takes` what may be given, too; `latents` whether it is given what these
    networks make of pictures in place of pictures."""

    parts: tuple[str, ...]
    loss: MakeLoss
    lr: float = 1e-3
    judges: type[Judges] | None = None
    steady: bool = False
    model: str = "hdc"
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    latents: bool = False


_FUSION = ("enhancer", "predictor", "vq_decoder", "lic_features")
_DECODER = ("lic.synthesis", "condition", "denoisers", *_FUSION)
_DRAWING = ("vq_decoder", "lic_features", "predictor", "denoisers.1")

STAGES: dict[str, Stage] = {
    "lic": Stage(("lic",), lic_loss),
    "vq": Stage(("vq_encoder", "codebook", "vq_decoder", "lic_features"), vq_loss),
    "prior": Stage(("prior", "predictor"), prior_loss),
    "drv1": Stage(("drv_encoder", *_FUSION), drv1_loss, 6e-4),
    "drv2": Stage(("condition", "denoisers", *_FUSION), drv2_loss, 5e-4, judges=Realism),
    "joint": Stage(_DECODER, drv2_loss, 3e-4, judges=Realism),
    "whole": Stage(
        ("lic", "prior", "condition", "denoisers", *_FUSION), whole_loss, 7e-4, Realism, True
    ),
    "draw": Stage(_DRAWING, draw_loss, 4e-4, Drawing, True),
    "tokens": Stage(("",), start_loss, steady=True, model="latent-tokens", latents=True),
    "tokens-latents": Stage(
        ("",), tokens_loss, 1e-3, steady=True, judges=DISTS, model="latent-tokens"
    ),
    "tokens-features": Stage(
        ("",), tokens_loss, 1e-3, steady=True, judges=DISTS, model="feature-tokens"
    ),
    "vae": Stage(("encoder", "decoder"), vae_loss, 8e-4, steady=True, judges=DISTS, model="vae"),
    "semantic": Stage(
        ("encoder",), semantic_loss, steady=True, model="semantic", needs=("teacher",)
    ),
    "codec-start": Stage(
        ("hyper_analysis", "entropy"),
        rate_loss,
        steady=True,
        model="codec",
        needs=("vae", "semantic"),
        latents=True,
    ),
    "codec": Stage(
        ("",), codec_loss, steady=True, model="codec", needs=("vae", "semantic"), latents=True
    ),
    "diffuse": Stage(
        ("denoiser",),
        diffuse_loss,
        1e-3,
        steady=True,
        model="sampler",
        needs=("vae", "semantic", "codec"),
        latents=True,
    ),
    "finish": Stage(
        ("",),
        finish_loss,
        4e-4,
        steady=True,
        judges=DISTS,
        model="picture-codec",
        needs=("vae", "semantic", "codec"),
        takes=("diffusion",),
    ),
}
