"""Terms that the losses of several stages are made of."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hdcodec.models.hdc.drv import sample
from hdcodec.models.hdc.model import HdcModel, mix_codes
from hdcodec.models.latent.distortion import MSE_WEIGHT, weighed
from hdcodec.models.latent.qualities import QUALITIES
from hdcodec.perceptual import LPIPS, view

from .draws import normal, random_fidelity, random_keep, random_map
from .figures import Figures, figures_of, mean, psnr

LPIPS_WEIGHT = (4.0, 0.65)
"""Weight of a picture's LPIPS at fidelity 0 and 1; the LIC image has the latter."""


class Decoded(NamedTuple):
    """The LIC stream's view of a batch."""

    qindex: Tensor
    base: Tensor
    features: Tensor
    latent: Tensor
    hyper: Tensor


class Fused(NamedTuple):
    """Pictures, the fidelity each was decoded with (N), and the LIC images within."""

    picture: Tensor
    fidelity: Tensor
    x_lic: Tensor


def task_loss(
    model: HdcModel,
    lpips: LPIPS,
    x: Tensor,
    lic: Decoded,
    drvs: tuple[Tensor, Tensor],
    noise: Tensor | None,
    generator: torch.Generator,
    worth: Tensor | float = 1.0,
    lic_share: float = 0.5,
    relative: Tensor | None = None,
) -> tuple[Tensor, Figures, Fused]:
    """Losses of the LIC image, the fused picture and the predicted indices, given both DRVs.

    The index prior, where it is trained, learns from what it would make of these latents. The less
    faithful a picture is to be, the less its loss reaches the LIC image within. `worth`
    (N) weighs the samples, `relative` (N x H/64 x W/64) their tiles, `lic_share` the LIC image
    against the picture.
    """
    first, second = drvs
    x_lic = model.enhancer(lic.base, lic.features, first)
    indices = tokens(model, x, lic.base)
    logits = model.prior(lic.latent.detach(), lic.hyper.detach()).float()
    bits = F.cross_entropy(logits, indices) / math.log(2)
    kept = most_uncertain(logits, random_keep(x, generator))
    fidelity = random_fidelity(x, generator)
    base = torch.lerp(x_lic.detach(), x_lic, fidelity)
    eighth, sixteenth = model.lic_features(base, lic.features)
    codes = model.codebook.lookup(indices)
    guess = model.predictor(codes, kept, sixteenth, second).float()
    missing, right = missing_loss(guess, indices, kept)
    mixed = mix_codes(codes, kept, guess, model.codebook.vectors())
    picture = model.vq_decoder(mixed, (base, eighth, sixteenth), fidelity, noise)
    if relative is not None:
        x_lic, picture = weighed(x_lic, relative), weighed(picture, relative)
    mse, seen = both_errors(lpips, x, x_lic, picture, generator)
    w = fidelity.flatten()
    total = distortion(mse, seen, w, lic_share)
    return (
        (worth * total).mean() + 0.02 * (missing + bits),
        {
            "base_db": psnr(squared_error(lic.base, x)),
            **figures_of(mse, seen),
            "index_bits": mean(bits),
            "missing_nats": mean(missing),
            "predicted_percent": 100 * right,
        },
        Fused(picture, w, x_lic),
    )


def distortion(mse: Tensor, seen: Tensor, fidelity: Tensor, lic_share: float) -> Tensor:
    """What the squared error and LPIPS of N LIC images, then of N pictures (2N each), count with
    each sample: N. `fidelity` N."""
    n = len(fidelity)
    weight = LPIPS_WEIGHT[0] + fidelity * (LPIPS_WEIGHT[1] - LPIPS_WEIGHT[0])
    lic = lic_share * (MSE_WEIGHT * mse[:n] + LPIPS_WEIGHT[1] * seen[:n])
    return lic + MSE_WEIGHT * (0.1 + 0.9 * fidelity) * mse[n:] + weight * seen[n:]


def imitated(
    model: HdcModel, x: Tensor, lic: Decoded, generator: torch.Generator
) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
    """Both sampled DRVs, the noise they come from, and their distance from the extracted ones."""
    with torch.no_grad():
        targets = model.drv_encoder(x, lic.base)
    steps = int(torch.tensor([1, 2, 4])[torch.randint(0, 3, (1,), generator=generator)])
    condition = model.condition(lic.features.detach())
    sampled, noises = [], []
    for denoiser, target in zip(model.denoisers, targets, strict=True):
        noises.append(normal(x, tuple(target.shape), generator))
        sampled.append(sample(denoiser, condition, noises[-1], steps))  # type: ignore[arg-type]
    distances = [F.l1_loss(a, b.float()) for a, b in zip(sampled, targets, strict=True)]
    return (sampled[0], sampled[1]), torch.cat(noises, 1), torch.stack(distances).sum()


def both_errors(
    lpips: LPIPS, x: Tensor, x_lic: Tensor, picture: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Squared errors and LPIPS of N LIC images, then of N pictures: 2N each."""
    both = torch.cat([x_lic.float(), picture.float()])
    views = view(torch.cat([both.clamp(-0.05, 1.05), x]), generator)
    with torch.no_grad():
        original = lpips.features(views[len(both) :])
    taps = lpips.features(views[: len(both)])
    seen = lpips.distance(taps, [torch.cat([tap, tap]) for tap in original])
    return squared_error(both, torch.cat([x, x])), seen


def decode(
    model: HdcModel,
    x: Tensor,
    generator: torch.Generator,
    below: int = QUALITIES,
    power: float = 1.0,
) -> Decoded:
    """What the LIC stream makes of a batch at random maps of qualities (under `below`, with a
    `power` above 1 low ones more often), its encoder and entropy networks frozen."""
    qindex = random_map(x, generator, below, power)
    with torch.no_grad():
        coded = model.lic.code(x, qindex)
    base, features = model.lic.decode(coded.latent, qindex)
    return Decoded(qindex, base.float().clamp(0, 1), features, coded.latent, coded.hyper)


@torch.no_grad()
def tokens(model: HdcModel, x: Tensor, base: Tensor) -> Tensor:
    """VQ indices of a batch, N x h x w."""
    indices: Tensor = model.codebook.indices(model.vq_encoder(x, base))
    return indices


def most_uncertain(logits: Tensor, fraction: Tensor) -> Tensor:
    """The positions whose likeliest code is least likely: bool N x 1 x h x w; `fraction` N."""
    top = logits.detach().float().softmax(1).amax(1).flatten(1)
    rank = top.argsort(1).argsort(1)
    kept = rank < (fraction[:, None] * top.shape[1]).round()
    return kept.reshape(-1, 1, *logits.shape[2:])


def missing_loss(guess: Tensor, indices: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of missing indices (label smoothing 0.1, as MAGE), and the share guessed."""
    missing = ~kept[:, 0]
    loss = F.cross_entropy(guess, indices, reduction="none", label_smoothing=0.1)
    right = mean(guess.argmax(1) == indices, missing)
    return (loss * missing).sum() / missing.sum().clamp(min=1), right


def squared_error(picture: Tensor, x: Tensor) -> Tensor:
    """Mean squared error of each sample."""
    return F.mse_loss(picture.float(), x, reduction="none").mean((1, 2, 3))


def perceived(lpips: LPIPS, picture: Tensor, x: Tensor, generator: torch.Generator) -> Tensor:
    """LPIPS of each sample, in a random view."""
    shown, wanted = view(torch.cat([picture.float().clamp(-0.05, 1.05), x]), generator).chunk(2)
    with torch.no_grad():
        original = lpips.features(wanted)
    return lpips.distance(lpips.features(shown), original)
