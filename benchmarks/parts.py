"""What each part of sprdiff is worth: its pictures with a part left out, at equal bytes.

    python benchmarks/parts.py FOLDER --vae VAE --semantic SEMANTIC [--codec CODEC --diffusion D]
        [--whole WHOLE] [--beside NAME=WHOLE ...] [--metric-weights DIR]
        [--rates 0.005,0.01,0.02] [--limit N]

The averaged networks of checkpoints, `--whole` in place of `--codec` and `--diffusion`, are asked
for every picture at the best quality that takes at most so many bits per pixel. Encoders are left
out of what is coded; features of pixels out of what the diffusion is given; the diffusion gives way
to what it begins with (a regression), or loses its noise. NAME are rows of other checkpoints of the
stage `whole-sprdiff`: trained without a part. No file is written: bits are those that the float
twins' Gaussians give the rounded symbols, and those of header and checksum. Prints a Markdown table
of means over the pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import torch
from latents import FRAME, cut, padded
from measuring import table
from PIL import Image
from sampling import JUDGED, judged_row
from torch import Tensor

from hdcodec.eval import picture_files
from hdcodec.eval.metrics import Reference
from hdcodec.images import load
from hdcodec.models.hdc.coding import CodedBatch
from hdcodec.models.hdc.lic import uniform
from hdcodec.models.qualities import QUALITIES
from hdcodec.models.sprdiff.codec import PARTS, TripleFeatures
from hdcodec.models.sprdiff.diffusion import noise_of
from hdcodec.models.sprdiff.model import SprdiffModel
from hdcodec.train.export_sprdiff import analysis_of, assembled

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class Row(NamedTuple):
    """What is changed: which encoders are used, steps of the diffusion (0 is what it begins with,
    -1 the coarse picture), whether there is noise, and whether the diffusion sees features."""

    encoders: tuple[float, float, float] = (1.0, 1.0, 1.0)
    steps: int = 1
    noisy: bool = True
    featured: bool = True


ROWS = {
    "one step": Row(),
    "two steps": Row(steps=2),
    "four steps": Row(steps=4),
    "one step, no noise": Row(noisy=False),
    "coarse estimate through the VAE": Row(steps=0),
    "coarse picture": Row(steps=-1),
    "without features of pixels": Row(featured=False),
    **{
        f"without the encoder '{part}'": Row((float(k != 0), float(k != 1), float(k != 2)))
        for k, part in enumerate(PARTS[:3])
    },
}


@click.command()
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--vae", type=FILE, required=True)
@click.option("--semantic", type=FILE, required=True)
@click.option("--codec", type=FILE)
@click.option("--diffusion", type=FILE)
@click.option("--whole", type=FILE)
@click.option("--beside", multiple=True, metavar="NAME=WHOLE", help="Another checkpoint.")
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--rates", default="0.005,0.01,0.02", show_default=True)
@click.option("--limit", type=int, help="Use only the first N pictures.")
def main(
    folder: Path,
    beside: tuple[str, ...],
    metric_weights: str | None,
    rates: str,
    limit: int | None,
    **checkpoints: Path | None,
) -> None:
    """Print the table of the pictures in FOLDER."""
    models = {"": assembled(checkpoints, analysis_of(None)).eval()}
    encoders = {name: checkpoints[name] for name in ("vae", "semantic")}
    for name, _, path in (text.partition("=") for text in beside):
        models[name] = assembled(encoders | {"whole": Path(path)}, analysis_of(None)).eval()
    values: dict[tuple[float, str], list[list[float]]] = {}
    for path in picture_files(folder)[:limit]:
        image = load(path).rgb
        reference = Reference(image, JUDGED, weights=metric_weights)
        for rate in map(float, rates.split(",")):
            for name, bpp, picture in pictures(models, image, rate):
                known = reference.compare(picture)
                found = [bpp, *(known[metric] for metric in JUDGED)]
                values.setdefault((rate, name), []).append(found)
    lines = [judged_row(name, found) for (_, name), found in values.items()]
    click.echo(table(lines))


@torch.inference_mode()
def pictures(
    models: dict[str, SprdiffModel], image: Image.Image, rate: float
) -> Iterator[tuple[str, float, Image.Image]]:
    """Row, bits per pixel and picture: all rows of the first model, one step of the others; none
    where the lowest quality takes more than `rate`."""
    for name, model in models.items():
        asked = {f"trained {name}": Row()} if name else ROWS
        for title, row in asked.items():
            found = best(model, image, rate, row)
            if found is not None:
                bits, qindex, latent = found
                shown = cut(pixels(model, latent, qindex, row), image.size)
                yield title, bits / (image.width * image.height), shown


def best(
    model: SprdiffModel, image: Image.Image, rate: float, row: Row
) -> tuple[float, Tensor, Tensor] | None:
    """Bits, quality indices and decoded latents of the best quality within `rate` bits per
    pixel."""
    x = padded(image)
    seen = TripleFeatures(model.vae.encode(x), model.distortion(x), model.semantic(x))
    fused = model.codec.fusion(seen, model.codec.used[:3] * torch.tensor(row.encoders))
    low, high, found = 0, QUALITIES - 1, None
    while low <= high:
        middle = (low + high) // 2
        qindex = uniform(torch.tensor([middle]), x)
        coded = model.codec.written(fused * model.codec.gain(qindex), qindex)
        if (bits := size(coded)) <= rate * image.width * image.height:
            low, found = middle + 1, (bits, qindex, coded.latent)
        else:
            high = middle - 1
    return found


def size(coded: CodedBatch) -> float:
    """Bits of a file."""
    return float((coded.y_bits + coded.z_bits).sum()) + 8 * FRAME


def pixels(model: SprdiffModel, latent: Tensor, qindex: Tensor, row: Row) -> Tensor:
    """What a row makes of decoded latents, 1 x 3 x H x W."""
    given = model.given(latent, qindex)
    if row.steps < 0:
        return model.coarse(given)
    if not row.featured:
        given = given._replace(features=torch.zeros_like(given.features))
    if row.steps == 0:
        return model.vae.decode(given.coarse)
    noise = noise_of(given.coarse) * row.noisy
    return model.sampled(given, noise, row.steps)


if __name__ == "__main__":
    main()
