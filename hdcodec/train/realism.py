"""What pulls a picture towards realism: DISTS and a discriminator, both on VGG's activations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdcodec.perceptual import DISTS

DISTS_WEIGHT = 3.0
ADVERSARY_WEIGHT = 0.15
PATCH = 64
"""Side of the patches seen: VGG costs as much as all of the codec, and texture is local."""


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


class Realism(nn.Module):
    """DISTS and the heads of a discriminator on a patch of each of the least faithful pictures.

    VGG's first layers have no stride, so they see the finest grid or dot. The discriminator is
    trained in the same step as the generator, whose term sees the heads' weights as constants:
    one backward pass and one optimizer serve both players. Non-saturating logistic loss.
    """

    def __init__(self, dists: DISTS, width: int = 64) -> None:
        super().__init__()
        self.dists = dists.requires_grad_(False)
        self.heads = nn.ModuleList(Head(channels, width) for channels in dists.sizes[1:])

    def loss(
        self,
        picture: Tensor,
        original: Tensor,
        fidelity: Tensor,
        generator: torch.Generator,
        adversary: bool,
    ) -> tuple[Tensor, dict[str, float]]:
        """Weighted by 1 - `fidelity` (N); pictures N x 3 x H x W in [0, 1]."""
        chosen = fidelity.argsort()[: max(1, len(fidelity) // 2)]
        fake, real = _patches(picture[chosen].float(), original[chosen], generator)
        weight = 1 - fidelity[chosen]
        with torch.no_grad():
            real_taps = self.dists.features(real)
        fake_taps = self.dists.features(fake.clamp(-0.05, 1.05))
        distance = self.dists.distance(fake_taps, real_taps)
        total = DISTS_WEIGHT * (weight * distance).sum() / len(fidelity)
        figures = {"dists": float(distance.detach().mean())}
        if adversary:
            critic, fooled = self._players(fake_taps[1:], real_taps[1:], weight)
            total = total + critic + ADVERSARY_WEIGHT * fooled * len(chosen) / len(fidelity)
            figures |= {"critic": float(critic.detach()), "generator": float(fooled.detach())}
        return total, figures

    def _players(
        self, fake: list[Tensor], real: list[Tensor], weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        critic = generator = fake[0].new_zeros((), dtype=torch.float32)
        for head, f, r in zip(self.heads, fake, real, strict=True):
            critic = critic + F.softplus(head(f.detach())).mean() + F.softplus(-head(r)).mean()
            fooled = F.softplus(-head(f, frozen=True)).mean((1, 2, 3))
            generator = generator + (fooled * weight).mean()
        return critic / len(self.heads), generator / len(self.heads)


def _patches(a: Tensor, b: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    side = min(PATCH, a.shape[2], a.shape[3])
    cuts = []
    for k in range(len(a)):
        top = int(torch.randint(0, a.shape[2] - side + 1, (), generator=generator))
        left = int(torch.randint(0, a.shape[3] - side + 1, (), generator=generator))
        cuts.append((k, slice(None), slice(top, top + side), slice(left, left + side)))
    return torch.stack([a[cut] for cut in cuts]), torch.stack([b[cut] for cut in cuts])
