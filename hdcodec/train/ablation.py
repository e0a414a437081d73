"""The decoder without some of its parts, trained for what is left: rows of the ablation table.

All rows read the same files and are trained by the same losses at one fidelity, so a difference
between two of them is what the parts are worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hdcodec.models.hdc.model import Ablation, HdcModel
from hdcodec.perceptual import LPIPS

from .draws import normal, random_keep
from .figures import Figures, figures_of, psnr
from .loop import Loss
from .realism import Realism
from .terms import (
    Decoded,
    both_errors,
    decode,
    distortion,
    imitated,
    most_uncertain,
    squared_error,
    tokens,
)

FIDELITY = 0.5
"""That of all rows."""

_ALL = Ablation()
_ENHANCED = Ablation(vq=False)


@dataclass(frozen=True)
class AblationRow:
    """Which parts of the decoder are on, and where its DRVs come from.

    `drv` is "sampled" by the denoisers from noise, "regressed" by them in one step from nothing, or
    "transmitted", extracted from the original.
    """

    use: Ablation = _ALL
    drv: str = "sampled"


ROWS: dict[str, AblationRow] = {
    "enhancement": AblationRow(Ablation(vq=False, drv=False)),
    "enhancement-regressed": AblationRow(_ENHANCED, "regressed"),
    "enhancement-sampled": AblationRow(_ENHANCED),
    "enhancement-transmitted": AblationRow(_ENHANCED, "transmitted"),
    "no-correction": AblationRow(Ablation(correction=False)),
    "no-predictor": AblationRow(Ablation(predictor=False)),
    "no-guidance": AblationRow(Ablation(guidance=False)),
    "no-drv": AblationRow(Ablation(drv=False)),
    "regressed": AblationRow(drv="regressed"),
    "transmitted": AblationRow(drv="transmitted"),
    "full": AblationRow(),
}
"""Without guidance the mask predictor has no DRV, without DRVs the enhancement neither."""


def ablated_loss(model: HdcModel, lpips: LPIPS, realism: Realism | None, row: AblationRow) -> Loss:
    """The loss of a row: squared error, LPIPS and DISTS weighted as at `FIDELITY` elsewhere, and
    those of the LIC image where the picture is another."""
    assert realism is not None

    def loss(x: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
        lic = decode(model, x, generator)
        (first, second), noise, imitation = drvs_of(row, model, x, lic, generator)
        x_lic = picture = model.enhancer(lic.base, lic.features, first)
        fidelity = x.new_full((x.shape[0], 1, 1, 1), FIDELITY)
        if row.use.vq:
            indices = tokens(model, x, lic.base)
            logits = model.prior(lic.latent, lic.hyper)
            kept = most_uncertain(logits, random_keep(x, generator))
            base = torch.lerp(x_lic.detach(), x_lic, fidelity)
            picture = model.fuse(
                base, lic.features, indices, kept, second, noise, fidelity, row.use
            )
        mse, seen = both_errors(lpips, x, x_lic, picture, generator)
        w = fidelity.flatten()
        total = distortion(mse, seen, w, lic_share=0.5 if row.use.vq else 0.0)
        pull, more = realism.loss(picture, x, w, generator, False)
        return total.mean() + imitation + pull, {
            "base_db": psnr(squared_error(lic.base, x)),
            **figures_of(mse, seen),
            **more,
        }

    return loss


def drvs_of(
    row: AblationRow, model: HdcModel, x: Tensor, lic: Decoded, generator: torch.Generator
) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
    """Both DRVs of a row, the noise beside them, and what the denoisers are to be blamed for."""
    n, _, height, width = x.shape
    noise = normal(x, (n, 2 * model.cfg.drv, height // 32, width // 32), generator)
    blame = x.new_zeros(())
    first, second = torch.zeros_like(noise).chunk(2, 1)
    if row.drv == "transmitted":
        first, second = model.drv_encoder(x, lic.base)
    elif row.drv == "regressed":
        first, second = model.sample_drvs(lic.features.detach(), torch.zeros_like(noise), 1)
    elif row.use.drv:
        (first, second), noise, blame = imitated(model, x, lic, generator)
    return (first, second if row.use.guidance else torch.zeros_like(second)), noise, blame
