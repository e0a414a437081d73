"""What the latents of sprdiff's codec say of pictures, beside hdc at as many bytes.

    python benchmarks/latents.py CHECKPOINT FOLDER --vae VAE --semantic SEMANTIC
        [--diffusion CHECKPOINT] [--metric-weights DIR] [--qualities 0,50,100,150,200]
        [--limit N] [--sheet PNG]

CHECKPOINT is that of the stage `codec`, VAE and SEMANTIC those of `vae` and `semantic`; their
averaged networks are measured. For each quality index and picture: what the VAE makes of the coarse
estimate of its latents, and the coarse picture. No file is written: bits are those that the float
twins' Gaussians give the rounded symbols, and `FRAME` bytes. Then hdc's picture of at most as many
bytes at fidelities 0 and 1, and, of a checkpoint of `diffuse`, the coarse estimate that is made of
the same file. Prints a Markdown table of means over the pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import torch
from measuring import table
from PIL import Image
from sampling import COARSE, FAITHFUL, HDC, JUDGED, ROWS, Trial, judged_row, middle
from torch import Tensor

from hdcodec.eval import picture_files
from hdcodec.eval.metrics import Reference
from hdcodec.images import load
from hdcodec.models.hdc.lic import STRIDE, uniform
from hdcodec.models.sprdiff.codec import LatentCodec
from hdcodec.models.sprdiff.config import DiffusionConfig
from hdcodec.models.sprdiff.diffusion import Diffusion
from hdcodec.train.codec import Encoders, load_codec, load_encoders
from hdcodec.train.diffuse import load_diffusion
from hdcodec.train.latents import Frozen

FRAME = 12
"""Bytes of header and checksum in a file of hdc."""

OWN, PICTURE = "own", "picture"
TITLES = ROWS | {
    OWN: "codec: coarse estimate through the VAE",
    PICTURE: "codec: coarse picture",
    COARSE: "hdc's file: coarse estimate through the VAE",
}


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--vae", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--semantic", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--diffusion", type=click.Path(exists=True, path_type=Path))
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
    metric_weights: Path | None,
    qualities: str,
    limit: int | None,
    sheet: Path | None,
) -> None:
    """Print the table."""
    encoders = load_encoders(vae, semantic, "cpu")
    own = OwnTrial(load_codec(checkpoint).eval(), encoders)
    beside = hdc_trial(diffusion, encoders)
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
    """The codec and its encoders."""

    def __init__(self, model: LatentCodec, encoders: Encoders) -> None:
        self.model, self.encoders = model, encoders

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
        }
        pictures = {row: cut(pixels, image.size) for row, pixels in shown.items()}
        return bits / (image.width * image.height), pictures


def hdc_trial(diffusion: Path | None, encoders: Encoders) -> Trial:
    """What is made of hdc's files, with or without a diffusion."""
    model = load_diffusion(diffusion) if diffusion else Diffusion(DiffusionConfig())
    rows = [HDC, FAITHFUL, COARSE] if diffusion else [HDC, FAITHFUL]
    return Trial(model.eval(), Frozen(encoders.lic, encoders.vae), rows, seed=0)


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
