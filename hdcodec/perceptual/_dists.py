"""DISTS (Ding et al., TPAMI 2020)."""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hdcodec._errors import WeightsError
from hdcodec.perceptual._agreement import STABLE, Agreement
from hdcodec.perceptual._backbone import Backbone, channel_vector

POOL_FLOOR = 1e-12
Weighed = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def l2_pool(x: Tensor) -> Tensor:
    """Halves both sides by the root of the Hann-weighted mean square; computed in float32."""
    line = 0.5 - 0.25 * torch.arange(-1.0, 2.0, device=x.device).abs()
    kernel = (line[:, None] * line).expand(x.shape[1], 1, 3, 3)
    with torch.autocast(x.device.type, enabled=False):
        power = F.conv2d(x.float().square(), kernel, stride=2, padding=1, groups=x.shape[1])
        return (power + POOL_FLOOR).sqrt().to(x.dtype)


class DISTS(nn.Module):
    """Structure and texture distance of two batches: 0 for equal pictures, below 1.

    Input: N x 3 x H x W in [0, 1]. Output: N distances, float32, also under autocast.
    `backbone` is VGG16 with `l2_pool`; `alpha` and `beta` hold one number per channel of the
    picture and of the five taps. Raises WeightsError where they do not. `agreement` may be
    replaced by what computes the same.
    """

    def __init__(self, backbone: Backbone, alpha: Tensor, beta: Tensor) -> None:
        super().__init__()
        self.sizes = [3, *backbone.channels]
        if not alpha.numel() == beta.numel() == sum(self.sizes):
            raise WeightsError(
                f"DISTS alpha and beta have {alpha.numel()} and {beta.numel()} numbers, "
                f"not {sum(self.sizes)}"
            )
        self.backbone = backbone
        self.agreement: Weighed = Agreement.apply
        total = alpha.sum() + beta.sum()
        self.alpha: Tensor
        self.beta: Tensor
        self.register_buffer("alpha", channel_vector(alpha / total))
        self.register_buffer("beta", channel_vector(beta / total))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """One distance per pair of pictures N x 3 x H x W in [0, 1]; lower is more alike."""
        return self.distance(self.features(a), self.features(b))

    def features(self, x: Tensor) -> list[Tensor]:
        """The picture itself and the backbone's five activation maps."""
        return [x, *cast(list[Tensor], self.backbone(x))]

    def distance(self, fa: Sequence[Tensor], fb: Sequence[Tensor]) -> Tensor:
        """N distances (float32) of two results of `features`.

        In half the time where `fb` asks for no gradient and `fa` does or maps are in bfloat16.
        """
        alphas, betas = (
            torch.split(self.alpha, self.sizes, 1),
            torch.split(self.beta, self.sizes, 1),
        )
        with torch.autocast(fa[0].device.type, enabled=False):
            total = torch.ones(len(fa[0]), device=fa[0].device)
            for a, b, alpha, beta in zip(fa, fb, alphas, betas, strict=True):
                fast = a.requires_grad or a.dtype == torch.bfloat16
                if fast and a.dtype == b.dtype and not b.requires_grad:
                    total = total - self.agreement(a, b, alpha, beta)
                    continue
                texture, structure = similarity(a.float(), b.float())
                total = total - (alpha * texture + beta * structure).sum((1, 2, 3))
        return total


def similarity(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Agreement of means and of covariances per channel, each N x C x 1 x 1."""
    mean_a, mean_b = a.mean((2, 3), keepdim=True), b.mean((2, 3), keepdim=True)
    a, b = a - mean_a, b - mean_b
    variances = a.square().mean((2, 3), keepdim=True) + b.square().mean((2, 3), keepdim=True)
    covariance = (a * b).mean((2, 3), keepdim=True)
    means = mean_a.square() + mean_b.square()
    return (
        (2 * mean_a * mean_b + STABLE) / (means + STABLE),
        (2 * covariance + STABLE) / (variances + STABLE),
    )
