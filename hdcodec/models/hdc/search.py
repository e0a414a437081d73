"""Better symbols for one picture, by gradient descent on what its file costs.

An encoder network gives every picture the latents that do well for pictures on average. Here those
of one picture go down the gradient of bits + trade-off x squared error, through the decoder (Campos
et al. 2019), with rounding as in training. The file format knows nothing of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hdcodec.entropy.fixedpoint import SYMBOL_MAX

from .lic import LEAST_LOG_SCALE, MSE_WEIGHT, Lic, gaussian_bits, rounded, trade_off

RATE = 0.06
STEADY = 30.0
"""Gradients (bits per unit of a latent) far below it move a latent in proportion to them."""

PATIENCE = 3
"""Steps without a gain before the search goes back to the best and halves its rate."""

SQUARED_ERROR = 1.4 * MSE_WEIGHT
"""As in training without LPIPS."""

_ESCAPE_BITS = 16.0


@dataclass
class Trial:
    """One set of symbols: `latent` decoded, `z` rounded, `cost` in bits; and a smooth `loss`."""

    latent: Tensor
    z: Tensor
    cost: float
    loss: Tensor


def search(
    lic: Lic, x: Tensor, y: Tensor, z: Tensor, quality: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """The best latents and hyper-latents met in `steps` steps from y and z.

    `x` 1 x 3 x H x W in [0, 1]; `y` gained latents 1 x latent x H/16 x W/16 and `z` hyper-latents
    1 x hyper x H/64 x W/64, unrounded; so are those returned, which round to the same symbols
    wherever means differ in the last bits. Needs gradients switched on.
    """
    at = [v.float().clamp(-SYMBOL_MAX, SYMBOL_MAX).clone().requires_grad_() for v in (y, z)]
    generator = torch.Generator("cpu").manual_seed(0)
    rate, since = RATE, 0
    optimizer = _optimizer(at, rate)
    best, place = None, at
    for step in range(steps + 1):
        trial = _try(lic, x, at[0], at[1], quality, generator)
        if best is None or trial.cost < best.cost:
            best, place, since = trial, [v.detach().clone() for v in at], 0
        else:
            since += 1
        if step == steps:
            break
        if since > PATIENCE:
            rate, since = rate / 2, 0
            at = [v.clone().requires_grad_() for v in place]
            optimizer = _optimizer(at, rate)
            continue
        optimizer.zero_grad()
        trial.loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert best is not None
    return best.latent, best.z


def _optimizer(at: list[Tensor], rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(at, rate, betas=(0.9, 0.98), eps=STEADY)


def _try(
    lic: Lic, x: Tensor, y: Tensor, z: Tensor, quality: Tensor, generator: torch.Generator
) -> Trial:
    z_scale = lic.z_scale(z, quality)
    whole = rounded(z)
    latent, mean, y_scale = lic.parts(y, lic.entropy.hyper_features(whole, quality))
    base, _ = lic.decode(latent, quality)
    weight = SQUARED_ERROR * float(trade_off(quality.float())) * x.shape[2] * x.shape[3]
    loss = weight * (base.float() - x).square().mean()
    bits = 0.0
    for symbol, value, scale in ((latent - mean, y - mean, y_scale), (whole, z, z_scale)):
        noise = torch.rand(value.shape, generator=generator, device="cpu").to(value.device) - 0.5
        loss = loss + gaussian_bits(value + noise, scale.clamp(min=LEAST_LOG_SCALE)).sum()
        bits += table_bits(symbol.detach(), scale.detach())
    error = (base.detach().float().clamp(0, 1) - x).square().mean()
    return Trial(latent.detach(), whole.detach(), bits + weight * float(error), loss)


def table_bits(symbol: Tensor, log_scale: Tensor) -> float:
    """About what whole symbols cost in the tables of the file: nothing under the smallest scale."""
    scale = log_scale.clamp(min=LEAST_LOG_SCALE).exp()
    inverse, size = 1 / (scale * math.sqrt(2.0)), symbol.abs()
    p = 0.5 * (torch.erfc((size - 0.5) * inverse) - torch.erfc((size + 0.5) * inverse))
    bits = -torch.log2(p.clamp(min=2**-_ESCAPE_BITS))
    silent = _ESCAPE_BITS * (size > 0.5)
    return float(torch.where(log_scale <= LEAST_LOG_SCALE, silent, bits).sum())
