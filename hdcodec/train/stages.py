"""What each stage trains, by which loss and how fast.

The stages of hdc build on each other: `lic`, `vq`, `prior`, `drv1`, `drv2`, `joint`, `whole`; so do
`vae`, `diffuse` and `finish`. Only the named parts of the model learn in a stage; everything else
is frozen.
"""

from __future__ import annotations

from dataclasses import dataclass

from .codec import codec_loss
from .diffuse import diffuse_loss, finish_loss
from .losses import (
    MakeLoss,
    drv1_loss,
    drv2_loss,
    lic_loss,
    prior_loss,
    vq_loss,
    whole_loss,
)
from .semantic import semantic_loss
from .vae import vae_loss


@dataclass(frozen=True)
class Stage:
    """The parts of the model that learn ("" is all of it), the loss, and the peak learning rate;
    whether it needs `Realism`, and whether the loss is the same from first to last; whether it
    needs DISTS alone.

    `model` is which of the models it trains; `needs` what is loaded to be frozen around it, by the
    names of options; `latents` whether it is given what these networks make of pictures in place of
    pictures."""

    parts: tuple[str, ...]
    loss: MakeLoss
    lr: float = 1e-3
    realism: bool = False
    steady: bool = False
    dists: bool = False
    model: str = "hdc"
    needs: tuple[str, ...] = ()
    latents: bool = False


_FUSION = ("enhancer", "predictor", "vq_decoder", "lic_features")
_DECODER = ("lic.synthesis", "condition", "denoisers", *_FUSION)

STAGES: dict[str, Stage] = {
    "lic": Stage(("lic",), lic_loss),
    "vq": Stage(("vq_encoder", "codebook", "vq_decoder", "lic_features"), vq_loss),
    "prior": Stage(("prior", "predictor"), prior_loss),
    "drv1": Stage(("drv_encoder", *_FUSION), drv1_loss, 6e-4),
    "drv2": Stage(("condition", "denoisers", *_FUSION), drv2_loss, 5e-4, realism=True),
    "joint": Stage(_DECODER, drv2_loss, 3e-4, realism=True),
    "whole": Stage(
        ("lic", "prior", "condition", "denoisers", *_FUSION), whole_loss, 7e-4, True, True
    ),
    "vae": Stage(("encoder", "decoder"), vae_loss, 8e-4, steady=True, dists=True, model="vae"),
    "diffuse": Stage(
        ("reconstruction", "denoiser"),
        diffuse_loss,
        1e-3,
        steady=True,
        model="diffusion",
        needs=("vae",),
        latents=True,
    ),
    "finish": Stage(
        ("denoiser",),
        finish_loss,
        4e-4,
        steady=True,
        dists=True,
        model="diffusion",
        needs=("vae",),
    ),
    "semantic": Stage(
        ("encoder",), semantic_loss, steady=True, model="semantic", needs=("teacher",)
    ),
    "codec": Stage(
        ("",), codec_loss, steady=True, model="codec", needs=("vae", "semantic"), latents=True
    ),
}
