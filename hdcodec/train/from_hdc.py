"""What sprdiff's networks begin with: hdc's, as they are landed.

The codec's latents are hdc's of 2 x 2 positions as their principal components, out of which hdc's
own latents come back: nearly all that the 384 numbers say lies in some thirty directions, so
latents at 1/32 lose nothing at first. The decoder is that of hdc's VQ stream.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hdcodec.models.hdc.lic import Lic
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.latent.blocks import Block
from hdcodec.models.latent.coding import interpolate, uniform
from hdcodec.models.latent.distortion import LAMBDA, trade_off
from hdcodec.models.latent.layers import Pointwise, Unshuffle
from hdcodec.models.latent.qualities import QUALITIES
from hdcodec.models.latent.sizes import DecoderConfig
from hdcodec.models.sprdiff.codec import LatentCodec
from hdcodec.models.sprdiff.decoder import PictureDecoder

REFERENCE = 50
"""Quality index of hdc, in whose rounding steps errors of its latents count: about .013 bits per
pixel."""


@torch.no_grad()
def begin_as_hdc(model: LatentCodec, lic: Lic, features: Tensor, ends: tuple[float, float]) -> None:
    """Set the layers around a codec's blocks so that hdc's latents pass, while the blocks pass on
    what they get, and have its synthesis be that of `lic`.

    `features` N x C x h x w are of hdc's analysis, sides even; `ends` what distortion counts at the
    lowest and the highest quality. Raises RuntimeError if the sizes are not those of hdc.
    """
    step, last = gains_of(lic, REFERENCE), lic.analysis.last
    y = Unshuffle(2)(last(features).float() * step[:, None, None])
    mean, components = principal(y, model.cfg.latent)
    fusion, reconstruction = model.fusion, model.reconstruction
    reconstruction.synthesis.load_state_dict(lic.synthesis.state_dict())
    for module in (*fusion.modules(), *reconstruction.deep.modules()):
        if isinstance(module, Block):
            module.pass_on()
    vae, distortion, semantic = fusion.enter
    lead(vae, torch.zeros(len(step), model.cfg.vae))
    lead(semantic, torch.zeros(len(step), model.cfg.semantic))
    lead(distortion, last.weight.flatten(1) * step[:, None], step * last.state_dict()["bias"])
    lead(fusion.get_submodule("net.1.1"), components, -components @ mean)
    lead(fusion.get_submodule("net.3"), torch.eye(len(components)))
    lead(reconstruction.enter, torch.eye(len(components)))
    steps = step.repeat_interleave(4)
    back = reconstruction.get_submodule("deep.1.0")
    lead(back, components.T / steps[:, None], mean / steps)
    model.log_gain.copy_(log_gains(lic, components, model.cfg.levels, ends))


def gains_of(lic: Lic, qindex: float) -> Tensor:
    """hdc's gains at a quality index, one for each channel."""
    index = torch.full((1, 1, 1), qindex, device=lic.log_gain.device)
    return interpolate(lic.log_gain, index).exp().flatten()


def principal(y: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean and principal components, the strongest first, of N x C x h x w: C and count x C."""
    rows = y.transpose(0, 1).flatten(1)
    _, vectors = torch.linalg.eigh(torch.cov(rows.double()))
    return rows.mean(1), vectors.flip(1)[:, :count].T.float()


def log_gains(lic: Lic, components: Tensor, levels: int, ends: tuple[float, float]) -> Tensor:
    """Logarithms of the gains of components, levels x count: those of the latents that each is made
    of, at the quality of hdc at which distortion counts as much. Beyond hdc's lowest they grow with
    the root of what it counts."""
    reference, rows = gains_of(lic, REFERENCE), []
    for qindex in torch.linspace(0, QUALITIES - 1, levels):
        worth = math.log(float(trade_off(qindex, ends)) / LAMBDA[0])
        alike = (QUALITIES - 1) * worth / math.log(LAMBDA[1] / LAMBDA[0])
        ratio = (gains_of(lic, max(0.0, alike)) / reference).repeat_interleave(4)
        power = components.square() @ ratio.square()
        rows.append(0.5 * (power.log() + min(0.0, worth)))
    return torch.stack(rows)


def lead(layer: nn.Module, weight: Tensor, bias: Tensor | None = None) -> None:
    """Set a layer so that its first outputs are `weight`, rows x columns, times its first inputs,
    plus `bias`; the other inputs do not count for them."""
    rows, columns = weight.shape
    assert isinstance(layer, Pointwise) and layer.bias is not None
    layer.weight[:rows] = 0
    layer.weight[:rows, :columns] = weight[:, :, None, None]
    layer.bias[:rows] = 0 if bias is None else bias


@torch.no_grad()
def decoder_of(hdc: HdcModel, x: Tensor, z: Tensor, cfg: DecoderConfig) -> PictureDecoder:
    """hdc's enhancer, as a mean DRV has it, and VQ decoder, which takes the VAE's latents for the
    codewords that these foretell best: by least squares, from pictures `x` N x 3 x H x W and their
    latents `z`. Raises RuntimeError if the sizes are not those of hdc."""
    decoder, codes = PictureDecoder(cfg), codes_of(hdc, x)
    refinement, enhancer = decoder.refinement, hdc.enhancer
    refinement.blocks.load_state_dict(enhancer.blocks.state_dict())
    refinement.head.load_state_dict(enhancer.head.state_dict())
    drv = decoded(hdc, x)[2].mean((0, 2, 3))[None, :, None, None]
    affine = torch.stack([layer(drv) for layer in enhancer.modulate])
    refinement.affine.copy_(affine.view(refinement.affine.shape))
    decoder.features.load_state_dict(hdc.lic_features.state_dict())
    known = hdc.vq_decoder.state_dict()
    names = decoder.corrected.state_dict().keys() - {"enter.weight"}
    own = {"enter.weight": decoder.corrected.enter.weight}
    decoder.corrected.load_state_dict({name: known[name] for name in names} | own)
    rows = [part.float().transpose(0, 1).flatten(1).T for part in (z, codes)]
    given = torch.cat([rows[0], torch.ones_like(rows[0][:, :1])], 1)
    found = torch.linalg.lstsq(given.cpu(), rows[1].cpu()).solution.T.to(z.device)
    enter = hdc.vq_decoder.enter.weight.flatten(1)
    decoder.corrected.enter.weight.copy_((enter @ found[:, :-1])[:, :, None, None])
    decoder.corrected.enter.bias += enter @ found[:, -1]
    return decoder


def codes_of(hdc: HdcModel, x: Tensor) -> Tensor:
    """The codewords that hdc expects where a file of `REFERENCE` holds none, N x code_dim x H/16 x
    W/16."""
    base, features, first, second = decoded(hdc, x)
    _, sixteenth = hdc.lic_features(hdc.enhancer(base, features, first), features)
    none = torch.zeros_like(sixteenth[:, :1], dtype=torch.bool)
    return hdc.complete(none[:, 0].long(), none, sixteenth, second)


def decoded(hdc: HdcModel, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of files of `REFERENCE`: base images, the features that they are made of, both DRVs."""
    qindex = uniform(torch.full((len(x),), REFERENCE, device=x.device), x)
    latent = hdc.lic.written(hdc.lic.analysis(x) * hdc.lic.gain(qindex), qindex).latent
    base, features = hdc.lic.decode(latent, qindex)
    grid = (x.shape[2] // 32, x.shape[3] // 32)
    noise = x.new_zeros(len(x), 2 * hdc.cfg.drv, *grid)
    return base, features, *hdc.sample_drvs(features, noise)
