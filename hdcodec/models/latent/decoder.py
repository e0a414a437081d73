"""A decoder whose features are corrected by those of a picture that is already there.

The correction is CodeFormer's controllable feature transformation, with features of the LIC image
in place of the encoder's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import Block, Patches, PixelHead, down, up
from .layers import Pointwise
from .sizes import DecoderConfig


class LicFeatures(nn.Module):
    """Features of the LIC stream at 1/8 and 1/16, for correction and index prediction.

    They come from the LIC image and from the features that its base was made of.
    """

    def __init__(self, cfg: DecoderConfig) -> None:
        super().__init__()
        self.eighth = nn.Sequential(Patches(cfg.detail), Block(cfg.detail))
        self.synthesis = Pointwise(cfg.seen, cfg.detail)
        nn.init.zeros_(self.synthesis.weight)
        self.sixteenth = nn.Sequential(down(cfg.detail, cfg.sixteenth), Block(cfg.sixteenth))

    def forward(self, x_lic: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """`x_lic` N x 3 x H x W, `features` of the synthesis N x detail_width x H/8 x W/8."""
        patches, block = self.eighth
        eighth = block(patches(x_lic) + self.synthesis(features))
        return eighth, self.sixteenth(eighth)


class Texture(nn.Module):
    """x + (1 - w) * (strength by x) * noise: what no decoder can know, in place of a repetition.

    A network that has nothing to go by draws the same eight pixels again and again; noise tells its
    positions apart (per-layer noise of StyleGAN, Karras et al. 2019, with a strength by place).
    """

    def __init__(self, channels: int, noise: int, fold: int) -> None:
        super().__init__()
        self.fold = fold
        self.strength = Pointwise(channels, channels)
        self.noise = Pointwise(noise // fold**2, channels, bias=False)
        nn.init.zeros_(self.noise.weight)

    @torch.no_grad()
    def wake(self, strength: float) -> None:
        """Noise of this strength everywhere, to begin to learn with: since noise and its negative
        are as likely, a strength of 0 is where no gradient leads away from."""
        self.strength.weight.zero_()
        nn.init.constant_(self.strength.bias, strength)  # type: ignore[arg-type]
        nn.init.normal_(self.noise.weight, std=self.noise.in_channels**-0.5)

    def forward(self, x: Tensor, noise: Tensor, fidelity: Tensor) -> Tensor:
        """`x` N x channels x H x W, `noise` N x noise x H/fold x W/fold, `fidelity` N x 1 x 1 x
        1."""
        grain = self.noise(F.pixel_shuffle(noise, self.fold))
        y: Tensor = x + (1 - fidelity) * self.strength(x) * grain
        return y


class Correction(nn.Module):
    """dec + s(w) * (dec * scale + shift), scale and shift from decoder and LIC features.

    The strength s of each channel runs linearly between two learned values as the fidelity w goes
    from 0 to 1.
    """

    def __init__(self, channels: int, lic_channels: int) -> None:
        super().__init__()
        self.enter = Pointwise(channels + lic_channels, channels)
        self.leave = Pointwise(channels, 2 * channels)
        self.strength = nn.Parameter(torch.tensor([[0.5] * channels, [1.0] * channels]))
        with torch.no_grad():
            self.leave.weight.mul_(0.2)

    def forward(self, x: Tensor, lic: Tensor, fidelity: Tensor) -> Tensor:
        """`x` N x channels x H x W, `lic` N x lic_channels x H x W, `fidelity` N x 1 x 1 x 1."""
        scale, shift = self.leave(F.leaky_relu(self.enter(torch.cat([x, lic], 1)), 0.1)).chunk(2, 1)
        low, high = self.strength[:, None, :, None, None]
        y: Tensor = x + (low + fidelity * (high - low)) * (x * scale + shift)
        return y


class CorrectedDecoder(nn.Module):
    """Vectors at 1/16 -> picture: each scale is corrected by features of the LIC stream, and what
    comes of it is added to the LIC image."""

    def __init__(self, cfg: DecoderConfig) -> None:
        super().__init__()
        w, d = cfg.width, cfg.detail
        self.enter = Pointwise(cfg.vectors, w)
        self.coarse = nn.ModuleList(Block(w) for _ in range(cfg.depth))
        self.coarse_fix = nn.ModuleList(Correction(w, cfg.sixteenth) for _ in range(2))
        self.up = up(w, d)
        self.detail = nn.ModuleList(Block(d) for _ in range(cfg.detail_depth))
        self.detail_fix = nn.ModuleList(Correction(d, d) for _ in range(2))
        self.fused_head = PixelHead(d, zero=True, depth=cfg.head_depth)
        self.grain: Texture | None = None
        self.coarse_grain: Texture | None = None

    def corrected(
        self,
        codes: Tensor,
        lic: tuple[Tensor, Tensor, Tensor],
        fidelity: Tensor,
        noise: Tensor | None = None,
    ) -> Tensor:
        """`codes` N x vectors x h x w; `lic` the LIC image and its features at 1/8 and 1/16;
        `fidelity` N x 1 x 1 x 1 in [0, 1]; `noise` N x 2 * drv x h/2 x w/2 for decoders with
        textures. Returns N x 3 x 16h x 16w, not clipped."""
        x_lic, eighth, sixteenth = lic
        x = self.coarse_fix[0](self.enter(codes), sixteenth, fidelity)
        for block in self.coarse:
            x = block(x)
        x = self.up(self.coarse_fix[1](x, sixteenth, fidelity))
        x = self.detail_fix[0](x, eighth, fidelity)
        if noise is not None and self.coarse_grain is not None:
            x = self.coarse_grain(x, noise, fidelity)
        for block in self.detail:
            x = block(x)
        x = self.fused_head.quarter(self.detail_fix[1](x, eighth, fidelity))
        if noise is not None and self.grain is not None:
            x = self.grain(x, noise, fidelity)
        y: Tensor = x_lic + self.fused_head.pixels(x)
        return y
