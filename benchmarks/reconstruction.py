"""What a VAE keeps of pictures, and what noise in its latents costs.

    python benchmarks/reconstruction.py CHECKPOINT FOLDER [--metric-weights DIR] [--limit N]
        [--noise 0,0.2,0.5] [--side 512] [--seed 0]

CHECKPOINT is that of the stage `vae`, whose averaged networks are measured. Pictures are cut from
the centre to sides of at most `--side`, and to multiples of 16. The noise is Gaussian, of these
deviations; latents have deviation 1. Prints a Markdown table of means over the pictures, and the
deviations of the latents' channels, which are to be about 1.
"""

from __future__ import annotations

from pathlib import Path

import click
import torch
from measuring import run_command, table
from torch import Tensor

from hdcodec.models.sprdiff.config import VAE_STRIDE
from hdcodec.models.sprdiff.vae import Vae
from hdcodec.perceptual import DISTS, LPIPS, find_dists, find_lpips
from hdcodec.train.data import Pixels, read_photos
from hdcodec.train.vae import load_vae

Judges = tuple[LPIPS, DISTS]


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--metric-weights", type=click.Path(exists=True, path_type=Path))
@click.option("--noise", default="0,0.2,0.5", show_default=True)
@click.option("--side", default=512, show_default=True)
@click.option("--limit", type=int, help="Use only the first N pictures.")
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="cpu", show_default=True)
def main(
    checkpoint: Path,
    folder: Path,
    metric_weights: Path | None,
    noise: str,
    side: int,
    limit: int | None,
    seed: int,
    device: str,
) -> None:
    """Print PSNR, LPIPS-Alex and DISTS of the pictures in FOLDER for each deviation of noise."""
    model = load_vae(checkpoint).to(device).eval()
    judges = load_judges(metric_weights, device)
    generator = torch.Generator().manual_seed(seed)
    strengths = [float(text) for text in noise.split(",")]
    rows, latents = [], []
    for photo in read_photos(folder, smallest=VAE_STRIDE, limit=limit):
        x = centre(photo, side).to(device)
        with torch.inference_mode():
            z = model.encode(x)
            drawn = torch.randn(z.shape, generator=generator).to(device)
            rows.append([measured(model, judges, x, z + s * drawn) for s in strengths])
        latents.append(z[0].flatten(1))
    means = torch.tensor(rows).mean(0).tolist()
    click.echo(table([line(s, *values) for s, values in zip(strengths, means, strict=True)]))
    spread = torch.cat(latents, 1).std(1)
    click.echo(
        f"\n{len(rows)} pictures; deviation of the channels {spread.mean():.2f}, "
        f"from {spread.min():.2f} to {spread.max():.2f}"
    )


def load_judges(folder: Path | None, device: str) -> Judges:
    """LPIPS-Alex and DISTS, from a folder or from installed packages."""
    lpips = find_lpips("alex", folder)
    dists = find_dists(folder)
    return lpips.to(device).eval(), dists.to(device).eval()


def centre(photo: Pixels, side: int, stride: int = VAE_STRIDE) -> Tensor:
    """The middle of a photo, 1 x 3 x H x W in [0, 1], both sides at most `side` and multiples of
    `stride`."""
    height, width = (min(length, side) // stride * stride for length in photo.shape[:2])
    top, left = (photo.shape[0] - height) // 2, (photo.shape[1] - width) // 2
    cut = photo[top : top + height, left : left + width].copy()
    return torch.from_numpy(cut).permute(2, 0, 1)[None].float() / 255


def measured(model: Vae, judges: Judges, x: Tensor, z: Tensor) -> list[float]:
    """PSNR in dB, LPIPS-Alex and DISTS of what the decoder makes of `z`, in 256 levels."""
    picture = model.decode(z).clamp(0, 1).mul(255).round() / 255
    error = (picture - x).square().mean()
    return [float(-10 * error.log10()), *(float(judge(picture, x)) for judge in judges)]


def line(noise: float, psnr: float, lpips: float, dists: float) -> dict[str, object]:
    """A line of the table."""
    judged = {"PSNR": f"{psnr:.2f}", "LPIPS-Alex": f"{lpips:.3f}", "DISTS": f"{dists:.3f}"}
    return {"noise": f"{noise:g}", **judged}


if __name__ == "__main__":
    run_command(main)
