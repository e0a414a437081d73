"""LPIPS v0.1 (Zhang et al., CVPR 2018)."""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hdcodec._errors import WeightsError
from hdcodec.perceptual._backbone import Backbone, channel_vector

Gap = Callable[[Tensor, Tensor, Tensor], Tensor]

# The published code adds this to the norm; as a floor it leaves a gradient at the zero vector.
NORM_FLOOR = 1e-10


class LPIPS(nn.Module):
    """Perceptual distance of two batches: 0 for equal pictures, about 0.1 to 0.7 for damaged ones.

    Input: N x 3 x H x W in [0, 1]. Output: N distances, float32, also under autocast.
    A loss that meets the same reference again keeps `features(reference)` and calls `distance`.
    `gap` may be replaced by what computes the same.
    Raises WeightsError where `weights` (one vector of C numbers per tap) do not fit the backbone.
    """

    def __init__(self, backbone: Backbone, weights: Sequence[Tensor]) -> None:
        super().__init__()
        sizes = tuple(w.numel() for w in weights)
        if sizes != backbone.channels:
            raise WeightsError(f"{backbone.net}: LPIPS weights {sizes}, not {backbone.channels}")
        self.backbone = backbone
        self.gap: Gap = weighted_gap
        for number, weight in enumerate(weights):
            self.register_buffer(f"lin{number}", channel_vector(weight))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """One distance per pair of pictures N x 3 x H x W in [0, 1]; lower is more alike."""
        return self.distance(self.features(a), self.features(b))

    def features(self, x: Tensor) -> list[Tensor]:
        """The backbone's five activation maps, as they come (see Backbone)."""
        return cast(list[Tensor], self.backbone(x))

    def distance(self, fa: Sequence[Tensor], fb: Sequence[Tensor]) -> Tensor:
        """N distances (float32) of two results of `features`."""
        with torch.autocast(fa[0].device.type, enabled=False):
            total = torch.zeros(len(fa[0]), device=fa[0].device)
            for number, (a, b) in enumerate(zip(fa, fb, strict=True)):
                weight = cast(Tensor, getattr(self, f"lin{number}"))
                total = total + self.gap(a, b, weight)
        return total


def weighted_gap(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Mean over all positions of the weighted squared difference of directions: two maps
    N x C x H x W and 1 x C x 1 x 1 -> N, float32."""
    return F.conv2d((unit(a) - unit(b)).square(), weight.float()).mean((1, 2, 3))


def unit(x: Tensor) -> Tensor:
    """Scales each position's channel vector to length 1, in float32."""
    return F.normalize(x.float(), dim=1, eps=NORM_FLOOR)
