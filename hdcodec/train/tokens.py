"""Stages in which tokens at 1/32 learn to say what hdc's latents leave open; hdc stays as it is.

`tokens` is in latents alone: bits, and the latents' squared error. `tokens-latents` and
`tokens-features` go on from there by the finished picture's losses, the first with the tokens that
correct latents, the second with the same ones told to the VQ decoder instead.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from hdcodec import weights
from hdcodec.models import identify
from hdcodec.models.hdc.config import CELLS
from hdcodec.models.hdc.drv import sample
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.hdc.residual import (
    FeatureTokens,
    Known,
    LatentTokens,
    Quantised,
    ResidualTokens,
    TokenConfig,
)
from hdcodec.models.latent.coding import CodedBatch, uniform
from hdcodec.models.latent.distortion import MSE_WEIGHT, trade_off
from hdcodec.perceptual import DISTS, LPIPS

from .checkpoint import averaged
from .data import Crops
from .draws import normal, random_fidelity, random_qindex
from .figures import Figures, mean, psnr
from .loop import Loss
from .losses import WHOLE_POWER
from .realism import DISTS_WEIGHT
from .restore import restore
from .terms import LPIPS_WEIGHT, perceived, squared_error
from .vae import resemblance

QUALITIES = 121
"""Quality indices that learn, those below: up to about .04 bits per pixel."""

SLOPE = (3.9, 0.0079)
"""By how much hdc's latents, all channels by what is `felt` of them, lose squared error with each
bit at the lowest and the highest quality: what a bit of tokens has to bring."""

WORTH = 0.8
"""What the loss of a picture counts beside bits, of hdc's trade-off: by this, a bit of tokens is
worth about as much as one of latents, at fidelity 0 a little more, at 1 a little less."""

SEEN = 0.25
"""Part of a batch, the least faithful, that DISTS sees."""

COMMITMENT = 0.1

SHOWN = 60
"""Quality index of the pictures in a sheet of samples."""

Vectors = Literal["silent", "guessed", "sent"]
"""What the decoder is told: nothing, which is hdc without tokens; the likeliest codes, which takes
no bits either; or the tokens."""


class Beside(nn.Module):
    """hdc, frozen, beside which tokens are trained."""

    def __init__(self, hdc: HdcModel) -> None:
        super().__init__()
        self.hdc = hdc.eval().requires_grad_(False)

    @torch.no_grad()
    def kept(self, x: Tensor) -> Tensor:
        """What latents are made of, of pixels N x 3 x H x W in [0, 1]: float16, N x h x w x C."""
        return self.hdc.lic.analysis.features(x).permute(0, 2, 3, 1).half()

    @torch.no_grad()
    def coded(self, seen: Tensor, qindex: Tensor) -> tuple[CodedBatch, Tensor]:
        """What a file holds of pictures with these features, and what its latents have missed, with
        gain."""
        lic = self.hdc.lic
        y = lic.analysis.net[-1](seen) * lic.gain(qindex)
        coded = lic.written(y, qindex)
        return coded, y - coded.latent


class Spoken(NamedTuple):
    """A picture, N x 3 x H x W, with tokens, and what they are; hdc's bits of it, N."""

    picture: Tensor
    named: Quantised
    bits: Tensor


def start_loss(model: LatentTokens, _: LPIPS, __: object, frozen: Beside) -> Loss:
    """Bits of the tokens' soft choice, and the squared error of latents, in parts of what it is
    without tokens; the same in every step."""

    def loss(batch: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
        seen, index = batch.float(), random_qindex(batch, generator, QUALITIES)
        rows, columns = (side // CELLS for side in batch.shape[2:])
        qindex = index[:, None, None].expand(-1, rows, columns)
        known, named, coded, missed = told(model, frozen, seen, qindex)
        gain = frozen.hdc.lic.gain(qindex)
        before, after = (
            ((missed / gain - change).square() * model.felt[:, None, None]).sum((1, 2, 3))
            for change in (torch.zeros_like(missed), model.changes(known, named.vectors))
        )
        slope = trade_off(index.float(), SLOPE)
        soft, bits = (part.sum((1, 2, 3)) for part in (named.soft_bits, named.bits))
        total = (model.worth * after + slope * soft) / before
        worth_of_all = slope * (coded.y_bits + coded.z_bits).sum((1, 2))
        return total.mean() + COMMITMENT * named.commitment, {
            "left": mean(after / before),
            "saved_percent": 100 * mean((before - after - slope * bits) / worth_of_all),
            **shares(named),
        }

    return loss


def tokens_loss(model: ResidualTokens, lpips: LPIPS, dists: DISTS, frozen: Beside) -> Loss:
    """Bits of the tokens' soft choice, and what the finished picture loses; alike in every step."""

    def loss(x: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
        qindex = random_qindex(x, generator, QUALITIES)
        fidelity = random_fidelity(x, generator)
        shape = (len(x), 2 * frozen.hdc.cfg.drv, x.shape[2] // 32, x.shape[3] // 32)
        noise = normal(x, shape, generator)
        picture, named, _ = spoken(model, frozen, x, uniform(qindex, x), fidelity, noise)
        w = fidelity.flatten()
        mse, seen = squared_error(picture, x), perceived(lpips, picture, x, generator)
        low, high = LPIPS_WEIGHT
        total = MSE_WEIGHT * (0.1 + 0.9 * w) * mse + (low + w * (high - low)) * seen
        chosen = w.argsort()[: max(1, round(SEEN * len(x)))]
        alike = resemblance(dists, picture[chosen], x[chosen], generator)
        factor = trade_off(qindex.float())
        pulled = ((1 - w) * factor ** (1 + WHOLE_POWER))[chosen] * DISTS_WEIGHT * alike
        lost = (factor ** (1 + WHOLE_POWER) * total).mean() + pulled.sum() / len(x)
        soft = named.soft_bits.sum((1, 2, 3)) / (x.shape[2] * x.shape[3])
        rate = (factor**WHOLE_POWER * soft).mean()
        return rate + WORTH * model.worth * lost + COMMITMENT * named.commitment, {
            "out_db": psnr(mse),
            "out_lpips": mean(seen),
            "dists": mean(alike),
            **shares(named),
        }

    return loss


def shares(named: Quantised) -> Figures:
    """Of an index: its bits, those of the soft choice, and how many are not 0."""
    return {
        "token_bits": mean(named.bits),
        "soft_bits": mean(named.soft_bits),
        "sent_percent": 100 * mean(named.indices > 0),
    }


def told(
    model: ResidualTokens, frozen: Beside, seen: Tensor, qindex: Tensor
) -> tuple[Known, Quantised, CodedBatch, Tensor]:
    """What the decoder knows of pictures with these features, the tokens, what a file of hdc holds
    and what its latents have missed, with gain."""
    coded, missed = frozen.coded(seen, qindex)
    known = model.known(coded.latent, coded.hyper)
    return known, model.named(model.whitened(seen, missed, known), known), coded, missed


def spoken(
    model: ResidualTokens,
    frozen: Beside,
    x: Tensor,
    qindex: Tensor,
    fidelity: Tensor,
    noise: Tensor,
    vectors: Vectors = "sent",
) -> Spoken:
    """Pixels N x 3 x H x W in [0, 1], `qindex` N x H/64 x W/64, `fidelity` N x 1 x 1 x 1, `noise`
    N x 2 drv x H/32 x W/32."""
    hdc = frozen.hdc
    with torch.no_grad():
        seen = hdc.lic.analysis.features(x)
    known, named, coded, _ = told(model, frozen, seen, qindex)
    latent, added = coded.latent / hdc.lic.gain(qindex), None
    chosen = named.vectors if vectors == "sent" else torch.zeros_like(named.vectors)
    chosen = model.guessed(known) if vectors == "guessed" else chosen
    if isinstance(model, LatentTokens):
        latent = latent + model.changes(known, chosen)
    elif isinstance(model, FeatureTokens):
        added = model.changes(known, chosen)
    bits = (coded.y_bits + coded.z_bits).sum((1, 2))
    return Spoken(decoded(hdc, latent, fidelity, noise, added), named, bits)


def decoded(
    hdc: HdcModel,
    latent: Tensor,
    fidelity: Tensor,
    noise: Tensor,
    added: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """hdc's picture of latents without gain, no index sent, DRVs in one step; what is `added` comes
    to the LIC stream's features at 1/8 and 1/16."""
    base, features = hdc.lic.synthesis(latent)
    condition = hdc.condition(features)
    drvs = [
        sample(denoiser, condition, part, 1)  # type: ignore[arg-type]
        for denoiser, part in zip(hdc.denoisers, noise.chunk(2, 1), strict=True)
    ]
    x_lic = hdc.enhancer(base, features, drvs[0])
    eighth, sixteenth = hdc.lic_features(x_lic, features)
    if added is not None:
        eighth, sixteenth = eighth + added[0], sixteenth + added[1]
    kept = torch.zeros_like(latent[:, :1], dtype=torch.bool)
    codes = hdc.complete(kept[:, 0].long(), kept, sixteenth, drvs[1])
    picture: Tensor = hdc.vq_decoder(codes, (x_lic, eighth, sixteenth), fidelity, noise)
    return picture


def felt(hdc: HdcModel, x: Tensor) -> Tensor:
    """By how much pixels of the base image change, in squared error, with each channel of latents
    without gain, 1 on average: from the gradient of a product with random numbers (Hutchinson
    1990); `x` N x 3 x H x W."""
    lic, qindex = hdc.lic, uniform(torch.full((len(x),), SHOWN, device=x.device), x)
    with torch.no_grad():
        gain = lic.gain(qindex)
        latent = lic.written(lic.analysis(x) * gain, qindex).latent / gain
    latent.requires_grad_()
    base, _ = lic.synthesis(latent)
    random = torch.randn(base.shape, generator=torch.Generator().manual_seed(0)).to(x.device)
    (gradient,) = torch.autograd.grad((base * random).sum(), latent)
    power = gradient.float().square().mean((0, 2, 3))
    return power / power.mean()


def load_beside(device: str) -> Beside:
    """The landed weights."""
    frozen = Beside(restore(weights.find(identify("hdc"))))
    frozen.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return frozen


def starting(kind: type[ResidualTokens]) -> Callable[..., nn.Module]:
    """What makes tokens of a kind from a checkpoint, or untrained ones."""

    def start(
        path: Path | None, config: TokenConfig | None, crops: Crops, frozen: Beside
    ) -> ResidualTokens:
        model = load_tokens(kind, path, frozen.hdc, config)
        if path is None:
            model.felt.copy_(felt(frozen.hdc, crops(0)[:16]))
        return model

    return start


def load_tokens(
    kind: type[ResidualTokens], path: Path | None, hdc: HdcModel, config: TokenConfig | None = None
) -> ResidualTokens:
    """The averaged tokens of a checkpoint, or untrained ones; of a checkpoint of another kind of
    tokens all but what they are told to. Raises ValueError where it is of other networks."""
    model = kind(config or TokenConfig(), hdc.cfg)
    if path is None:
        return model
    state = averaged(path)
    known = {name: tensor for name, tensor in state.items() if name in model.state_dict()}
    try:
        lost = model.load_state_dict(known, strict=False).missing_keys
    except RuntimeError as error:
        raise ValueError(f"{path} is a checkpoint of other networks than tokens") from error
    if any(not name.startswith(kind.OWN) for name in lost):
        raise ValueError(f"{path} is a checkpoint of other networks than tokens")
    return model


def tokens_views(model: ResidualTokens, x: Tensor, frozen: Beside) -> list[Tensor]:
    """A picture, N x 3 x H x W, at fidelity 0 without tokens, with guessed ones and with them."""
    qindex = uniform(torch.tensor([SHOWN], device=x.device), x)
    shape = (len(x), 2 * frozen.hdc.cfg.drv, x.shape[2] // 32, x.shape[3] // 32)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(x.device)
    natural = torch.zeros_like(x[:, :1, :1, :1])
    return [
        spoken(model, frozen, x, qindex, natural, noise, vectors).picture
        for vectors in get_args(Vectors)
    ]
