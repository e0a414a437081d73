"""Better symbols for one picture, by gradient descent on what its file costs.

An encoder network gives every picture the latents that do well for pictures on average. Here those
of one picture go down the gradient of bits + trade-off x distortion, through the decoder (Campos
et al. 2019), with rounding as in training: `search` by a squared error, `search_perceptual` by what
a judge says of the decoded picture. The file format knows nothing of either.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from hdcodec.entropy.fixedpoint import SYMBOL_MAX

from .coding import LEAST_LOG_SCALE, LatentCoding, gaussian_bits, rounded
from .distortion import MSE_WEIGHT, common, weighed
from .qualities import STRIDE

RATE = 0.12
"""Of the first step, in latents; it falls linearly to a fifth."""

STEADY = 30.0
"""Gradients (bits per unit of a latent) far below it move a latent in proportion to them."""

PATIENCE = 3
"""Steps without a gain before the search goes back to the best and halves its rate."""

SQUARED_ERROR = 1.4 * MSE_WEIGHT
"""As in training without LPIPS."""

PERCEPTUAL_RATE, PERCEPTUAL_STEADY = 0.1, 40.0
FEW = 12
"""Steps for which that rate is right; more need a lower one."""

STRAYED = 1.1
"""Costs above the usual, more than views of a picture differ, at which the search goes back to the
best so far and halves its rate."""

PERCEPTUAL_WEIGHT = 0.25
"""On what the judge says, beside bits per pixel and the trade-off: files grow by a few percent."""

_ESCAPE_BITS = 16.0

Judgement = Callable[[Tensor, Tensor, torch.Generator | None], Tensor]
"""(picture, original, generator of the view) -> distance of each pair."""


@dataclass(frozen=True)
class Space:
    """What a search goes through: the `coding` of a family's latents with its float networks, at
    quality indices `qindex` 1 x H/64 x W/64, where distortion counts as `factor` says, of the same
    shape; and decoded latents 1 x latent x h x w to pictures 1 x 3 x H x W, `plain` to that whose
    squared error counts, `drawn` to that which a judge sees."""

    coding: LatentCoding
    qindex: Tensor
    factor: Tensor
    plain: Callable[[Tensor], Tensor]
    drawn: Callable[[Tensor], Tensor]


@dataclass
class Coding:
    """One set of symbols: `latent` decoded, `z` rounded, both with gradients; a smooth `rate` in
    bits, and about the `bits` of the file."""

    latent: Tensor
    z: Tensor
    rate: Tensor
    bits: float


@dataclass
class Trial:
    """One set of symbols: `latent` decoded, `z` rounded, `cost` in bits; and a smooth `loss`."""

    latent: Tensor
    z: Tensor
    cost: float
    loss: Tensor


def search(space: Space, x: Tensor, y: Tensor, z: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The best latents and hyper-latents met in `steps` steps from y and z.

    `x` 1 x 3 x H x W in [0, 1]; `y` gained latents 1 x latent x h x w and `z` hyper-latents
    1 x hyper x H/64 x W/64, unrounded; so are those returned, which round to the same symbols
    wherever means differ in the last bits. Needs gradients switched on.
    """
    at = _start(y, z)
    generator = torch.Generator("cpu").manual_seed(0)
    rate, since = RATE, 0
    optimizer = _optimizer(at, STEADY)
    best, place = None, at
    for step in range(steps + 1):
        trial = _try(space, x, at[0], at[1], generator)
        if best is None or trial.cost < best.cost:
            best, place, since = trial, [v.detach().clone() for v in at], 0
        else:
            since += 1
        if step == steps:
            break
        if since > PATIENCE:
            rate, since = rate / 2, 0
            at = [v.clone().requires_grad_() for v in place]
            optimizer = _optimizer(at, STEADY)
            continue
        optimizer.param_groups[0]["lr"] = rate * (1 - 0.8 * step / steps)
        optimizer.zero_grad()
        trial.loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert best is not None
    return best.latent, best.z


def search_perceptual(
    space: Space, judge: Judgement, x: Tensor, y: Tensor, z: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """As `search`, for a picture of fidelity 0 that `judge` finds near, seen in another view at
    each step. Latents whose symbols the file leaves out follow their means, so a change of those
    before them flips none. The first latents come back where those found do not cost less."""
    generator = torch.Generator("cpu").manual_seed(0)
    usual_factor, relative = common(space.factor)
    weight = PERCEPTUAL_WEIGHT * float(usual_factor) * x.shape[2] * x.shape[3]

    def judged(coding: Coding, view: torch.Generator | None) -> Tensor:
        return weight * judge(weighed(space.drawn(coding.latent), relative), x, view).sum()

    def settled(at: list[Tensor]) -> tuple[float, Tensor, Tensor]:
        with torch.no_grad():
            coding = _coded(space, at[0], at[1], generator, silent=True)
            return coding.bits + float(judged(coding, None)), coding.latent, coding.z

    at = _start(y, z)
    first, rate = settled(at), PERCEPTUAL_RATE * (FEW / steps) ** 0.75
    optimizer = _optimizer(at, PERCEPTUAL_STEADY)
    usual, best, place = math.inf, math.inf, at
    for step in range(steps):
        coding = _coded(space, at[0], at[1], generator, silent=True)
        distance = judged(coding, generator)
        cost = coding.bits + float(distance.detach())
        if cost > STRAYED * usual:
            at, rate = [v.clone().requires_grad_() for v in place], rate / 2
            optimizer = _optimizer(at, PERCEPTUAL_STEADY)
            continue
        usual = cost if math.isinf(usual) else usual + 0.3 * (cost - usual)
        if cost < best:
            best, place = cost, [v.detach().clone() for v in at]
        optimizer.param_groups[0]["lr"] = rate * (1 - 0.9 * step / steps)
        optimizer.zero_grad()
        (coding.rate + distance).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    _, latent, rounded_z = min(first, settled(place), settled(at), key=lambda found: found[0])
    return latent, rounded_z


def _start(y: Tensor, z: Tensor) -> list[Tensor]:
    return [v.float().clamp(-SYMBOL_MAX, SYMBOL_MAX).clone().requires_grad_() for v in (y, z)]


def _optimizer(at: list[Tensor], steady: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(at, betas=(0.5, 0.9), eps=steady)


def _try(space: Space, x: Tensor, y: Tensor, z: Tensor, generator: torch.Generator) -> Trial:
    coding = _coded(space, y, z, generator)
    base, tile_pixels, weight = space.plain(coding.latent), STRIDE**2, SQUARED_ERROR * space.factor
    loss = tile_pixels * (weight * by_tile((base.float() - x).square())).sum() + coding.rate
    error = by_tile((base.detach().float().clamp(0, 1) - x).square())
    cost = coding.bits + tile_pixels * float((weight * error).sum())
    return Trial(coding.latent.detach(), coding.z.detach(), cost, loss)


def by_tile(x: Tensor) -> Tensor:
    """Means of tiles of 64 x 64 pixels: N x C x H x W -> N x H/64 x W/64."""
    return F.avg_pool2d(x.mean(1, keepdim=True), STRIDE)[:, 0]


def _coded(
    space: Space, y: Tensor, z: Tensor, generator: torch.Generator, silent: bool = False
) -> Coding:
    coding, whole = space.coding, rounded(z)
    z_scale, hyper = (
        coding.z_scale(space.qindex),
        coding.entropy.hyper_features(whole, space.qindex),
    )
    latent, mean, y_scale = coding.parts(y, hyper, silent)
    rest = torch.where(y_scale <= LEAST_LOG_SCALE, latent - mean, y - mean) if silent else y - mean
    rate, bits = torch.zeros((), dtype=torch.float32, device=y.device), 0.0
    for symbol, value, scale in ((latent - mean, rest, y_scale), (whole, z, z_scale)):
        noise = torch.rand(value.shape, generator=generator, dtype=torch.float32, device="cpu")
        noisy = value + noise.to(value.device) - 0.5
        rate = rate + gaussian_bits(noisy, scale.clamp(min=LEAST_LOG_SCALE)).sum()
        bits += table_bits(symbol.detach(), scale.detach())
    return Coding(latent, whole, rate, bits)


def table_bits(symbol: Tensor, log_scale: Tensor) -> float:
    """About what whole symbols cost in the tables of the file: nothing under the smallest scale."""
    scale = log_scale.clamp(min=LEAST_LOG_SCALE).exp()
    inverse, size = 1 / (scale * math.sqrt(2.0)), symbol.abs()
    p = 0.5 * (torch.erfc((size - 0.5) * inverse) - torch.erfc((size + 0.5) * inverse))
    bits = -torch.log2(p.clamp(min=2**-_ESCAPE_BITS))
    silent = _ESCAPE_BITS * (size > 0.5)
    return float(torch.where(log_scale <= LEAST_LOG_SCALE, silent, bits).sum())
