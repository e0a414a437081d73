"""The `vae` stage of the sprdiff family: how its VAE begins, what it learns by, what it shows."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from hdcodec import weights
from hdcodec.models import identify
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.latent.distortion import MSE_WEIGHT
from hdcodec.models.sprdiff.config import VaeConfig
from hdcodec.models.sprdiff.vae import Vae
from hdcodec.perceptual import DISTS, LPIPS, turned

from .checkpoint import load_average
from .data import Crops
from .draws import normal, uniform
from .figures import Figures, mean, psnr
from .loop import Loss
from .realism import DISTS_WEIGHT
from .restore import restore
from .terms import LPIPS_WEIGHT, perceived, squared_error

FIDELITY = 0.5
"""Squared error, LPIPS and DISTS weigh what they weigh in hdc's `whole` stage at this fidelity."""

NOISE = (-0.2, 0.6)
"""Range of the noise's deviation in the latents, of deviation 1; below 0 there is none."""

DISTS_SHARE = 0.25
"""Part of a batch that DISTS sees: with its gradient it takes longer than all else together."""

SHOWN_NOISE = (0.0, 0.2, 0.5)
"""Deviations of the noise in a sheet of samples."""

MEASURED = 128
"""Crops whose latents a bottleneck is chosen for."""


def vae_loss(model: Vae, lpips: LPIPS, dists: DISTS) -> Loss:
    """What pictures lose in latents with noise of random strength; the same in every step."""
    weight = MSE_WEIGHT * (0.1 + 0.9 * FIDELITY)
    lpips_weight = LPIPS_WEIGHT[0] + FIDELITY * (LPIPS_WEIGHT[1] - LPIPS_WEIGHT[0])
    dists_weight = (1 - FIDELITY) * DISTS_WEIGHT

    def loss(x: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
        z = model.encode(x)
        strength = random_strength(x, generator)
        picture = model.decode(z + strength * normal(z, tuple(z.shape), generator))
        mse, seen = squared_error(picture, x), perceived(lpips, picture, x, generator)
        some = max(1, round(DISTS_SHARE * len(x)))
        alike = resemblance(dists, picture[:some], x[:some], generator)
        total = weight * mse.mean() + lpips_weight * seen.mean() + dists_weight * alike.mean()
        clean = strength.flatten() == 0
        return total, {
            "clean_db": psnr(mse, clean),
            "noisy_db": psnr(mse, ~clean),
            "lpips": mean(seen),
            "dists": mean(alike),
            "deviation": z.detach().std(),
        }

    return loss


def random_strength(x: Tensor, generator: torch.Generator) -> Tensor:
    """A deviation of noise per sample, N x 1 x 1 x 1, 0 in a quarter of each batch: from one random
    number in even distances (systematic sampling)."""
    low, high = NOISE
    places = torch.arange(len(x), device=x.device) / len(x)
    part = (uniform(x, (1,), generator) + places) % 1
    return (low + (high - low) * part).clamp(min=0)[:, None, None, None]


def resemblance(dists: DISTS, picture: Tensor, x: Tensor, generator: torch.Generator) -> Tensor:
    """DISTS of each sample, turned or mirrored at random: N."""
    shown, wanted = turned(torch.cat([picture.clamp(-0.05, 1.05), x]), generator).chunk(2)
    with torch.no_grad():
        original = dists.features(wanted)
    return dists.distance(dists.features(shown), original)


def vae_views(model: Vae, x: Tensor) -> list[Tensor]:
    """A picture, N x 3 x H x W, as it comes out of latents with noise of `SHOWN_NOISE`."""
    z = model.encode(x)
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(0)).to(z.device)
    return [model.decode(z + strength * noise) for strength in SHOWN_NOISE]


def start_vae(path: Path | None, config: VaeConfig | None, crops: Crops) -> Vae:
    """The averaged VAE of a checkpoint, or one made of a folder of hdc's weights; by default of
    those that are landed."""
    if path is not None and not path.is_dir():
        return load_vae(path, config)
    hdc = weights.find(identify("hdc")) if path is None else weights.read_folder(path)
    return from_hdc(restore(hdc), crops, config or VaeConfig())


def load_vae(checkpoint: Path, config: VaeConfig | None = None) -> Vae:
    """The averaged VAE of a checkpoint of the `vae` stage."""
    model = Vae(config or VaeConfig())
    load_average(model, checkpoint)
    return model


@torch.no_grad()
def from_hdc(hdc: HdcModel, crops: Crops, cfg: VaeConfig) -> Vae:
    """hdc's analysis and synthesis with a bottleneck chosen for `crops` between them.

    The bottleneck is a linear map on each side, and each becomes one with the 1x1 convolution that
    it meets, so that nothing is added. Raises RuntimeError if the sizes are not those of `hdc`.
    """
    steps = range(-(-MEASURED // crops.batch))
    y = torch.cat([hdc.lic.analysis(crops(k).cpu()).transpose(0, 1).flatten(1) for k in steps], 1)
    middle = y.mean(1)
    gain = hdc.lic.log_gain[-1].exp()  # of the highest quality
    into, back = bottleneck(torch.cov(y), gain, cfg.latent)
    ends, begins = hdc.lic.analysis.state_dict(), hdc.lic.synthesis.state_dict()
    last, first = ends["net.4.weight"].flatten(1), begins["coarse.0.weight"].flatten(1)
    ends["net.4.weight"] = (into @ last)[:, :, None, None]
    ends["net.4.bias"] = into @ (ends["net.4.bias"] - middle)
    begins["coarse.0.weight"] = (first @ back)[:, :, None, None]
    begins["coarse.0.bias"] = begins["coarse.0.bias"] + first @ middle
    vae = Vae(cfg)
    vae.encoder.load_state_dict(ends)
    vae.decoder.load_state_dict(begins)
    return vae


def bottleneck(covariance: Tensor, gain: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """Linear maps from C latents to `channels`, a power of two, of deviation 1, and back:
    channels x C and C x channels; `covariance` C x C, `gain` C.

    Principal components of the gained latents (whose rounding step of 1 says how finely hdc wants
    each), for an equal noise in all channels: components have power in proportion to their
    deviation, which is the best that linear maps can do (Lee and Petersen 1976), and a Hadamard
    matrix spreads them over all channels evenly. Their deviations would drown the last of them in
    noise, and equal powers the first. The way back is the pseudo-inverse.
    """
    scale = gain.double()
    values, vectors = torch.linalg.eigh(scale[:, None] * covariance.double() * scale)
    values, vectors = values.flip(0)[:channels].clamp(min=1e-12), vectors.flip(1)[:, :channels]
    mixed: Tensor = hadamard(channels) * values**-0.25
    deviation = (mixed.square() @ values).sqrt()
    mixed = mixed / deviation[:, None]
    into, back = mixed @ vectors.T * scale, vectors @ torch.linalg.inv(mixed) / scale[:, None]
    return into.float(), back.float()


def hadamard(side: int) -> Tensor:
    """Sylvester's orthogonal matrix, all of whose entries are as large; raises ValueError if `side`
    is no power of two."""
    if side < 1 or side & (side - 1):
        raise ValueError(f"{side} channels: not a power of two")
    matrix = torch.ones(1, 1, dtype=torch.float64)
    while len(matrix) < side:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    scaled: Tensor = matrix / side**0.5
    return scaled
