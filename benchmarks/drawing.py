"""What hdc's decoder draws, by a checkpoint of training or a folder of weights.

    python benchmarks/drawing.py CHECKPOINT FOLDER [--metric-weights DIR] [--limit N]
        [--qualities 5,22] [--side 384] [--device cpu] [--pictures OUT]

The averaged networks of CHECKPOINT are measured, by the float twins of the entropy networks: no
file is written, and nothing but torch is needed, as on a machine that only trains. Pictures are cut
from the centre to sides of at most `--side`, and to multiples of 64. For each quality, 0 to 100, a
row of fidelity 0, one of another draw of the noise, one without noise in the VQ decoder, and one of
fidelity 1. "Levels" is the root mean square by which a row differs from the first one, of 255.
Prints a Markdown table of means over the pictures. OUT gets those of fidelity 0 in `drawn`, and in
`original`, by the same names, what they were made of, for a sheet without names (`blind.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import torch
from measuring import run_command, table
from PIL import Image
from reconstruction import centre
from torch import Tensor, nn

from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.latent.coding import uniform
from hdcodec.models.latent.qualities import STRIDE, qindex_of
from hdcodec.perceptual import find_dists, find_lpips, find_wasserstein
from hdcodec.train.data import read_photos
from hdcodec.train.models import start_hdc

DRAWN, AGAIN, QUIET, FAITHFUL = "fidelity 0", "another draw", "no noise", "fidelity 1"
JUDGED = ("bpp", "PSNR", "LPIPS-Alex", "DISTS", "WD", "levels")


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--metric-weights", type=click.Path(exists=True, path_type=Path))
@click.option("--qualities", default="5,22", show_default=True)
@click.option("--side", default=384, show_default=True)
@click.option("--limit", type=int, help="Use only the first N pictures.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--pictures", type=click.Path(file_okay=False, path_type=Path))
def main(
    checkpoint: Path,
    folder: Path,
    metric_weights: Path | None,
    qualities: str,
    side: int,
    limit: int | None,
    device: str,
    pictures: Path | None,
) -> None:
    """Print the table of the pictures in FOLDER."""
    model = start_hdc(checkpoint, None).to(device).eval()
    finders = (lambda path: find_lpips("alex", path), find_dists, find_wasserstein)
    judges = [find(metric_weights).to(device).eval() for find in finders]
    found: dict[tuple[float, str], list[list[float]]] = {}
    photos = read_photos(folder, smallest=STRIDE, limit=limit)
    for number, photo in enumerate(photos):
        x = centre(photo, side // STRIDE * STRIDE, STRIDE).to(device)
        for quality in map(float, qualities.split(",")):
            with torch.inference_mode():
                for row, picture, values in measured(model, judges, x, quality):
                    found.setdefault((quality, row), []).append(values)
                    if pictures is not None and row == DRAWN:
                        name = f"{number:03}-{quality:g}.png"
                        write(picture, pictures / "drawn" / name)
                        write(x, pictures / "original" / name)
    click.echo(table([line(*key, rows) for key, rows in found.items()]))
    click.echo(f"\n{len(photos)} pictures")


def measured(
    model: HdcModel, judges: list[nn.Module], x: Tensor, quality: float
) -> Iterator[tuple[str, Tensor, list[float]]]:
    """The rows of one picture, 1 x 3 x H x W in [0, 1], what is decoded, and the values of
    `JUDGED`."""
    qindex = uniform(torch.tensor([qindex_of(quality)], device=x.device), x)
    coded = model.lic.written(model.lic.analysis(x) * model.lic.gain(qindex), qindex)
    bpp = float((coded.y_bits + coded.z_bits).sum()) / x[0, 0].numel()
    first = None
    for row in (DRAWN, AGAIN, QUIET, FAITHFUL):
        picture = drawn(model, coded.latent, qindex, row)
        first = picture if first is None else first
        psnr = -10 * float((picture - x).square().mean().log10())
        apart = 255 * float((picture - first).square().mean().sqrt())
        yield row, picture, [bpp, psnr, *(float(judge(picture, x)) for judge in judges), apart]


def drawn(model: HdcModel, latent: Tensor, qindex: Tensor, row: str) -> Tensor:
    """A picture without indices, in 256 levels, 1 x 3 x H x W."""
    generator = torch.Generator().manual_seed(1 if row == AGAIN else 0)
    shape = (1, 2 * model.cfg.drv, latent.shape[2] // 2, latent.shape[3] // 2)
    noise = torch.randn(shape, generator=generator).to(latent.device)
    kept = torch.zeros_like(latent[:, :1], dtype=torch.bool)
    base, features = model.lic.decode(latent, qindex)
    first, second = model.sample_drvs(features, noise)
    x_lic = model.enhancer(base, features, first)
    fidelity = torch.full_like(latent[:, :1, :1, :1], float(row == FAITHFUL))
    grain = torch.zeros_like(noise) if row == QUIET else noise
    picture = model.fuse(x_lic, features, kept[:, 0].long(), kept, second, grain, fidelity)
    return picture.clamp(0, 1).mul(255).round() / 255


def write(picture: Tensor, path: Path) -> None:
    """A picture of 256 levels, 1 x 3 x H x W in [0, 1], as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = picture[0].mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    Image.fromarray(levels).save(path)


def line(quality: float, row: str, values: list[list[float]]) -> dict[str, object]:
    """A line of the table."""
    means = torch.tensor(values).mean(0).tolist()
    digits = dict(zip(JUDGED, (4, 2, 4, 4, 3, 2), strict=True))
    cells = {name: f"{v:.{digits[name]}f}" for name, v in zip(JUDGED, means, strict=True)}
    return {"quality": f"{quality:g}", "": row, **cells}


if __name__ == "__main__":
    run_command(main)
