"""The loss of each stage."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.latent.coding import CodedBatch
from hdcodec.models.latent.distortion import MSE_WEIGHT, common, trade_off, weighed
from hdcodec.models.latent.qualities import QUALITIES, STRIDE
from hdcodec.perceptual import LPIPS, patterns

from .draws import random_fidelity, random_keep, random_map
from .figures import Figures, entropy_of, mean, psnr
from .loop import Loss
from .realism import Realism
from .terms import (
    Decoded,
    decode,
    imitated,
    missing_loss,
    most_uncertain,
    perceived,
    squared_error,
    task_loss,
    tokens,
)

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

WHOLE_SKEW = 1.1
"""Qualities in the `whole` stage are spread as those of uniform numbers raised to this power."""

PATTERN_WEIGHT = 0.3

WHOLE_DISTORTION = 0.6
"""What makes the distortion of the `whole` stage about as large as that of `lic`."""

MakeLoss = Callable[..., Loss]
"""The loss of a stage, given its networks and judges: LPIPS, and `Realism`, DISTS or nothing; then
by the name `frozen`, where it needs them, the networks around them."""


def bits_per_pixel(coded: CodedBatch) -> Tensor:
    """Of each tile: N x H/64 x W/64."""
    return (coded.y_bits + coded.z_bits) / STRIDE**2


def lic_loss(model: HdcModel, lpips: LPIPS, _: object) -> Loss:
    """Rate + MSE, later rate + MSE + LPIPS; every sample has a map of qualities of its own."""

    def loss(x: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
        qindex = random_map(x, generator)
        out = model.lic(x, qindex)
        worth, relative = common(trade_off(qindex.float()) ** 0.5)
        bpp, base = bits_per_pixel(out.coded), weighed(out.base, relative)
        mse = squared_error(base, x)
        seen = torch.zeros_like(mse)
        distortion = 1.4 * MSE_WEIGHT * mse
        if progress >= LPIPS_FROM:
            seen = perceived(lpips, base, x, generator)
            distortion = MSE_WEIGHT * mse + seen
        rate = (trade_off(qindex.float()) ** -0.5 * bpp).mean()
        low = qindex.float().mean((1, 2)) < QUALITIES // 2
        return rate + (worth * distortion).mean(), {
            "bpp_low": mean(bpp.mean((1, 2)), low),
            "bpp_high": mean(bpp.mean((1, 2)), ~low),
            "z_bpp": mean(out.coded.z_bits / STRIDE**2),
            "psnr_low": psnr(mse, low),
            "psnr_high": psnr(mse, ~low),
            "lpips": mean(seen),
        }

    return loss


def vq_loss(model: HdcModel, lpips: LPIPS, _: object) -> Loss:
    """Tokenizer: first alone, then with 3/4 of each batch fused with a LIC stream of low rate."""
    usage = torch.zeros(model.cfg.codes)

    def loss(x: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
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

    def loss(x: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
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
            "kept_bits": mean(bits, kept[:, 0]),
        }

    return loss


def drv1_loss(model: HdcModel, lpips: LPIPS, _: object) -> Loss:
    """DRVs from the ground truth, with enhancement, prediction and correction."""

    def loss(x: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
        lic = decode(model, x, generator)
        first, second = model.drv_encoder(x, lic.base)
        total, figures, _ = task_loss(model, lpips, x, lic, (first, second), None, generator)
        return total, figures

    return loss


def drv2_loss(model: HdcModel, lpips: LPIPS, realism: Realism | None) -> Loss:
    """Denoisers imitate the DRVs through the unrolled sampler; task losses; a pull to realism."""
    assert realism is not None

    def loss(x: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
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

    def loss(x: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
        qindex = random_map(x, generator, power=WHOLE_SKEW)
        out = model.lic(x, qindex)
        base = out.base.float().clamp(0, 1)
        lic = Decoded(qindex, base, out.features, out.coded.latent, out.coded.hyper)
        drvs, noise, imitation = imitated(model, x, lic, generator)
        factor = trade_off(qindex.float())
        worth, relative = common(WHOLE_DISTORTION * factor ** (1 + WHOLE_POWER))
        total, figures, fused = task_loss(
            model, lpips, x, lic, drvs, noise, generator, worth, lic_share=1.0, relative=relative
        )
        pull, more = realism.loss(fused.picture, x, fused.fidelity, generator, False, worth)
        seen = patterns(fused.picture, x)
        pull = pull + PATTERN_WEIGHT * (worth * (patterns(fused.x_lic, x) + seen)).mean()
        bpp = bits_per_pixel(out.coded)
        low = qindex.float().mean((1, 2)) < QUALITIES // 2
        figures |= {
            "patterns": mean(seen),
            "bpp_low": mean(bpp.mean((1, 2)), low),
            "bpp_high": mean(bpp.mean((1, 2)), ~low),
            "imitation": mean(imitation),
        }
        rate = (factor**WHOLE_POWER * bpp).mean()
        return rate + total + imitation + pull, figures | more

    return loss
