"""The stage `draw` of hdc: its decoder learns to draw what a file leaves open.

Files stay as they are: encoder, entropy networks, synthesis and LIC image are frozen. At low
fidelities Wasserstein distortion takes the place of half of LPIPS, beside DISTS. It compares local
means and deviations of VGG's maps, so noise that is given a texture's strength and shape is worth
as much to it as the texture itself, where every other loss here wants a mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hdcodec.models.hdc.config import Config
from hdcodec.models.hdc.drv import sample
from hdcodec.models.hdc.model import HdcModel, mix_codes
from hdcodec.models.latent.distortion import MSE_WEIGHT
from hdcodec.perceptual import DISTS, LPIPS, patterns, turned, wasserstein

from .draws import normal, random_fidelity, random_keep
from .figures import Figures, mean, psnr
from .labeller import Labeller, play
from .loop import Loss
from .realism import DISTS_WEIGHT
from .terms import LPIPS_WEIGHT, Decoded, decode, most_uncertain, perceived, squared_error, tokens

SKEW = 1.5
"""Qualities are spread as uniform numbers raised to this power: low ones lack textures."""

UNFAITHFUL = 0.5
"""Part of each batch that is decoded at fidelity 0."""

SEEN = 0.75
"""Part of each batch, the least faithful, that VGG sees: it takes three quarters of a step."""

SQUARED_SHARE = 0.1
LPIPS_SHARE = 0.5
"""Weights at fidelity 0, of those of the other stages."""

STATISTICS_WEIGHT = 1.5
PATTERN_WEIGHT = 0.3
LABEL_WEIGHT = 0.05

GRAIN = 0.15
"""Strength of the noise at the start: two pictures of one file differ by some 2.5 levels of 255."""


class Drawing(nn.Module):
    """What judges textures: DISTS and Wasserstein distortion of the same maps of VGG, and a
    discriminator that looks at these too."""

    def __init__(self, dists: DISTS, cfg: Config) -> None:
        super().__init__()
        self.dists = dists.requires_grad_(False)
        self.labeller = Labeller(dists.sizes[2:5], cfg.latent, cfg.codes)

    def players(self) -> Labeller:
        """What learns here."""
        return self.labeller

    def maps(self, picture: Tensor, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Pictures N x 3 x H x W and their maps, of decoded ones and of originals."""
        with torch.no_grad():
            original = self.dists.features(x)
        return self.dists.features(picture.clamp(-0.05, 1.05)), original


def draw_loss(model: HdcModel, lpips: LPIPS, judges: Drawing) -> Loss:
    """What pictures lose to the eye, more of it by statistics the less faithful they are to be.
    The same in every step."""
    wake(model)

    def loss(x: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
        lic = decode(model, x, generator, power=SKEW)
        fidelity = random_fidelity(x, generator)
        fidelity[: round(UNFAITHFUL * len(x))] = 0
        picture = drawn(model, x, lic, fidelity, generator)
        w = fidelity.flatten()
        mse, seen = squared_error(picture, x), perceived(lpips, picture, x, generator)
        repeated = patterns(picture, x)
        total = distortion(mse, seen, w) + PATTERN_WEIGHT * repeated
        chosen = w.argsort()[: max(1, round(SEEN * len(x)))]
        latent = (lic.latent / model.lic.gain(lic.qindex))[chosen]
        critic, pull, figures = judged(model, judges, picture[chosen], x[chosen], latent, generator)
        pulled = ((1 - w[chosen]) * pull).sum() / len(x)
        return critic + total.mean() + pulled, {
            "out_db": psnr(mse, w == 0),
            "out_lpips": mean(seen, w == 0),
            "patterns": mean(repeated),
            **figures,
        }

    return loss


def distortion(mse: Tensor, seen: Tensor, fidelity: Tensor) -> Tensor:
    """What squared error and LPIPS count with each of N pictures."""
    low = LPIPS_SHARE * LPIPS_WEIGHT[0]
    squared = MSE_WEIGHT * (SQUARED_SHARE + (1 - SQUARED_SHARE) * fidelity) * mse
    return squared + (low + fidelity * (LPIPS_WEIGHT[1] - low)) * seen


def judged(
    model: HdcModel,
    judges: Drawing,
    picture: Tensor,
    x: Tensor,
    latent: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Figures]:
    """The discriminator's loss, and what each of N pictures lacks as a texture, all of them turned
    at random. `latent` N x latent x H/16 x W/16, without gain."""
    orientation = generator.get_state()
    shown, wanted = turned(torch.cat([picture, x]), generator).chunk(2)
    generator.set_state(orientation)
    latent = turned(latent, generator)
    fake, real = judges.maps(shown, wanted)
    alike, statistics = judges.dists.distance(fake, real), wasserstein(fake[1:5], real[1:5])
    names = tokens(model, wanted, torch.full_like(wanted, 0.5))
    critic, fooled = play(judges.labeller, fake[2:5], real[2:5], latent, names, generator)
    pull = DISTS_WEIGHT * alike + STATISTICS_WEIGHT * statistics
    return (
        critic,
        pull + LABEL_WEIGHT * fooled,
        {
            "dists": mean(alike),
            "statistics": mean(statistics),
            "critic": critic.detach(),
            "fooled": mean(fooled),
        },
    )


def drawn(
    model: HdcModel, x: Tensor, lic: Decoded, fidelity: Tensor, generator: torch.Generator
) -> Tensor:
    """The decoder's pictures, N x 3 x H x W, of a random share of indices, in one denoising step;
    the LIC image within is a constant. `fidelity` N x 1 x 1 x 1."""
    shape = (len(x), 2 * model.cfg.drv, x.shape[2] // 32, x.shape[3] // 32)
    noise = normal(x, shape, generator)
    with torch.no_grad():
        condition = model.condition(lic.features)
        first = sample(model.denoisers[0], condition, noise.chunk(2, 1)[0], 1)  # type: ignore[arg-type]
        base = model.enhancer(lic.base, lic.features, first)
        indices = tokens(model, x, lic.base)
        logits = model.prior(lic.latent, lic.hyper).float()
    kept = most_uncertain(logits, random_keep(x, generator))
    second = sample(model.denoisers[1], condition, noise.chunk(2, 1)[1], 1)  # type: ignore[arg-type]
    eighth, sixteenth = model.lic_features(base, lic.features)
    codes = model.codebook.lookup(indices)
    guess = model.predictor(codes, kept, sixteenth, second)
    mixed = mix_codes(codes, kept, guess, model.codebook.vectors())
    picture: Tensor = model.vq_decoder(mixed, (base, eighth, sixteenth), fidelity, noise)
    return picture


def wake(model: HdcModel) -> None:
    """Give a decoder that has not learnt to use the noise at 1/8 some to begin with, at both
    scales."""
    fine, coarse = model.vq_decoder.grain, model.vq_decoder.coarse_grain
    if fine is not None and coarse is not None and not coarse.noise.weight.any():
        fine.wake(GRAIN)
        coarse.wake(GRAIN)
