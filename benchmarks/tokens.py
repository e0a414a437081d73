"""Are tokens at 1/32 worth their bits? hdc with tokens of a checkpoint beside hdc without.

    python benchmarks/tokens.py CHECKPOINT FOLDER --kind latents [--metric-weights DIR]
        [--qualities 20,40,60,80,100,120] [--side 384] [--limit N]

CHECKPOINT is that of a stage `tokens`, `tokens-latents` or `tokens-features`; its averaged networks
are measured, by the float twins of the entropy networks: no file is written. Pictures are cut from
the centre to sides of at most `--side`. For each fidelity and quality index, means over all
pictures of bits per pixel, of the score 150 MSE + LPIPS-Alex + DISTS, and of DISTS alone, without
tokens and with them; then by how many percent a file of hdc without tokens that is as good by the
score, or by DISTS, is larger (smaller, where negative): its curve is interpolated in the logarithm
of bits. Prints a Markdown table.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch
from measuring import table
from reconstruction import centre
from torch import Tensor

from hdcodec.models.hdc.config import STRIDE
from hdcodec.models.hdc.lic import MSE_WEIGHT, uniform
from hdcodec.models.hdc.residual import FeatureTokens, LatentTokens, ResidualTokens
from hdcodec.perceptual import DISTS, LPIPS, find_dists, find_lpips
from hdcodec.train.data import read_photos
from hdcodec.train.tokens import Beside, load_beside, load_tokens, spoken

KINDS = {"latents": LatentTokens, "features": FeatureTokens}
FIDELITIES = (0.0, 1.0)

Judges = tuple[LPIPS, DISTS]


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
    judges = find_lpips("alex", metric_weights).eval(), find_dists(metric_weights).eval()
    steps = [int(q) for q in qualities.split(",")]
    photos = read_photos(folder, smallest=STRIDE, limit=limit)
    found = [measured(model, frozen, judges, centre(p, side, STRIDE), steps) for p in photos]
    means = np.mean(found, 0)
    lines = [
        line(fidelity, quality, means[k], means[k, :, 0], j)
        for k, fidelity in enumerate(FIDELITIES)
        for j, quality in enumerate(steps)
    ]
    click.echo(table(lines))
    click.echo(f"\n{len(photos)} pictures")


@torch.inference_mode()
def measured(
    model: ResidualTokens, frozen: Beside, judges: Judges, x: Tensor, qualities: list[int]
) -> list[list[list[list[float]]]]:
    """Of a picture, 1 x 3 x H x W: for each fidelity and quality index, without tokens and with
    them, bits per pixel, score, DISTS and percent of the indices sent that are not 0."""
    return [
        [
            [values(model, frozen, judges, x, q, fidelity, silent) for silent in (True, False)]
            for q in qualities
        ]
        for fidelity in FIDELITIES
    ]


def values(
    model: ResidualTokens,
    frozen: Beside,
    judges: Judges,
    x: Tensor,
    quality: int,
    fidelity: float,
    silent: bool,
) -> list[float]:
    """What `measured` gives of one setting."""
    qindex, dial = uniform(torch.tensor([quality]), x), torch.full((1, 1, 1, 1), fidelity)
    shape = (1, 2 * frozen.hdc.cfg.drv, x.shape[2] // 32, x.shape[3] // 32)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    said = spoken(model, frozen, x, qindex, dial, noise, silent)
    picture = said.picture.clamp(0, 1).mul(255).round() / 255
    bits = float(said.bits) + (0.0 if silent else float(said.named.bits.sum()))
    mse = float((picture - x).square().mean())
    lpips, dists = (float(judge(picture, x)) for judge in judges)
    sent = 0.0 if silent else 100 * float((said.named.indices > 0).float().mean())
    return [bits / x[0, 0].numel(), MSE_WEIGHT * mse + lpips + dists, dists, sent]


def line(
    fidelity: float,
    quality: int,
    found: np.ndarray,
    curve: np.ndarray,
    j: int,
) -> dict[str, object]:
    """A line of the table: `found` qualities x 2 x 4, `curve` those without tokens."""
    (bpp, score, dists, _), (more, better, closer, sent) = found[j]
    return {
        "fidelity": f"{fidelity:g}",
        "quality index": quality,
        "bpp": f"{bpp:.4f}",
        "score": f"{score:.4f}",
        "DISTS": f"{dists:.4f}",
        "bpp with tokens": f"{more:.4f}",
        "score with": f"{better:.4f}",
        "DISTS with": f"{closer:.4f}",
        "sent %": f"{sent:.1f}",
        "worth by score %": f"{worth(curve[:, [0, 1]], more, better):+.1f}",
        "worth by DISTS %": f"{worth(curve[:, [0, 2]], more, closer):+.1f}",
    }


def worth(curve: np.ndarray, bpp: float, value: float) -> float:
    """By how many percent of `bpp` hdc needs more bits for `value`, by its curve of rates and
    values, of which more is worse."""
    order = np.argsort(curve[:, 1])
    needed = np.interp(value, curve[order, 1], np.log(curve[order, 0]))
    return 100 * float(np.exp(needed) / bpp - 1)


if __name__ == "__main__":
    main()
