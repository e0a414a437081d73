"""What each stage trains, by which loss and how fast.

The stages build on each other: `lic`, `vq`, `prior`, `drv1`, `drv2`, `joint`, `whole`. Only the
named parts of the model learn in a stage; everything else is frozen. `control` is what they must
beat. The stages in `ABLATIONS` train the finished decoder to do without some of its parts. Those
in `SPRDIFF` are of another family of models.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from .ablation import ROWS, ablated_loss
from .losses import (
    MakeLoss,
    control_loss,
    drv1_loss,
    drv2_loss,
    lic_loss,
    prior_loss,
    vq_loss,
    whole_loss,
)
from .vae import vae_loss


@dataclass(frozen=True)
class Stage:
    """The parts of the model that learn, the loss, and the peak learning rate; whether it needs
    `Realism`, and whether the loss is the same from first to last; whether it needs DISTS alone,
    and which family the model is of."""

    parts: tuple[str, ...]
    loss: MakeLoss
    lr: float = 1e-3
    realism: bool = False
    steady: bool = False
    dists: bool = False
    family: str = "hdc"


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
    "control": Stage(
        ("lic.synthesis", "enhancer", "vq_decoder", "lic_features"), control_loss, 3e-4
    ),
}

ABLATIONS: dict[str, Stage] = {
    f"ablation-{name}": Stage(
        (*_DECODER, "drv_encoder") if row.drv == "transmitted" else _DECODER,
        partial(ablated_loss, row=row),
        3e-4,
        True,
        True,
    )
    for name, row in ROWS.items()
}

SPRDIFF: dict[str, Stage] = {
    "vae": Stage(("encoder", "decoder"), vae_loss, 8e-4, steady=True, dists=True, family="sprdiff"),
}


def stage_named(name: str) -> Stage:
    """A stage of any kind. Raises KeyError."""
    return (STAGES | ABLATIONS | SPRDIFF)[name]
