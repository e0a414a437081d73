"""What each part of sprdiff is worth: its pictures with a part left out, and hdc's, at equal bytes.

    python benchmarks/parts.py FOLDER [--weights DIR] [--beside NAME=DIR ...]
        [--metric-weights DIR] [--rates 0.005,0.01,0.02] [--rows NAME;NAME] [--limit N]
        [--sheet PNG]

The landed networks, or those of another folder of weights, are asked for every picture at the best
quality that takes at most so many bits per pixel. Encoders are left out
of what is coded; features of pixels out of what the diffusion is given; the diffusion gives way to
what it begins with (a regression), or loses its noise. NAME are rows of other weights: trained
without a part. No file is written: bits are those that the float twins' Gaussians
give the rounded symbols, and those of header and checksum. A sheet has the middles of the
originals, then of all rows. Prints a Markdown table of means over the pictures.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import torch
from latents import FIDELITIES, JUDGED, bits, cut, hdc_pictures, judged_row, padded
from measuring import run_command, table
from PIL import Image
from torch import Tensor

from hdcodec import Codec, weights
from hdcodec.eval import picture_files
from hdcodec.eval.metrics import Reference
from hdcodec.images import load
from hdcodec.models import identify
from hdcodec.models.latent.coding import uniform
from hdcodec.models.latent.qualities import QUALITIES
from hdcodec.models.sprdiff.codec import PARTS, TripleFeatures
from hdcodec.models.sprdiff.diffusion import noise_of
from hdcodec.models.sprdiff.model import SprdiffModel
from hdcodec.train.restore import restore_sprdiff

SIDE = 256
"""Pixels of each picture's middle that a sheet shows."""


class Row(NamedTuple):
    """What is changed: which encoders are used, steps of the diffusion (0 is what it begins with,
    -1 the coarse picture), whether there is noise, whether the diffusion sees features, and whether
    the decoder is told the original's own latents, which no file holds."""

    encoders: tuple[float, float, float] = (1.0, 1.0, 1.0)
    steps: int = 1
    noisy: bool = True
    featured: bool = True
    told: bool = False


ROWS = {
    "one step": Row(),
    "two steps": Row(steps=2),
    "four steps": Row(steps=4),
    "one step, no noise": Row(noisy=False),
    "the coarse estimate in place of a sample": Row(steps=0),
    "the original's latents in place of a sample": Row(told=True),
    "coarse picture": Row(steps=-1),
    "without features of pixels": Row(featured=False),
    **{
        f"without the encoder '{part}'": Row((float(k != 0), float(k != 1), float(k != 2)))
        for k, part in enumerate(PARTS[:3])
    },
}


@click.command()
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--weights", "landed", type=click.Path(exists=True, path_type=Path))
@click.option("--beside", multiple=True, metavar="NAME=DIR", help="Other weights.")
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--rates", default="0.005,0.01,0.02", show_default=True)
@click.option("--rows", default=";".join([*ROWS, *FIDELITIES]), show_default="all")
@click.option("--limit", type=int, help="Use only the first N pictures.")
@click.option("--sheet", type=click.Path(path_type=Path), help="Writes the pictures' middles.")
def main(
    folder: Path,
    landed: Path | None,
    beside: tuple[str, ...],
    metric_weights: str | None,
    rates: str,
    rows: str,
    limit: int | None,
    sheet: Path | None,
) -> None:
    """Print the table of the pictures in FOLDER."""
    found = weights.find(identify("sprdiff")) if landed is None else weights.read_folder(landed)
    models, hdc = {"": restore_sprdiff(found).eval()}, Codec("hdc")
    for name, _, path in (text.partition("=") for text in beside):
        models[name] = restore_sprdiff(weights.read_folder(Path(path))).eval()
    wanted, values, strips = rows.split(";"), dict[tuple[float, str], list[list[float]]](), []
    for path in picture_files(folder)[:limit]:
        image = load(path).rgb
        reference = Reference(image, JUDGED, weights=metric_weights)
        strip = [image]
        for rate in map(float, rates.split(",")):
            shown = chain(pictures(models, image, rate, wanted), hdc_pictures(hdc, image, rate))
            for name, bpp, picture in shown:
                if name in FIDELITIES and name not in wanted:
                    continue
                known = reference.compare(picture)
                row = [bpp, *(known[metric] for metric in JUDGED)]
                values.setdefault((rate, name), []).append(row)
                strip.append(picture)
        strips.append(np.concatenate([middle(picture) for picture in strip], 1))
    widest = max(strip.shape[1] for strip in strips)  # not every picture gets so small
    strips = [np.pad(x, ((0, 0), (0, widest - x.shape[1]), (0, 0))) for x in strips]
    lines = [judged_row(name, found) for (_, name), found in values.items()]
    click.echo(table(lines))
    if sheet is not None:
        Image.fromarray(np.concatenate(strips)).save(sheet)


@torch.inference_mode()
def pictures(
    models: dict[str, SprdiffModel], image: Image.Image, rate: float, rows: Container[str] = ROWS
) -> Iterator[tuple[str, float, Image.Image]]:
    """Row, bits per pixel and picture: these rows of the first model, one step of the others; none
    where the lowest quality takes more than `rate`."""
    for name, model in models.items():
        asked = {title: row for title, row in ROWS.items() if title in rows}
        if name:
            asked = {f"trained {name}": Row()}
        for title, row in asked.items():
            found = best(model, image, rate, row)
            if found is not None:
                size, qindex, latent = found
                shown = cut(pixels(model, latent, qindex, row, padded(image)), image.size)
                yield title, size / (image.width * image.height), shown


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
        if (size := bits(coded)) <= rate * image.width * image.height:
            low, found = middle + 1, (size, qindex, coded.latent)
        else:
            high = middle - 1
    return found


def pixels(model: SprdiffModel, latent: Tensor, qindex: Tensor, row: Row, x: Tensor) -> Tensor:
    """What a row makes of decoded latents of a picture `x`, both 1 x 3 x H x W."""
    given = model.given(latent, qindex)
    base, eighth = model.codec.reconstruction.detailed(given)
    mean: Tensor = model.decoder.refinement(base, eighth)
    if row.steps < 0:
        return mean
    if not row.featured:
        given = given._replace(features=torch.zeros_like(given.features))
    noise = noise_of(given.coarse) * row.noisy
    z = model.sampler.sample(given, noise, row.steps) if row.steps else given.coarse
    z = model.vae.encode(x) if row.told else z
    picture: Tensor = model.decoder(mean, eighth, z)
    return picture


def middle(picture: Image.Image) -> np.ndarray:
    """Its `SIDE` pixels around the centre."""
    left, top = ((side - SIDE) // 2 for side in picture.size)
    return np.asarray(picture.crop((left, top, left + SIDE, top + SIDE)))


if __name__ == "__main__":
    run_command(main)
