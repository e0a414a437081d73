"""Tokens for what latents leave open: vectors at 1/32, whitened by context, named by small books.

Context comes before quantisation. A network foretells from the decoded latents the mean and the
deviation of each vector that the encoder would like to send, so an index says only what these
cannot: residual vector quantisation of whitened vectors is as good as scalar latents, where vectors
quantised first and foretold later are not (EF-LIC, 2025). The first code of each book is 0; where
all indices are 0 the picture is what it is without tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hdcodec.models.latent.blocks import Block, down, up
from hdcodec.models.latent.layers import Pointwise
from hdcodec.models.latent.sizes import Sizes

from .config import Config

TEMPERATURE = 0.1
"""Of the soft choice of a code, by the mean squared distance of its numbers."""

SIZES = (0.7, 0.5)
"""Deviation of the codes' numbers in the first book and the next ones before training: so most
vectors are nearer to a code than to 0."""

POWER, PACE = 0.01, 0.02
"""Mean square of what is to be sent before training, and the part by which each batch moves what
is known of it."""

SPREAD = 3.0
"""By how much the deviation of a vector may be foretold to differ from that of all."""


@dataclass(frozen=True)
class TokenConfig(Sizes):
    """`books` in turn of `codes` vectors of `dim` numbers; channels of the networks."""

    width: int = 160
    dim: int = 24
    codes: int = 32
    books: int = 2


class Known(NamedTuple):
    """What the decoder knows before it reads tokens: N x width x H/16 x W/16, N x width x H/32 x
    W/32, and of each vector the mean and the deviation, N x dim x H/32 x W/32, the latter in parts
    of that of all."""

    fine: Tensor
    coarse: Tensor
    mean: Tensor
    spread: Tensor


class Quantised(NamedTuple):
    """Vectors by their indices.

    `indices` int64 N x books x h x w; `vectors` N x dim x h x w, whitened, whose gradient goes
    straight through; `bits` of the indices, N x books x h x w, and `soft_bits` those of the soft
    choice, which has a gradient; `commitment`, how far vectors and codes are from each other.
    """

    indices: Tensor
    vectors: Tensor
    bits: Tensor
    soft_bits: Tensor
    commitment: Tensor


class Book(nn.Module):
    """Codes, and how likely each is where so much is known."""

    def __init__(self, cfg: TokenConfig, size: float) -> None:
        super().__init__()
        self.codes = nn.Parameter(size * torch.randn(cfg.codes - 1, cfg.dim))
        self.prior = nn.Sequential(
            Pointwise(cfg.width + cfg.dim, cfg.width),
            nn.LeakyReLU(0.1),
            Pointwise(cfg.width, cfg.codes),
        )

    def vectors(self) -> Tensor:
        """All codes, codes x dim, the first of them 0."""
        return torch.cat([torch.zeros_like(self.codes[:1]), self.codes])

    def log_chances(self, known: Known, before: Tensor) -> Tensor:
        """Of each code, N x codes x h x w; `before` are the vectors by the books before."""
        logits = self.prior(torch.cat([known.coarse, before.to(known.coarse.dtype)], 1))
        chances: Tensor = logits.float().log_softmax(1)
        return chances


class ResidualTokens(nn.Module):
    """Encoder, books and decoder of the tokens; a subclass says what the decoder's answer changes.

    The encoder knows the features that hdc's latents are made of, `seen`, and what the decoded
    latents have missed, with gain. Two buffers are of training alone and go with a checkpoint:
    `worth`, what distortion counts beside the usual; `felt`, what the synthesis feels of each
    channel of latents without gain, 1 on average. `power` is the mean square of each number that is
    to be sent, less its mean, as training has seen it: vectors are in parts of its root, or they
    would grow without end.
    """

    OWN: tuple[str, ...] = ()
    """How the names of a subclass's own parts begin."""

    worth: Tensor
    felt: Tensor
    power: Tensor

    def __init__(self, cfg: TokenConfig, hdc: Config) -> None:
        super().__init__()
        self.cfg = cfg
        self.register_buffer("worth", torch.tensor(1.0))
        self.register_buffer("felt", torch.ones(hdc.latent))
        self.register_buffer("power", torch.full((cfg.dim,), POWER))
        w = cfg.width
        self.context = nn.Sequential(Pointwise(hdc.latent + hdc.context, w), Block(w))
        self.summary = nn.Sequential(down(w, w), Block(w), Block(w))
        self.moments = Pointwise(w, 2 * cfg.dim)
        self.enter = Pointwise(hdc.analysis_width + 64 + hdc.latent, w)
        self.encoder = nn.Sequential(Block(w), Block(w), down(w, w), Block(w), Block(w))
        self.leave = Pointwise(w, cfg.dim)
        self.books = nn.ModuleList(Book(cfg, SIZES[min(k, 1)]) for k in range(cfg.books))
        self.back = Pointwise(cfg.dim, w, bias=False)
        self.merge = nn.Sequential(Block(w), up(w, w))
        self.refine = nn.Sequential(Block(w), Block(w))

    def known(self, latent: Tensor, hyper: Tensor) -> Known:
        """Decoded latents N x latent x H/16 x W/16, with gain, and hyper features."""
        fine = self.context(torch.cat([latent.to(hyper.dtype), hyper], 1))
        coarse = self.summary(fine)
        mean, spread = self.moments(coarse).float().chunk(2, 1)
        return Known(fine, coarse, mean, (math.log(SPREAD) * spread.tanh()).exp())

    def whitened(self, seen: Tensor, missed: Tensor, known: Known) -> Tensor:
        """What is to be sent, in deviations from what is foretold: N x dim x H/32 x W/32."""
        both = torch.cat([seen, missed.to(seen.dtype)], 1)
        wanted = self.leave(self.encoder(self.enter(both) + known.fine)).float()
        off = wanted - known.mean
        if self.training:
            self.power.lerp_(off.detach().square().mean((0, 2, 3)), PACE)
        y: Tensor = off / (known.spread * self.power.sqrt()[:, None, None])
        return y

    def named(self, whitened: Tensor, known: Known) -> Quantised:
        """Each vector by the nearest code of the first book, what is left by that of the next."""
        rest, total = whitened, torch.zeros_like(whitened)
        indices, bits, soft_bits = [], [], []
        commitment = whitened.new_zeros(())
        for book in self.books:
            codes = book.vectors()  # type: ignore[operator]
            chances = book.log_chances(known, total.detach())  # type: ignore[operator]
            distance = square_distances(rest, codes)
            chosen = distance.argmin(1)
            soft = (distance / (-TEMPERATURE * self.cfg.dim)).softmax(1)
            soft_bits.append(-(soft * chances).sum(1) / math.log(2))
            bits.append(-chances.detach().gather(1, chosen[:, None])[:, 0] / math.log(2))
            code = codes[chosen].permute(0, 3, 1, 2)
            commitment = commitment + (code - rest.detach()).square().mean()
            commitment = commitment + 0.25 * (rest - code.detach()).square().mean()
            total, rest = total + code, rest - code.detach()
            indices.append(chosen)
        through = whitened + (total - whitened).detach()
        return Quantised(
            torch.stack(indices, 1),
            through,
            torch.stack(bits, 1),
            torch.stack(soft_bits, 1),
            commitment,
        )

    def guessed(self, known: Known) -> Tensor:
        """Vectors of the likeliest codes, N x dim x h x w, whitened: what is known without bits."""
        total = torch.zeros_like(known.mean)
        for book in self.books:
            chosen = book.log_chances(known, total).argmax(1)  # type: ignore[operator]
            codes = book.vectors()[chosen]  # type: ignore[operator]
            total = total + codes.permute(0, 3, 1, 2)
        return total

    def answer(self, known: Known, vectors: Tensor) -> Tensor:
        """What whitened vectors say, N x width x H/16 x W/16: 0 where they are 0 all around."""
        said = self.back((vectors * known.spread).to(known.coarse.dtype))
        with_tokens, without = (
            self.refine(known.fine + self.merge(x)) for x in (known.coarse + said, known.coarse)
        )
        y: Tensor = with_tokens - without
        return y


def square_distances(x: Tensor, codes: Tensor) -> Tensor:
    """Of vectors N x dim x h x w from codes K x dim: N x K x h x w."""
    flat = x.permute(0, 2, 3, 1)
    square = flat.square().sum(-1, keepdim=True) + codes.square().sum(1)
    return (square - 2 * flat @ codes.t()).permute(0, 3, 1, 2)


class LatentTokens(ResidualTokens):
    """Tokens that correct latents, before the synthesis."""

    OWN = ("change.",)

    def __init__(self, cfg: TokenConfig, hdc: Config) -> None:
        super().__init__(cfg, hdc)
        self.change = small(Pointwise(cfg.width, hdc.latent, bias=False))

    def changes(self, known: Known, vectors: Tensor) -> Tensor:
        """What is added to latents without gain, N x latent x H/16 x W/16."""
        y: Tensor = self.change(self.answer(known, vectors)).float()
        return y


class FeatureTokens(ResidualTokens):
    """Tokens that speak to the VQ decoder alone, beside the LIC stream's features."""

    OWN = ("sixteenth.", "enlarge.", "eighth.")

    def __init__(self, cfg: TokenConfig, hdc: Config) -> None:
        super().__init__(cfg, hdc)
        w = cfg.width
        self.sixteenth = small(Pointwise(w, hdc.predictor_width, bias=False))
        self.enlarge = up(w, w)
        self.eighth = small(Pointwise(w, hdc.decoder_detail, bias=False))

    def changes(self, known: Known, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """What is added to the features at 1/8, N x decoder_detail x H/8 x W/8, and at 1/16, N x
        predictor_width x H/16 x W/16."""
        said = self.answer(known, vectors)
        enlarged = self.enlarge(said) - self.enlarge(torch.zeros_like(said))
        return self.eighth(enlarged), self.sixteenth(said)


def small(layer: Pointwise) -> Pointwise:
    """The layer, whose answer is small before it is trained, not 0: vectors have a gradient."""
    with torch.no_grad():
        layer.weight.mul_(0.5)
    return layer
