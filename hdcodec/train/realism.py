"""What pulls a picture towards realism: DISTS and two discriminators, one on VGG's activations and
one on the pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from hdcodec.perceptual import DISTS, turned

from .figures import Figures, mean

DISTS_WEIGHT = 13.0
ADVERSARY_WEIGHT = 0.1
CRITIC_WEIGHT = 0.25
STORED = 0.2
SEEN = 0.75
"""Part of a batch that is asked for realism, the least faithful."""

PATCH = 256
"""Largest side of the patches seen. DISTS lives by the means of VGG's last two maps; on 64 pixels,
all of them near a border, these ask for a weave on smooth surfaces."""


class Head(nn.Module):
    """Two 1x1 convolutions: realism at each position of one of VGG's maps."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, width, 1)
        self.leave = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor, frozen: bool = False) -> Tensor:
        """N x channels x H x W -> logits N x 1 x H x W; `frozen` weights get no gradient."""
        x = F.normalize(x, dim=1) * x.shape[1] ** 0.5
        for layer in (self.enter, self.leave):
            weight, bias = layer.weight, layer.bias
            if frozen:
                weight, bias = weight.detach(), bias.detach() if bias is not None else None
            x = F.conv2d(x, weight, bias)
            x = F.leaky_relu(x, 0.2) if layer is self.enter else x
        return x


class Scaled(nn.Module):
    """A 3x3 convolution whose weights are stored at one variance, so that one learning rate suits
    all layers (equalised learning rate, Karras et al. 2018), and as small as `STORED`, so that
    this rate is a fast one."""

    def __init__(self, cin: int, cout: int, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(STORED * torch.randn(cout, cin, 3, 3))
        self.bias = nn.Parameter(torch.zeros(cout))
        self.stride, self.gain = stride, (2 / (9 * cin)) ** 0.5 / STORED

    def forward(self, x: Tensor) -> Tensor:
        """N x cin x H x W -> N x cout x H/stride x W/stride."""
        return F.conv2d(x, self.weight * self.gain, self.bias, self.stride, 1)


class Critic(nn.Module):
    """Realism of a picture at each 4x4 pixels.

    It sees the picture's colours at 1/8 and, apart from them and larger, all that is finer: a
    texture that repeats itself is plain there, while VGG, trained to name things, is used to
    overlook it. Of an error in the colours it can know nothing.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                Scaled(6, width),
                Scaled(width, 2 * width, 2),
                Scaled(2 * width, 3 * width, 2),
                Scaled(3 * width, 3 * width),
                Scaled(3 * width, 1),
            ]
        )

    def forward(self, picture: Tensor) -> Tensor:
        """N x 3 x H x W in [0, 1] -> logits N x 1 x H/4 x W/4."""
        colours = F.interpolate(F.avg_pool2d(picture, 8), scale_factor=8, mode="bilinear")
        x = torch.cat([2 * colours - 1, 8 * (picture - colours)], 1)
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
        logits: Tensor = self.layers[-1](x)
        return logits


class Realism(nn.Module):
    """DISTS and two discriminators on a patch of each of the least faithful pictures.

    VGG's first layers have no stride, so they see the finest grid or dot. The discriminators are
    trained in the same step as the generator, whose terms see their weights as constants:
    one backward pass and one optimizer serve all players. Non-saturating logistic loss.
    """

    def __init__(self, dists: DISTS, width: int = 64) -> None:
        super().__init__()
        self.dists = dists.requires_grad_(False)
        self.heads = nn.ModuleList(Head(channels, width) for channels in dists.sizes[1:])
        self.critic = Critic()

    def players(self) -> nn.Module:
        """What learns here."""
        return nn.ModuleList([self.heads, self.critic])

    def loss(
        self,
        picture: Tensor,
        original: Tensor,
        fidelity: Tensor,
        generator: torch.Generator,
        adversary: bool,
        worth: Tensor | float = 1.0,
    ) -> tuple[Tensor, Figures]:
        """Weighted by `worth` (N) and 1 - `fidelity` (N); pictures N x 3 x H x W in [0, 1]."""
        n = len(fidelity)
        chosen = fidelity.argsort()[: max(1, int(SEEN * n))]
        share = len(chosen) / n
        fake, real = _patches((picture[chosen].float(), original[chosen]), generator)
        weight = ((1 - fidelity) * worth)[chosen]
        with torch.no_grad():
            real_taps = self.dists.features(real)
        fake_taps = self.dists.features(fake.clamp(-0.05, 1.05))
        distance = self.dists.distance(fake_taps, real_taps)
        total = DISTS_WEIGHT * share * (weight * distance).mean()
        figures = {"dists": mean(distance)}
        if adversary:
            critic, fooled = self._players(fake_taps[1:], real_taps[1:], weight)
            total = total + critic + ADVERSARY_WEIGHT * fooled * share
            figures |= {"critic": critic.detach(), "generator": fooled.detach()}
            critic, fooled = self._pixel_players(fake, real, weight)
            total = total + critic + CRITIC_WEIGHT * fooled * share
            figures |= {
                "pixel_critic": critic.detach(),
                "pixel_fooled": fooled.detach(),
            }
        return total, figures

    def _pixel_players(self, fake: Tensor, real: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.critic(torch.cat([fake.detach(), real]))
        as_fake, as_real = seen.float().chunk(2)
        critic = F.softplus(as_fake).mean() + F.softplus(-as_real).mean()
        frozen = {name: p.detach() for name, p in self.critic.named_parameters()}
        fooled = F.softplus(-functional_call(self.critic, frozen, (fake,)).float())
        return critic, (fooled.mean((1, 2, 3)) * weight).mean()

    def _players(
        self, fake: list[Tensor], real: list[Tensor], weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        critic = generator = fake[0].new_zeros((), dtype=torch.float32)
        for head, f, r in zip(self.heads, fake, real, strict=True):
            critic = critic + F.softplus(head(f.detach())).mean() + F.softplus(-head(r)).mean()
            fooled = F.softplus(-head(f, frozen=True)).mean((1, 2, 3))
            generator = generator + (fooled * weight).mean()
        return critic / len(self.heads), generator / len(self.heads)


def _patches(pictures: Sequence[Tensor], generator: torch.Generator) -> tuple[Tensor, ...]:
    """The same patch of each, another for every sample, turned or mirrored at random."""
    n, _, height, width = pictures[0].shape
    side = min(PATCH, height, width)
    cuts = []
    for k in range(n):
        top = int(torch.randint(0, height - side + 1, (), generator=generator))
        left = int(torch.randint(0, width - side + 1, (), generator=generator))
        cuts.append((k, slice(None), slice(top, top + side), slice(left, left + side)))
    patches = torch.cat([torch.stack([picture[cut] for cut in cuts]) for picture in pictures])
    return turned(patches, generator).chunk(len(pictures))
