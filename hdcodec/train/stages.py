"""What each stage trains and by which loss.

The stages build on each other: `lic`, `vq`, `prior`, `drv1`, `drv2`, `joint`, `whole`. Only the
named parts of the model learn in a stage; everything else is frozen. `control` is what they must
beat.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hdcodec.entropy.fixedpoint import QUALITIES
from hdcodec.models.hdc.drv import sample
from hdcodec.models.hdc.lic import MSE_WEIGHT, trade_off
from hdcodec.models.hdc.model import HdcModel, mix_codes
from hdcodec.perceptual import LPIPS

from .loop import Loss
from .patterns import patterns
from .realism import Realism
from .views import view

LPIPS_FROM = 0.2
"""Part of the `lic` stage that is trained without LPIPS."""

FUSE_FROM = 0.75
"""Part of the `vq` stage after which most of each batch sees the LIC stream."""

FUSE_BELOW = 60
"""Quality indices of the LIC stream in the `vq` stage: the rates at which indices are sent."""

ADVERSARY_FROM = 0.4
"""Part of the `drv2` stage after which the adversary joins."""

WHOLE_POWER = -0.6
"""Each sample of the `whole` stage is weighted by trade_off ** WHOLE_POWER."""

PATTERN_WEIGHT = 0.3

WHOLE_DISTORTION = 0.6
"""What makes the distortion of the `whole` stage about as large as that of `lic`."""

KEEP_CODES = 16
"""Kept codes k of the file format; the kept fraction is (k / 15)**2."""


@dataclass(frozen=True)
class Stage:
    """The parts of the model that learn, the loss, and the peak learning rate."""

    parts: tuple[str, ...]
    loss: Callable[[HdcModel, LPIPS, Realism | None], Loss]
    lr: float = 1e-3
    realism: bool = False


class Decoded(NamedTuple):
    """The LIC stream's view of a batch."""

    quality: Tensor
    base: Tensor
    features: Tensor
    latent: Tensor
    hyper: Tensor


class Fused(NamedTuple):
    """Pictures, the fidelity each was decoded with (N), and the LIC images within."""

    picture: Tensor
    fidelity: Tensor
    x_lic: Tensor


def lic_loss(model: HdcModel, lpips: LPIPS, _: object) -> Loss:
    """Rate + MSE, later rate + MSE + LPIPS; every sample has a quality of its own."""

    def loss(
        x: Tensor, progress: float, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        quality = random_quality(x, generator)
        out = model.lic(x, quality)
        pixels = x.shape[2] * x.shape[3]
        bpp = (out.coded.y_bits + out.coded.z_bits) / pixels
        mse = squared_error(out.base, x)
        seen = torch.zeros_like(mse)
        distortion = 1.4 * MSE_WEIGHT * mse
        if progress >= LPIPS_FROM:
            seen = perceived(lpips, out.base, x, generator)
            distortion = MSE_WEIGHT * mse + seen
        factor = trade_off(quality.float())
        low = quality < QUALITIES // 2
        return (factor**-0.5 * (bpp + factor * distortion)).mean(), {
            "bpp_low": mean(bpp[low]),
            "bpp_high": mean(bpp[~low]),
            "z_bpp": mean(out.coded.z_bits / pixels),
            "psnr_low": psnr(mse[low]),
            "psnr_high": psnr(mse[~low]),
            "lpips": mean(seen),
        }

    return loss


def vq_loss(model: HdcModel, lpips: LPIPS, _: object) -> Loss:
    """Tokenizer: first alone, then with 3/4 of each batch fused with a LIC stream of low rate."""
    usage = torch.zeros(model.cfg.codes)

    def loss(
        x: Tensor, progress: float, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        alone = x.shape[0] if progress < FUSE_FROM else max(1, x.shape[0] // 4)
        seen_base = torch.full_like(x, 0.5)
        if alone < x.shape[0]:
            lic = decode(model, x[alone:], generator, FUSE_BELOW)
            base = lic.base
            seen_base[alone:] = base
        codes, indices, commitment = model.codebook.quantise(model.vq_encoder(x, seen_base))
        picture = model.vq_decoder(codes[:alone])
        if alone < x.shape[0]:
            eighth, sixteenth = model.lic_features(base, lic.features)
            fidelity = random_fidelity(base, generator)
            fused = model.vq_decoder(codes[alone:], (base, eighth, sixteenth), fidelity)
            picture = torch.cat([picture, fused])
        mse, seen = squared_error(picture, x), perceived(lpips, picture, x, generator)
        usage.mul_(0.98).add_(torch.bincount(indices.flatten().cpu(), minlength=len(usage)).float())
        total = (0.4 * MSE_WEIGHT * mse + seen).mean() + commitment
        return total, {
            "mse_db": psnr(mse[:alone]),
            "lpips": mean(seen[:alone]),
            "fused_db": psnr(mse[alone:]),
            "fused_lpips": mean(seen[alone:]),
            "commitment": mean(commitment),
            **entropy_of(usage),
        }

    return loss


def prior_loss(model: HdcModel, _: LPIPS, __: object) -> Loss:
    """Cross-entropy of the index prior, and of the mask predictor without its DRV."""

    def loss(
        x: Tensor, progress: float, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        lic = decode(model, x, generator)
        indices = tokens(model, x, lic.base)
        logits = model.prior(lic.latent, lic.hyper).float()
        bits = F.cross_entropy(logits, indices, reduction="none") / math.log(2)
        kept = most_uncertain(logits, random_keep(x, generator))
        _, sixteenth = model.lic_features(lic.base, lic.features)
        drv = x.new_zeros(x.shape[0], model.cfg.drv, x.shape[2] // 32, x.shape[3] // 32)
        guess = model.predictor(model.codebook.lookup(indices), kept, sixteenth, drv).float()
        missing, right = missing_loss(guess, indices, kept)
        return bits.mean() + missing, {
            "bits_per_index": mean(bits),
            "missing_nats": mean(missing),
            "predicted_percent": 100 * right,
            "kept_bits": mean(bits[kept[:, 0]]),
        }

    return loss


def drv1_loss(model: HdcModel, lpips: LPIPS, _: object) -> Loss:
    """DRVs from the ground truth, with enhancement, prediction and correction."""

    def loss(
        x: Tensor, progress: float, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        lic = decode(model, x, generator)
        first, second = model.drv_encoder(x, lic.base)
        total, figures, _ = task_loss(model, lpips, x, lic, (first, second), None, generator)
        return total, figures

    return loss


def drv2_loss(model: HdcModel, lpips: LPIPS, realism: Realism | None) -> Loss:
    """Denoisers imitate the DRVs through the unrolled sampler; task losses; a pull to realism."""
    assert realism is not None

    def loss(
        x: Tensor, progress: float, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        lic = decode(model, x, generator)
        drvs, noise, imitation = imitated(model, x, lic, generator)
        total, figures, out = task_loss(model, lpips, x, lic, drvs, noise, generator)
        pull, more = realism.loss(
            out.picture, x, out.fidelity, generator, progress >= ADVERSARY_FROM
        )
        figures |= {"imitation": mean(imitation)}
        return total + imitation + pull, figures | more

    return loss


def whole_loss(model: HdcModel, lpips: LPIPS, realism: Realism | None) -> Loss:
    """The rate, and all that `drv2` asks for but the discriminators: the encoder learns what the
    whole decoder makes of its latents."""
    assert realism is not None

    def loss(
        x: Tensor, progress: float, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        quality = random_quality(x, generator)
        out = model.lic(x, quality)
        base = out.base.float().clamp(0, 1)
        lic = Decoded(quality, base, out.features, out.coded.latent, out.coded.hyper)
        drvs, noise, imitation = imitated(model, x, lic, generator)
        factor = trade_off(quality.float())
        worth = WHOLE_DISTORTION * factor ** (1 + WHOLE_POWER)
        total, figures, fused = task_loss(
            model, lpips, x, lic, drvs, noise, generator, worth, lic_share=1.0
        )
        pull, more = realism.loss(fused.picture, x, fused.fidelity, generator, False, worth)
        seen = patterns(fused.picture, x)
        pull = pull + PATTERN_WEIGHT * (worth * (patterns(fused.x_lic, x) + seen)).mean()
        bpp = (out.coded.y_bits + out.coded.z_bits) / (x.shape[2] * x.shape[3])
        low = quality < QUALITIES // 2
        figures |= {
            "patterns": mean(seen),
            "bpp_low": mean(bpp[low]),
            "bpp_high": mean(bpp[~low]),
            "imitation": mean(imitation),
        }
        rate = (factor**WHOLE_POWER * bpp).mean()
        return rate + total + imitation + pull, figures | more

    return loss


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
        noises.append(torch.randn(target.shape, generator=generator).to(x.device))
        sampled.append(sample(denoiser, condition, noises[-1], steps))  # type: ignore[arg-type]
    distances = [F.l1_loss(a, b.float()) for a, b in zip(sampled, targets, strict=True)]
    return (sampled[0], sampled[1]), torch.cat(noises, 1), torch.stack(distances).sum()


def control_loss(model: HdcModel, lpips: LPIPS, _: object) -> Loss:
    """The decoder as one large enhancement: MSE + LPIPS alone, no indices, no DRV, no noise.

    Decoded with `Ablation(drv=False, predictor=False, texture=False)`, no kept index, fidelity 1.
    """

    def loss(
        x: Tensor, progress: float, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        lic = decode(model, x, generator)
        n, cfg = x.shape[0], model.cfg
        drv = x.new_zeros(n, cfg.drv, x.shape[2] // 32, x.shape[3] // 32)
        x_lic = model.enhancer(lic.base, lic.features, drv)
        codes = x.new_zeros(n, cfg.code_dim, x.shape[2] // 16, x.shape[3] // 16)
        seen_lic = (x_lic, *model.lic_features(x_lic, lic.features))
        picture = model.vq_decoder(codes, seen_lic, x.new_ones(n, 1, 1, 1))
        mse, seen = both_errors(lpips, x, x_lic, picture, generator)
        distortion = MSE_WEIGHT * mse + seen
        return 0.5 * distortion[:n].mean() + distortion[n:].mean(), {
            "base_db": psnr(squared_error(lic.base, x)),
            **figures_of(mse, seen),
        }

    return loss


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


def figures_of(mse: Tensor, seen: Tensor) -> dict[str, float]:
    """What the log says of the errors of LIC images and pictures."""
    (lic_mse, out_mse), (lic_seen, out_seen) = mse.chunk(2), seen.chunk(2)
    return {
        "lic_db": psnr(lic_mse),
        "lic_lpips": mean(lic_seen),
        "out_db": psnr(out_mse),
        "out_lpips": mean(out_seen),
    }


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
) -> tuple[Tensor, dict[str, float], Fused]:
    """Losses of the LIC image, the fused picture and the predicted indices, given both DRVs.

    The less faithful a picture is to be, the less its loss reaches the LIC image within. `worth`
    (N) weighs the samples, `lic_share` the LIC image against the picture.
    """
    first, second = drvs
    x_lic = model.enhancer(lic.base, lic.features, first)
    indices = tokens(model, x, lic.base)
    with torch.no_grad():
        logits = model.prior(lic.latent, lic.hyper)
    kept = most_uncertain(logits, random_keep(x, generator))
    fidelity = random_fidelity(x, generator)
    base = torch.lerp(x_lic.detach(), x_lic, fidelity)
    eighth, sixteenth = model.lic_features(base, lic.features)
    codes = model.codebook.lookup(indices)
    guess = model.predictor(codes, kept, sixteenth, second).float()
    missing, right = missing_loss(guess, indices, kept)
    mixed = mix_codes(codes, kept, guess, model.codebook.vectors())
    picture = model.vq_decoder(mixed, (base, eighth, sixteenth), fidelity, noise)
    mse, seen = both_errors(lpips, x, x_lic, picture, generator)
    n = x.shape[0]
    w = fidelity.flatten()
    total = lic_share * (MSE_WEIGHT * mse[:n] + seen[:n])
    total = total + MSE_WEIGHT * (0.1 + 0.9 * w) * mse[n:] + (2 - w) * seen[n:]
    return (
        (worth * total).mean() + 0.02 * missing,
        {
            "base_db": psnr(squared_error(lic.base, x)),
            **figures_of(mse, seen),
            "missing_nats": mean(missing),
            "predicted_percent": 100 * right,
        },
        Fused(picture, w, x_lic),
    )


def decode(
    model: HdcModel, x: Tensor, generator: torch.Generator, below: int = QUALITIES
) -> Decoded:
    """What the LIC stream makes of a batch at random qualities (under `below`), its encoder and
    entropy networks frozen."""
    quality = random_quality(x, generator, below)
    with torch.no_grad():
        coded = model.lic.code(x, quality)
    base, features = model.lic.decode(coded.latent, quality)
    return Decoded(quality, base.float().clamp(0, 1), features, coded.latent, coded.hyper)


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


def missing_loss(guess: Tensor, indices: Tensor, kept: Tensor) -> tuple[Tensor, float]:
    """Cross-entropy of missing indices (label smoothing 0.1, as MAGE), and the share guessed."""
    missing = ~kept[:, 0]
    if not bool(missing.any()):
        return guess.sum() * 0, 0.0
    loss = F.cross_entropy(guess, indices, reduction="none", label_smoothing=0.1)
    right = (guess.argmax(1) == indices)[missing].float().mean()
    return loss[missing].mean(), float(right)


def random_quality(x: Tensor, generator: torch.Generator, below: int = QUALITIES) -> Tensor:
    """A quality index per sample."""
    return torch.randint(0, below, (x.shape[0],), generator=generator).to(x.device)


def random_keep(x: Tensor, generator: torch.Generator) -> Tensor:
    """A kept fraction of the file format per sample; half of them none, as most files have it."""
    codes = torch.randint(1 - KEEP_CODES, KEEP_CODES, (x.shape[0],), generator=generator)
    codes = codes.clamp(min=0)
    return ((codes / (KEEP_CODES - 1)) ** 2).to(x.device)


def random_fidelity(x: Tensor, generator: torch.Generator) -> Tensor:
    """A fidelity per sample, N x 1 x 1 x 1, both ends often."""
    w = torch.rand(x.shape[0], 1, 1, 1, generator=generator) * 1.5 - 0.25
    return w.clamp(0, 1).to(x.device)


def squared_error(picture: Tensor, x: Tensor) -> Tensor:
    """Mean squared error of each sample."""
    return F.mse_loss(picture.float(), x, reduction="none").mean((1, 2, 3))


def perceived(lpips: LPIPS, picture: Tensor, x: Tensor, generator: torch.Generator) -> Tensor:
    """LPIPS of each sample, in a random view."""
    both = torch.cat([picture.float().clamp(-0.05, 1.05), x])
    distance: Tensor = lpips(*view(both, generator).chunk(2))
    return distance.flatten()


def entropy_of(usage: Tensor) -> dict[str, float]:
    """Entropy in bits of a histogram of indices, and the share of codes ever used."""
    share = usage / usage.sum().clamp(min=1)
    entropy = -(share * share.clamp(min=1e-12).log2()).sum()
    return {"index_entropy": float(entropy), "codes_used": float((usage > 0.5).float().mean())}


def mean(x: Tensor) -> float:
    """Mean as a float; 0 for an empty tensor."""
    return float(x.detach().mean()) if x.numel() else 0.0


def psnr(mse: Tensor) -> float:
    """Mean PSNR in dB of per-sample errors on [0, 1]."""
    return mean(-10 * torch.log10(mse.detach().clamp(min=1e-7)))


_FUSION = ("enhancer", "predictor", "vq_decoder", "lic_features")

STAGES: dict[str, Stage] = {
    "lic": Stage(("lic",), lic_loss),
    "vq": Stage(("vq_encoder", "codebook", "vq_decoder", "lic_features"), vq_loss),
    "prior": Stage(("prior", "predictor"), prior_loss),
    "drv1": Stage(("drv_encoder", *_FUSION), drv1_loss, 6e-4),
    "drv2": Stage(("condition", "denoisers", *_FUSION), drv2_loss, 5e-4, realism=True),
    "joint": Stage(
        ("lic.synthesis", "condition", "denoisers", *_FUSION), drv2_loss, 3e-4, realism=True
    ),
    "whole": Stage(("lic", "condition", "denoisers", *_FUSION), whole_loss, 7e-4, realism=True),
    "control": Stage(
        ("lic.synthesis", "enhancer", "vq_decoder", "lic_features"), control_loss, 3e-4
    ),
}
