"""What the latents of sprdiff's codec say of pictures, beside hdc at as many bytes.

    python benchmarks/latents.py CHECKPOINT FOLDER --vae VAE --semantic SEMANTIC
        [--metric-weights DIR] [--qualities 0,50,100,150,200] [--limit N]

CHECKPOINT is that of the stage `codec`, VAE and SEMANTIC those of `vae` and `semantic`; their
averaged networks are measured. For each quality index and picture: the coarse picture, and what the
VAE makes of the coarse estimate of its latents. No file is written: bits are those that the float
twins' Gaussians give the rounded symbols, and `FRAME` bytes. Then hdc's picture of at most as many
bytes at fidelities 0 and 1. Prints a Markdown table of means over the pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import torch
from measuring import run_command, table
from PIL import Image
from torch import Tensor

from hdcodec import Codec
from hdcodec.eval import picture_files
from hdcodec.eval.metrics import METRICS, Reference
from hdcodec.images import load
from hdcodec.models.latent.coding import CodedBatch, uniform
from hdcodec.models.latent.qualities import STRIDE
from hdcodec.models.sprdiff.codec import LatentCodec
from hdcodec.train.codec import Encoders, load_codec, load_encoders

JUDGED = ("psnr", "lpips_alex", "dists", "wd")
FRAME = 12
"""Bytes of header and checksum in a file of hdc."""

FIDELITIES = {"hdc, fidelity 0": 0.0, "hdc, fidelity 1": 1.0}


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--vae", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--semantic", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--metric-weights", type=click.Path(exists=True))
@click.option("--qualities", default="0,50,100,150,200", show_default=True)
@click.option("--limit", type=int, help="Use only the first N pictures.")
def main(
    checkpoint: Path,
    folder: Path,
    vae: Path,
    semantic: Path,
    metric_weights: str | None,
    qualities: str,
    limit: int | None,
) -> None:
    """Print the table."""
    encoders, codec = load_encoders(vae, semantic, "cpu"), load_codec(checkpoint).eval()
    hdc, values = Codec("hdc"), dict[tuple[int, str], list[list[float]]]()
    for path in picture_files(folder)[:limit]:
        image = load(path).rgb
        reference = Reference(image, JUDGED, weights=metric_weights)
        for quality in map(int, qualities.split(",")):
            bpp, own = own_pictures(codec, encoders, image, quality)
            shown = [(row, bpp, picture) for row, picture in own.items()]
            for row, rate, picture in [*shown, *hdc_pictures(hdc, image, bpp)]:
                known = reference.compare(picture)
                values.setdefault((quality, row), []).append([rate, *(known[n] for n in JUDGED)])
    lines = [{"quality index": q, **judged_row(row, v)} for (q, row), v in values.items()]
    click.echo(table(lines))


@torch.inference_mode()
def own_pictures(
    codec: LatentCodec, encoders: Encoders, image: Image.Image, quality: int
) -> tuple[float, dict[str, Image.Image]]:
    """Bits per pixel, and the pictures by row."""
    x = padded(image)
    qindex = uniform(torch.tensor([quality]), x)
    coded = codec.written(codec.encode(encoders.encode(x), qindex), qindex)
    given = codec.decode(coded.latent, qindex).given
    shown = {
        "coarse picture": codec.reconstruction.picture(given),
        "coarse estimate through the VAE": encoders.vae.decode(given.coarse),
    }
    pictures = {row: cut(pixels, image.size) for row, pixels in shown.items()}
    return bits(coded) / (image.width * image.height), pictures


def hdc_pictures(
    codec: Codec, image: Image.Image, bpp: float
) -> Iterator[tuple[str, float, Image.Image]]:
    """Row, bits per pixel and picture of hdc's file of at most `bpp`."""
    box = codec.encode(image, bpp=bpp, protect="none")
    for row, fidelity in FIDELITIES.items():
        yield row, box.bpp, codec.decode(box, fidelity=fidelity)


def bits(coded: CodedBatch) -> float:
    """Of a file."""
    return float((coded.y_bits + coded.z_bits).sum()) + 8 * FRAME


def padded(image: Image.Image) -> Tensor:
    """Pixels 1 x 3 x H x W in [0, 1], edges repeated to multiples of 64."""
    right, below = (-side % STRIDE for side in image.size)
    pixels = np.pad(np.asarray(image), [(0, below), (0, right), (0, 0)], "edge")
    return torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255


def cut(pixels: Tensor, size: tuple[int, int]) -> Image.Image:
    """A picture of pixels 1 x 3 x H x W, of width and height."""
    levels = pixels[0].clamp(0, 1).mul(255).round().byte()
    return Image.fromarray(levels.permute(1, 2, 0).numpy()).crop((0, 0, *size))


def judged_row(title: str, found: list[list[float]]) -> dict[str, object]:
    """Means over the pictures of bits per pixel and of what is `JUDGED`."""
    bpp, *means = np.mean(found, 0)
    digits = {name: 2 if name == "psnr" else 3 for name in JUDGED}
    shown = {
        METRICS[name].title: f"{value:.{digits[name]}f}"
        for name, value in zip(JUDGED, means, strict=True)
    }
    return {"bpp": f"{bpp:.4f}", "picture": title, **shown}


if __name__ == "__main__":
    run_command(main)
