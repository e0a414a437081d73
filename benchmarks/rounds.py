"""What each round of training brought: pictures coded by revisions of this project, at one size.

    python benchmarks/rounds.py FOLDER REVISION... [--bpp 0.03] [--fidelity 0,0.5,1]
        [--metric-weights DIR] [--limit N]

Every revision is taken out of the repository and codes the pictures in a process of its own, with
the weights it came with; today's metrics compare what it decoded. Sizes are caps met by the highest
quality that fits. Prints a Markdown table. Its "turned" is LPIPS-Alex of both pictures mirrored
along a diagonal, less their first four rows and columns: what a decoder draws to please the network
as it is shown pictures in training, and not the eye, does not please it so.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import click
from PIL import Image

from hdcodec.eval import measure, picture_files

METRICS = ("psnr", "lpips_alex", "dists")
ROOT = Path(__file__).parents[1]
CODING = """
import sys
from pathlib import Path
from PIL import Image
from hdcodec import Codec
out, bpp, dials, *pictures = sys.argv[1:]
codec = Codec(device="cpu")
for picture in pictures:
    with Image.open(picture) as image:
        data = codec.compress(image.convert("RGB"), bpp=float(bpp), verify=False)
    name = Path(picture).stem
    Path(out, name + ".hdc").write_bytes(data)
    for dial in dials.split(","):
        codec.decompress(data, fidelity=float(dial)).save(Path(out, f"{name} {dial}.png"))
"""


def take_out(revision: str, folder: Path) -> None:
    """The package and the weights of a revision, in `folder`."""
    archive = subprocess.run(
        ["git", "archive", revision, "hdcodec", "weights"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def code(revision: str, pictures: list[Path], bpp: float, dials: list[str], out: Path) -> None:
    """Files and decoded pictures of a revision, in `out`."""
    with tempfile.TemporaryDirectory() as folder:
        take_out(revision, Path(folder))
        argv = [sys.executable, "-c", CODING, str(out), str(bpp), ",".join(dials)]
        away = {**os.environ, "PYTHONPATH": folder}
        names = [str(picture.resolve()) for picture in pictures]
        subprocess.run([*argv, *names], cwd=folder, env=away, check=True)


def distances(original: Image.Image, decoded: Image.Image, weights: str | None) -> list[float]:
    """The metrics, and LPIPS-Alex of both turned."""
    found = measure(original, decoded, METRICS, weights=weights)
    other = measure(turned(original), turned(decoded), ("lpips_alex",), weights=weights)
    return [*found.values(), *other.values()]


def turned(picture: Image.Image) -> Image.Image:
    """Mirrored along a diagonal and four pixels off."""
    mirrored = picture.transpose(Image.Transpose.TRANSPOSE)
    return mirrored.crop((4, 4, *mirrored.size))


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("revisions", nargs=-1, required=True)
@click.option("--bpp", default=0.03, show_default=True)
@click.option("--fidelity", default="0,0.5,1", show_default=True)
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--limit", type=int, help="Only the first N pictures.")
def main(
    folder: Path,
    revisions: tuple[str, ...],
    bpp: float,
    fidelity: str,
    metric_weights: str | None,
    limit: int | None,
) -> None:
    """Code the pictures of FOLDER by every REVISION and print means over them."""
    pictures, dials = picture_files(folder)[:limit], fidelity.split(",")
    print("| revision | fidelity | bpp | PSNR | LPIPS-Alex | DISTS | turned |")
    print("|---" * 7 + "|")
    for revision in revisions:
        with tempfile.TemporaryDirectory() as out:
            code(revision, pictures, bpp, dials, Path(out))
            for dial in dials:
                found = []
                for path in pictures:
                    with Image.open(path) as image:
                        original = image.convert("RGB")
                    size = Path(out, f"{path.stem}.hdc").stat().st_size
                    decoded = Image.open(Path(out, f"{path.stem} {dial}.png"))
                    rate = 8 * size / (original.width * original.height)
                    found.append([rate, *distances(original, decoded, metric_weights)])
                rate, psnr, *rest = (sum(v) / len(v) for v in zip(*found, strict=True))
                means = " | ".join([f"{rate:.4f} | {psnr:.2f}", *(f"{v:.3f}" for v in rest)])
                print(f"| {revision} | {dial} | {means} |", flush=True)


if __name__ == "__main__":
    main()
