"""What a picture in packets is worth: whole, and with the last of its packets lost.

    python benchmarks/packets.py FOLDER --metric-weights METRICS [--size 158] [--counts 1,2,3]
        [--side 512] [--limit N]

The middle of each picture in FOLDER is coded into as many bare packets as asked for, of at most so
many bytes each. Means over the pictures that fit; of a picture whose last packet is lost what is
left is decoded as a beginning of the file.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from measuring import run_command, table
from PIL import Image

from hdcodec import Codec, TargetError, TruncatedError
from hdcodec.eval import measure, picture_files
from hdcodec.images import load
from hdcodec.packets import join, room, split

METRICS = ("psnr", "msssim", "lpips_alex", "dists")


def middle(path: Path, side: int) -> Image.Image:
    """A square of a picture, or less where it is smaller."""
    image = load(path).rgb
    width, height = (min(side, length) for length in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--size", default=158, show_default=True, help="Bytes of a packet.")
@click.option("--counts", default="1,2,3", show_default=True)
@click.option("--side", default=512, show_default=True)
@click.option("--fidelity", default=0.75, show_default=True)
@click.option("--limit", type=int)
def main(
    folder: Path,
    metric_weights: str | None,
    size: int,
    counts: str,
    side: int,
    fidelity: float,
    limit: int | None,
) -> None:
    """Print a table for the pictures in FOLDER."""
    codec = Codec(device="cpu")
    wanted = [int(count) for count in counts.split(",")]
    keys = [(count, case) for count in wanted for case in ("whole", "last one lost")]
    found: dict[tuple[int, str], list[dict[str, float]]] = {key: [] for key in keys}
    for path in picture_files(folder)[:limit]:
        image = middle(path, side)
        for count in wanted:
            try:
                limit = room(size, count, bare=True)
                data = codec.compress(image, target_size=limit, protect="none")
            except TargetError:
                continue
            packets = split(data, size, bare=True)
            cases = {"whole": packets}
            if len(packets) > 1:
                cases["last one lost"] = packets[:-1]
            for case, there in cases.items():
                try:
                    part = join(there, bare=True).data
                    shown = codec.decompress(part, partial=True, fidelity=fidelity)
                except TruncatedError:
                    continue
                row = measure(image, shown, METRICS, weights=metric_weights)
                row |= {"bytes": len(part), "share": shown.info.get("share", 1.0)}
                found[count, case].append(row)
    rows: list[dict[str, object]] = []
    for (count, case), values in ((key, values) for key, values in found.items() if values):
        means = {name: float(np.mean([value[name] for value in values])) for name in values[0]}
        rows.append({
            "packets": count, "": case, "pictures": len(values), "bytes": round(means["bytes"]),
            "symbols known": f"{100 * means['share']:.0f} %", "PSNR": f"{means['psnr']:.2f}",
            "MS-SSIM": f"{means['msssim']:.3f}", "LPIPS-Alex": f"{means['lpips_alex']:.3f}",
            "DISTS": f"{means['dists']:.3f}",
        })  # fmt: skip
    print(table(rows))


if __name__ == "__main__":
    run_command(main)
