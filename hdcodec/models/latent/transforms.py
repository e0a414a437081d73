"""Pixels to latents and back: what hdc is made of, and sprdiff's encoders and decoders begin as."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from .blocks import Patches, PixelHead, down, stack, up
from .layers import Pointwise


class Analysis(nn.Module):
    """Pixels -> latents before gain, N x latent x H/16 x W/16."""

    def __init__(self, latent: int, width: int, depth: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            Patches(width),
            stack(width, depth),
            down(width, width + 64),
            stack(width + 64, depth),
            Pointwise(width + 64, latent),
        )

    def features(self, x: Tensor) -> Tensor:
        """What the latents are made from: N x (width + 64) x H/16 x W/16."""
        y: Tensor = self.net[:-1](x)
        return y

    @property
    def last(self) -> Pointwise:
        """The layer that makes them."""
        return cast(Pointwise, self.net[-1])

    def forward(self, x: Tensor) -> Tensor:
        """`x` N x 3 x H x W in [0, 1], sides multiples of 16."""
        y: Tensor = self.net(x)
        return y


class Synthesis(nn.Module):
    """Latents (gain removed) -> base image in [0, 1] and the features it was made from (1/8).

    `width` and `depth` are those of the blocks at 1/16, `detail` those of the blocks at 1/8.
    """

    def __init__(
        self, latent: int, width: int, depth: int, detail: tuple[int, int], head_depth: int
    ) -> None:
        super().__init__()
        self.coarse = nn.Sequential(
            Pointwise(latent, width), stack(width, depth), up(width, detail[0])
        )
        self.detail = stack(*detail)
        self.head = PixelHead(detail[0], depth=head_depth)

    def trunk(self, y: Tensor) -> Tensor:
        """`y` N x latent x h x w -> the features of the blocks at 1/16, N x width x h x w."""
        features: Tensor = self.coarse[:2](y)
        return features

    def detailed(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """What `trunk` gives -> what `forward` gives."""
        eighth = self.detail(self.coarse[2](features))
        return self.head(eighth) + 0.5, eighth

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """`y` N x latent x h x w -> base N x 3 x 16h x 16w, not clipped, and features N x
        channels x 2h x 2w."""
        features = self.detail(self.coarse(y))
        return self.head(features) + 0.5, features
