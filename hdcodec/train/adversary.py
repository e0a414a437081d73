"""A discriminator on frozen perceptual features, trained in the same step as the generator."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

WEIGHT = 0.05


class Head(nn.Module):
    """Two 1x1 convolutions: realism at each position of a tap."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, width, 1)
        self.leave = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor, frozen: bool = False) -> Tensor:
        x = F.normalize(x, dim=1) * x.shape[1] ** 0.5
        for layer in (self.enter, self.leave):
            weight, bias = layer.weight, layer.bias
            if frozen:
                weight, bias = weight.detach(), bias.detach() if bias is not None else None
            x = F.conv2d(x, weight, bias)
            x = F.leaky_relu(x, 0.2) if layer is self.enter else x
        return x


class Adversary(nn.Module):
    """Heads on each tap of a perceptual network; non-saturating logistic loss.

    The generator's term sees the heads' weights as constants, so one backward pass and one
    optimizer serve both players.
    """

    def __init__(self, channels: list[int], width: int = 64) -> None:
        super().__init__()
        self.heads = nn.ModuleList(Head(c, width) for c in channels)

    def loss(
        self, fake: list[Tensor], real: list[Tensor], weight: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        """Both players' losses on the taps of generated and real pictures; `weight` N scales the
        generator's term of each sample."""
        critic = generator = fake[0].new_zeros(())
        for head, f, r in zip(self.heads, fake, real, strict=True):
            critic = critic + F.softplus(head(f.detach())).mean() + F.softplus(-head(r)).mean()
            generator = (
                generator + (F.softplus(-head(f, frozen=True)).mean((1, 2, 3)) * weight).mean()
            )
        count = len(self.heads)
        return critic / count + WEIGHT * generator / count, {
            "critic": float(critic.detach()) / count,
            "generator": float(generator.detach()) / count,
        }
