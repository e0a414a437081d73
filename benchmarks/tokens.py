"""Are tokens at 1/32 worth their bits? hdc with tokens of a checkpoint beside hdc without.

    python benchmarks/tokens.py CHECKPOINT FOLDER --kind latents [--metric-weights DIR]
        [--qualities 20,40,60,80,100,120] [--side 384] [--limit N]

CHECKPOINT is that of a stage `tokens`, `tokens-latents` or `tokens-features`; its averaged networks
are measured, by the float twins of the entropy networks: no file is written. Pictures are cut from
the centre to sides of at most `--side`. For each fidelity and quality index, a row of means over
all pictures without tokens, one with the likeliest codes in their place, which takes no bits, and
one with tokens: the score is 150 MSE + LPIPS-Alex + DISTS. "Worth" says by how many percent a file
of hdc as good by the score, or by DISTS, is larger (smaller, where negative), without tokens and,
in brackets, with the likeliest codes: curves are interpolated in the logarithm of bits. Prints a
Markdown table.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import numpy as np
import torch
from measuring import run_command, table
from reconstruction import Judges, centre, load_judges
from torch import Tensor

from hdcodec.models.hdc.residual import FeatureTokens, LatentTokens, ResidualTokens
from hdcodec.models.latent.coding import uniform
from hdcodec.models.latent.distortion import MSE_WEIGHT
from hdcodec.models.latent.qualities import STRIDE
from hdcodec.train.data import read_photos
from hdcodec.train.tokens import Beside, Vectors, load_beside, load_tokens, spoken

KINDS = {"latents": LatentTokens, "features": FeatureTokens}
FIDELITIES = (0.0, 1.0)
TOLD = get_args(Vectors)
TITLES = dict(zip(TOLD, ("none", "guessed", "sent"), strict=True))
SCORE, ALIKE = 1, 2
"""Columns of what is measured, after the bits per pixel."""


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--kind", type=click.Choice(list(KINDS)), required=True)
@click.option("--metric-weights", type=click.Path(exists=True, path_type=Path))
@click.option("--qualities", default="20,40,60,80,100,120", show_default=True)
@click.option("--side", default=384, show_default=True)
@click.option("--limit", type=int, help="Use only the first N pictures.")
def main(
    checkpoint: Path,
    folder: Path,
    kind: str,
    metric_weights: Path | None,
    qualities: str,
    side: int,
    limit: int | None,
) -> None:
    """Print the table of the pictures in FOLDER."""
    frozen = load_beside("cpu")
    model = load_tokens(KINDS[kind], checkpoint, frozen.hdc).eval()
    judges = load_judges(metric_weights, "cpu")
    steps = [int(q) for q in qualities.split(",")]
    photos = read_photos(folder, smallest=STRIDE, limit=limit)
    found = [measured(model, frozen, judges, centre(p, side, STRIDE), steps) for p in photos]
    means = np.mean(found, 0)
    rows = [
        row
        for fidelity, part in zip(FIDELITIES, means, strict=True)
        for row in lines(fidelity, steps, part)
    ]
    click.echo(table(rows))
    click.echo(f"\n{len(photos)} pictures")


@torch.inference_mode()
def measured(
    model: ResidualTokens, frozen: Beside, judges: Judges, x: Tensor, qualities: list[int]
) -> np.ndarray:
    """Of a picture, 1 x 3 x H x W: for each fidelity, quality index and what is told, bits per
    pixel, score and DISTS."""
    shape = (1, 2 * frozen.hdc.cfg.drv, x.shape[2] // 32, x.shape[3] // 32)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = np.zeros((len(FIDELITIES), len(qualities), len(TOLD), 3))
    for i, j, k in np.ndindex(found.shape[:3]):
        qindex = uniform(torch.tensor([qualities[j]]), x)
        dial = torch.full((1, 1, 1, 1), FIDELITIES[i])
        said = spoken(model, frozen, x, qindex, dial, noise, TOLD[k])
        picture = said.picture.clamp(0, 1).mul(255).round() / 255
        bits = float(said.bits) + float(said.named.bits.sum()) * (TOLD[k] == "sent")
        lpips, dists = (float(judge(picture, x)) for judge in judges)
        score = MSE_WEIGHT * float((picture - x).square().mean()) + lpips + dists
        found[i, j, k] = bits / x[0, 0].numel(), score, dists
    return found


def lines(fidelity: float, qualities: list[int], means: np.ndarray) -> Iterator[dict[str, object]]:
    """The rows of a fidelity; `means` qualities x told x (bits per pixel, score, DISTS)."""
    for j, quality in enumerate(qualities):
        for k, told in enumerate(TOLD):
            bpp, score, dists = means[j, k]
            worths = {
                f"worth by {name}, %": " ".join(
                    shown.format(worth(means[:, other, [0, column]], bpp, means[j, k, column]))
                    for other, shown in zip(range(k), ("{:+.1f}", "({:+.1f})"), strict=False)
                )
                for name, column in (("score", SCORE), ("DISTS", ALIKE))
            }
            yield {
                "fidelity": f"{fidelity:g}",
                "quality index": quality,
                "tokens": TITLES[told],
                "bpp": f"{bpp:.4f}",
                "score": f"{score:.4f}",
                "DISTS": f"{dists:.4f}",
                **worths,
            }


def worth(curve: np.ndarray, bpp: float, value: float) -> float:
    """By how many percent of `bpp` more bits are needed for `value` by a curve of rates and values,
    of which more is worse."""
    order = np.argsort(curve[:, 1])
    needed = np.interp(value, curve[order, 1], np.log(curve[order, 0]))
    return 100 * float(np.exp(needed) / bpp - 1)


if __name__ == "__main__":
    run_command(main)
