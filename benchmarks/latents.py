"""What the latents of sprdiff's codec say of pictures, beside hdc at as many bytes.

    python benchmarks/latents.py CHECKPOINT FOLDER --vae VAE --semantic SEMANTIC
        [--diffusion CHECKPOINT] [--whole] [--metric-weights DIR]
        [--qualities 0,50,100,150,200] [--limit N] [--sheet PNG]

CHECKPOINT is that of the stage `codec`, VAE and SEMANTIC those of `vae` and `semantic`; their
averaged networks are measured. For each quality index and picture: what the VAE makes of the coarse
estimate of its latents, and the coarse picture. No file is written: bits are those that the float
twins' Gaussians give the rounded symbols, and `FRAME` bytes. With a checkpoint of `diffuse` or
`finish` also samples of one, two and four steps, and one step without noise. With `--whole`
CHECKPOINT is that of the stage `whole-sprdiff`, which has a diffusion and a decoder of the VAE,
too. Then hdc's picture of at most as many bytes at fidelities 0 and 1. Prints a Markdown table of
means over the pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import torch
from measuring import table
from PIL import Image
from sampling import FAITHFUL, HDC, JUDGED, ROWS, SAMPLES, Trial, judged_row, middle
from torch import Tensor

from hdcodec.eval import picture_files
from hdcodec.eval.metrics import Reference
from hdcodec.images import load
from hdcodec.models.hdc.lic import STRIDE, uniform
from hdcodec.models.sprdiff.codec import LatentCodec
from hdcodec.models.sprdiff.config import DiffusionConfig, LatentCodecConfig
from hdcodec.models.sprdiff.diffusion import Diffusion, Reconstructed, Sampler, noise_of
from hdcodec.train.checkpoint import load_average
from hdcodec.train.codec import Encoders, load_codec, load_encoders
from hdcodec.train.latents import Frozen
from hdcodec.train.whole_sprdiff import PictureCodec

FRAME = 12
"""Bytes of header and checksum in a file of hdc."""

OWN, PICTURE = "own", "picture"
TITLES = ROWS | {
    OWN: "codec: coarse estimate through the VAE",
    PICTURE: "codec: coarse picture",
    **{row: f"codec: {ROWS[row]}" for row in SAMPLES},
}


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--vae", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--semantic", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--diffusion", type=click.Path(exists=True, path_type=Path))
@click.option("--whole", is_flag=True, help="CHECKPOINT is that of 'whole-sprdiff'.")
@click.option("--metric-weights", type=click.Path(exists=True, path_type=Path))
@click.option("--qualities", default="0,50,100,150,200", show_default=True)
@click.option("--limit", type=int, help="Use only the first N pictures.")
@click.option("--sheet", type=click.Path(path_type=Path), help="Writes the pictures' middles.")
def main(
    checkpoint: Path,
    folder: Path,
    vae: Path,
    semantic: Path,
    diffusion: Path | None,
    whole: bool,
    metric_weights: Path | None,
    qualities: str,
    limit: int | None,
    sheet: Path | None,
) -> None:
    """Print the table."""
    if whole and diffusion:
        raise click.UsageError("A checkpoint of --whole has a diffusion: --diffusion is one more.")
    encoders = load_encoders(vae, semantic, "cpu")
    if whole:
        own = whole_trial(checkpoint, encoders)
    else:
        own = OwnTrial(load_codec(checkpoint).eval(), encoders, diffusion and sampler(diffusion))
    beside = hdc_trial(encoders)
    weights = str(metric_weights) if metric_weights else None
    values: dict[tuple[int, str], list[list[float]]] = {}
    strips = []
    for path in picture_files(folder)[:limit]:
        image = load(path).rgb
        reference, strip = Reference(image, JUDGED, weights=weights), [image]
        for quality in map(int, qualities.split(",")):
            budget, pictures = own.pictures(image, quality)
            found = [(row, budget, picture) for row, picture in pictures.items()]
            found += [part[1:] for part in beside.pictures(image, [budget])]
            for row, bpp, picture in found:
                known = reference.compare(picture)
                values.setdefault((quality, row), []).append([bpp, *(known[n] for n in JUDGED)])
                strip.append(picture)
        strips.append(np.concatenate([middle(picture) for picture in strip], 1))
    click.echo(table([*lines(values)]))
    if sheet is not None:
        Image.fromarray(np.concatenate(strips)).save(sheet)


class OwnTrial:
    """The codec and its encoders, and a diffusion behind it."""

    def __init__(self, model: LatentCodec, encoders: Encoders, sampler: Sampler | None) -> None:
        self.model, self.encoders, self.sampler = model, encoders, sampler

    @torch.inference_mode()
    def pictures(self, image: Image.Image, quality: int) -> tuple[float, dict[str, Image.Image]]:
        """Bits per pixel, and the pictures by row."""
        x = padded(image)
        qindex = uniform(torch.tensor([quality]), x)
        coded = self.model.written(self.model.encode(self.encoders.encode(x), qindex), qindex)
        given = self.model.decode(coded.latent, qindex).given
        bits = float((coded.y_bits + coded.z_bits).sum()) + 8 * FRAME
        shown = {
            OWN: self.encoders.vae.decode(given.coarse),
            PICTURE: self.model.reconstruction.picture(given),
            **{row: self.encoders.vae.decode(z) for row, z in self.samples(given)},
        }
        pictures = {row: cut(pixels, image.size) for row, pixels in shown.items()}
        return bits / (image.width * image.height), pictures

    def samples(self, given: Reconstructed) -> Iterator[tuple[str, Tensor]]:
        """Latents of the VAE by row."""
        if self.sampler is not None:
            noise = noise_of(given.coarse)
            for row, (steps, noisy) in SAMPLES.items():
                yield row, self.sampler.sample(given, noise * noisy, steps)


def whole_trial(checkpoint: Path, encoders: Encoders) -> OwnTrial:
    """The averaged networks of a checkpoint of `whole-sprdiff`, whose decoder becomes that of the
    encoders' VAE."""
    codec, sampler = LatentCodec(LatentCodecConfig()), Sampler(DiffusionConfig())
    load_average(PictureCodec(codec, sampler, encoders.vae.decoder).eval(), checkpoint)
    return OwnTrial(codec, encoders, sampler)


def sampler(checkpoint: Path) -> Sampler:
    """The averaged networks of a checkpoint of `diffuse` or `finish`."""
    model = Sampler(DiffusionConfig())
    load_average(model, checkpoint)
    return model.eval()


def hdc_trial(encoders: Encoders) -> Trial:
    """What hdc makes of its files."""
    frozen = Frozen(encoders.lic, encoders.vae)
    return Trial(Diffusion(DiffusionConfig()).eval(), frozen, [HDC, FAITHFUL], seed=0)


def padded(image: Image.Image) -> Tensor:
    """Pixels 1 x 3 x H x W in [0, 1], edges repeated to multiples of 64."""
    right, below = (-side % STRIDE for side in image.size)
    pixels = np.pad(np.asarray(image), [(0, below), (0, right), (0, 0)], "edge")
    return torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255


def cut(pixels: Tensor, size: tuple[int, int]) -> Image.Image:
    """A picture of pixels 1 x 3 x H x W, of width and height."""
    levels = pixels[0].clamp(0, 1).mul(255).round().byte()
    return Image.fromarray(levels.permute(1, 2, 0).numpy()).crop((0, 0, *size))


def lines(values: dict[tuple[int, str], list[list[float]]]) -> Iterator[dict[str, object]]:
    """The lines of the table."""
    for (quality, row), found in values.items():
        yield {"quality index": quality, **judged_row(TITLES[row], found)}


if __name__ == "__main__":
    main()
