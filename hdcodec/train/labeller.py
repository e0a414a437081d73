"""A discriminator that names what it sees: the code of the tokenizer at each 16 x 16 pixels of an
original, or that it is none.

It knows more than whether a picture is real: what the original shows here. So a decoder that wants
to be taken for an original must draw what belongs there (MS-ILLM, Muckley et al. 2023; labels as in
OASIS, Sushko et al. 2021). It looks at VGG's maps, which are there already, through random mixtures
of their channels that stay as they are (Projected GAN, Sauer et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from .draws import normal

STRIDES = (2, 4, 8)
"""Pixels between the samples of the maps it sees; VGG's second to fourth."""

LABEL_STRIDE = 16
STEP = 0.05
"""Deviation of what is added to its features to see how steep it is; theirs is 1."""

STEEPNESS_WEIGHT = 0.02
STEEP_SHARE = 0.25
"""Part of a batch on which that is done."""


class Labeller(nn.Module):
    """Maps of a batch and latents of its files -> logits of `labels` codes and of none of them."""

    def __init__(self, channels: Sequence[int], latent: int, labels: int, width: int = 64) -> None:
        super().__init__()
        self.labels = labels
        generator = torch.Generator().manual_seed(2)
        for k, count in enumerate(channels):
            mixture = torch.randn((width, count, 1, 1), generator=generator) * count**-0.5
            self.register_buffer(f"mixture{k}", mixture)
        self.branches = nn.ModuleList(_branch(width, stride) for stride in STRIDES)
        self.latent = nn.Conv2d(latent, width, 1)
        joined = width * (len(STRIDES) + 1)
        self.leave = nn.Sequential(
            nn.Conv2d(joined, 4 * width, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, labels + 1, 1),
        )

    def mixed(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """VGG's second to fourth maps, channels mixed to `width`, each of size 1."""
        return [
            F.conv2d(F.normalize(x.float(), dim=1) * x.shape[1] ** 0.5, self.get_buffer(name))
            for x, name in zip(maps, ("mixture0", "mixture1", "mixture2"), strict=True)
        ]

    def forward(self, mixed: Sequence[Tensor], latent: Tensor) -> Tensor:
        """`mixed` as above, `latent` N x latent x H/16 x W/16 -> N x (labels + 1) x H/16 x W/16."""
        seen = [branch(x) for branch, x in zip(self.branches, mixed, strict=True)]
        logits: Tensor = self.leave(torch.cat([*seen, F.leaky_relu(self.latent(latent), 0.2)], 1))
        return logits


def _branch(width: int, stride: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    while stride < LABEL_STRIDE:
        layers += [nn.Conv2d(width, width, 3, 2, 1), nn.LeakyReLU(0.2)]
        stride *= 2
    return nn.Sequential(*layers)


def play(
    labeller: Labeller,
    fake: Sequence[Tensor],
    real: Sequence[Tensor],
    latent: Tensor,
    labels: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """The discriminator's loss, and of each decoded picture, N, how far it is from being taken for
    its original, to which the discriminator is a constant.

    `fake` and `real` are VGG's second to fourth maps of both, `latent` those of the files, `labels`
    N x H/16 x W/16. Both are cross-entropies in nats; the first has a penalty on steepness at both
    (R1 and R2 of R3GAN, Huang et al. 2024, by finite differences)."""
    none = torch.full_like(labels, labeller.labels)
    seen, known = labeller.mixed([x.detach() for x in fake]), labeller.mixed(real)
    both = [torch.cat([a, b]) for a, b in zip(seen, known, strict=True)]
    logits = labeller(both, torch.cat([latent, latent]))
    loss = F.cross_entropy(logits, torch.cat([none, labels]))
    loss = loss + STEEPNESS_WEIGHT * _steepness(labeller, both, latent, logits, generator)
    frozen = {name: p.detach() for name, p in labeller.named_parameters()}
    shown = functional_call(labeller, frozen, (labeller.mixed(fake), latent))
    fooled = F.cross_entropy(shown, labels, reduction="none").mean((1, 2))
    return loss, fooled


def _steepness(
    labeller: Labeller,
    both: Sequence[Tensor],
    latent: Tensor,
    logits: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """The mean squared slope of the logits at some of N decoded pictures and their originals."""
    n = len(latent)
    some = max(1, round(STEEP_SHARE * n))
    here = [torch.cat([x[:some], x[n : n + some]]) for x in (*both, logits)]
    near = [x + STEP * normal(x, tuple(x.shape), generator) for x in here[:-1]]
    moved = labeller(near, torch.cat([latent[:some], latent[:some]]))
    slope: Tensor = (moved - here[-1]) / STEP
    return slope.square().mean()
