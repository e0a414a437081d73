"""What a diffusion in the VAE's latents makes of files of hdc, beside what hdc makes of them.

    python benchmarks/sampling.py CHECKPOINT FOLDER --vae VAE [--metric-weights DIR]
        [--rates 0.005,0.01,0.02] [--rows NAMES] [--limit N] [--seed 0] [--sheet PNG]

CHECKPOINT is that of the stage `diffuse-lic` or `finish-lic`, VAE that of `vae`; their averaged
networks are measured. Every picture is coded by hdc in at most so many bits per pixel, smaller
where that is better. From the same file, at the coded size and then enlarged as hdc does: hdc's own
picture at fidelities 0 and 1, the first of them through the VAE, the coarse estimate through it,
samples of one, two and four steps, and what one step gives without noise. Last, what the VAE makes
of the original. Prints a Markdown table of means over the pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import torch
from measuring import table
from PIL import Image
from torch import Tensor

from hdcodec import Codec
from hdcodec._inspect import read_symbols
from hdcodec.entropy.fixedpoint import FRACTION_BITS
from hdcodec.eval import picture_files
from hdcodec.eval.metrics import METRICS, Reference
from hdcodec.format import Container
from hdcodec.images import load, resized
from hdcodec.models.sprdiff.diffusion import Diffusion, Reconstructed, noise_of
from hdcodec.models.sprdiff.vae import STRIDE
from hdcodec.train.diffuse import load_diffusion
from hdcodec.train.latents import Frozen, load_frozen

JUDGED = ("psnr", "lpips_alex", "dists", "wd")
HDC, FAITHFUL, AGAIN, COARSE, CEILING = "hdc", "faithful", "again", "coarse", "original"
FIDELITIES = {HDC: 0.0, FAITHFUL: 1.0}
SAMPLES = {"1": (1, True), "2": (2, True), "4": (4, True), "quiet": (1, False)}
"""Steps of a sample, and whether it begins with noise."""

ROWS = {
    HDC: "hdc, fidelity 0",
    FAITHFUL: "hdc, fidelity 1",
    AGAIN: "the same through the VAE",
    COARSE: "coarse estimate through the VAE",
    "1": "one step",
    "2": "two steps",
    "4": "four steps",
    "quiet": "one step, no noise",
    CEILING: "the original through the VAE",
}
SIDE = 256
"""Pixels of each picture's middle that a sheet shows."""


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--vae", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--metric-weights", type=click.Path(exists=True, path_type=Path))
@click.option("--rates", default="0.005,0.01,0.02", show_default=True)
@click.option("--rows", default=",".join(ROWS), show_default=True)
@click.option("--limit", type=int, help="Use only the first N pictures.")
@click.option("--seed", default=0, show_default=True, help="Of the samples' noise.")
@click.option("--sheet", type=click.Path(path_type=Path), help="Writes the pictures' middles.")
def main(
    checkpoint: Path,
    folder: Path,
    vae: Path,
    metric_weights: Path | None,
    rates: str,
    rows: str,
    limit: int | None,
    seed: int,
    sheet: Path | None,
) -> None:
    """Print the table."""
    tried = Trial(load_diffusion(checkpoint).eval(), load_frozen(vae, "cpu"), rows.split(","), seed)
    weights = str(metric_weights) if metric_weights else None
    budgets = [float(rate) for rate in rates.split(",")]
    values: dict[tuple[float | None, str], list[list[float]]] = {}
    strips = []
    for path in picture_files(folder)[:limit]:
        image = load(path).rgb
        reference, strip = Reference(image, JUDGED, weights=weights), [image]
        for budget, row, bpp, picture in tried.pictures(image, budgets):
            known = reference.compare(picture)
            values.setdefault((budget, row), []).append([bpp, *(known[name] for name in JUDGED)])
            strip.append(picture)
        strips.append(np.concatenate([middle(picture) for picture in strip], 1))
    click.echo(table([line(budget, row, found) for (budget, row), found in values.items()]))
    if sheet is not None:
        Image.fromarray(np.concatenate(strips)).save(sheet)


class Trial:
    """The networks, which rows are asked of them, and the seed of the noise."""

    def __init__(self, model: Diffusion, frozen: Frozen, rows: list[str], seed: int) -> None:
        self.model, self.frozen, self.rows, self.seed = model, frozen, rows, seed
        self.codec = Codec()

    @torch.inference_mode()
    def pictures(
        self, image: Image.Image, budgets: list[float]
    ) -> Iterator[tuple[float | None, str, float, Image.Image]]:
        """Budget, row, bits per pixel of the file and the picture, in the size of `image`."""
        for budget in budgets:
            box = self.codec.encode(image, bpp=budget, protect="none")
            for row in self.rows:
                if row in FIDELITIES:
                    picture = self.codec.decode(box, fidelity=FIDELITIES[row])
                    yield budget, row, box.bpp, picture
                elif row == AGAIN:
                    small = self.kept(self.codec.decode(box, fidelity=0.0, coded_size=True))
                    yield budget, row, box.bpp, resized(small, image.size)
                elif row != CEILING:
                    small = self.picture(self.latents(row, box), box.header.coded_size)
                    yield budget, row, box.bpp, resized(small, image.size)
        if CEILING in self.rows:
            yield None, CEILING, 0.0, self.kept(image)

    def kept(self, image: Image.Image) -> Image.Image:
        """What the VAE makes of a picture."""
        right, below = (-side % STRIDE for side in image.size)
        pixels = np.pad(np.asarray(image), [(0, below), (0, right), (0, 0)], "edge")
        x = torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255
        return self.picture(self.frozen.vae.encode(x), image.size)

    def given(self, box: Container) -> Reconstructed:
        """What a file of hdc says of the VAE's latents."""
        symbols = read_symbols(box)
        qindex = torch.tensor(symbols.qindex)[None]
        latent = torch.tensor(symbols.latent).permute(2, 0, 1)[None].float() / 2**FRACTION_BITS
        return self.model.reconstruction(latent / self.frozen.lic.gain(qindex), qindex)

    def latents(self, row: str, box: Container) -> Tensor:
        """The VAE's latents of a row, 1 x latent x h x w."""
        given = self.given(box)
        if row == COARSE:
            return given.coarse
        steps, noisy = SAMPLES[row]
        noise = noise_of(given.coarse, self.seed)
        return self.model.sample(given, noise if noisy else torch.zeros_like(noise), steps)

    def picture(self, latents: Tensor, size: tuple[int, int]) -> Image.Image:
        """What the VAE makes of latents, cut to width and height."""
        pixels = self.frozen.vae.decode(latents)[0].clamp(0, 1).mul(255).round().byte()
        return Image.fromarray(pixels.permute(1, 2, 0).numpy()).crop((0, 0, *size))


def line(budget: float | None, row: str, found: list[list[float]]) -> dict[str, object]:
    """A line of the table."""
    shown = judged_row(ROWS[row], found)
    return shown if budget is not None else {**shown, "bpp": ""}


def judged_row(title: str, found: list[list[float]]) -> dict[str, object]:
    """Means over the pictures of bits per pixel and of what is `JUDGED`."""
    bpp, *means = np.mean(found, 0)
    digits = {name: 2 if name == "psnr" else 3 for name in JUDGED}
    shown = {
        METRICS[name].title: f"{value:.{digits[name]}f}"
        for name, value in zip(JUDGED, means, strict=True)
    }
    return {"bpp": f"{bpp:.4f}", "picture": title, **shown}


def middle(picture: Image.Image) -> np.ndarray:
    """Its `SIDE` pixels around the centre."""
    left, top = ((side - SIDE) // 2 for side in picture.size)
    return np.asarray(picture.crop((left, top, left + SIDE, top + SIDE)))


if __name__ == "__main__":
    main()
