"""How far a picture is from its original to the eye, as one differentiable number."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdcodec.perceptual._dists import DISTS
from hdcodec.perceptual._find import find_dists, find_lpips
from hdcodec.perceptual._lpips import LPIPS
from hdcodec.perceptual._patterns import patterns
from hdcodec.perceptual._stored import Folder
from hdcodec.perceptual._views import view

SQUARED_WEIGHT, LPIPS_WEIGHT, DISTS_WEIGHT, PATTERN_WEIGHT = 15.0, 14.0, 7.0, 0.3


class Judge(nn.Module):
    """Weighs what pictures of fidelity 0 are trained for, LPIPS-Alex more than training does:
    squared error, LPIPS-Alex, DISTS and patterns."""

    def __init__(self, lpips: LPIPS, dists: DISTS) -> None:
        super().__init__()
        self.lpips, self.dists = lpips, dists
        self.requires_grad_(False).eval()

    def forward(
        self, picture: Tensor, original: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """One number per pair, both N x 3 x H x W in [0, 1], sides at least 64.

        With a `generator` LPIPS and DISTS see both in a random view, in which nothing that is
        drawn for these networks alone deceives them.
        """
        seen = torch.cat([picture.float().clamp(-0.05, 1.05), original])
        seen = seen if generator is None else view(seen, generator)
        mine, wanted = seen.chunk(2)
        with torch.no_grad():
            lpips_wanted, dists_wanted = self.lpips.features(wanted), self.dists.features(wanted)
        squared = F.mse_loss(picture.float(), original, reduction="none").mean((1, 2, 3))
        total: Tensor = (
            SQUARED_WEIGHT * squared
            + LPIPS_WEIGHT * self.lpips.distance(self.lpips.features(mine), lpips_wanted)
            + DISTS_WEIGHT * self.dists.distance(self.dists.features(mine), dists_wanted)
            + PATTERN_WEIGHT * patterns(picture, original)
        )
        return total


def load_judge(folder: Folder | None, device: torch.device, half: bool) -> Judge:
    """From a folder of metric weights, else from installed packages; `half` keeps the weights of
    DISTS in bfloat16. Raises WeightsError."""
    lpips, dists = find_lpips("alex", folder), find_dists(folder)
    if half:
        dists.backbone.convs.bfloat16()
    judge = Judge(lpips, dists)
    judge.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return judge
