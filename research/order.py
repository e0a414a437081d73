"""What a beginning of a file is worth if latents come by falling scale, beside the order by place.

    python research/order.py FOLDER --metric-weights METRICS [--bpp .015,.05] [--limit N]

The weights of model 1 have latents by place; here the same networks code them either way, in as
many bytes. Means over the pictures at fidelity 0.75.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import click
import numpy as np

from hdcodec import Codec, TruncatedError
from hdcodec.eval import measure, picture_files
from hdcodec.images import load
from hdcodec.models.hdc.family import Hdc

SHARES = (0.15, 0.3, 0.5, 0.75, 0.9, 1.0)
METRICS = ("psnr", "lpips_alex")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--bpp", default=".015,.05", show_default=True)
@click.option("--limit", type=int)
def main(folder: Path, metric_weights: str | None, bpp: str, limit: int | None) -> None:
    """Print a table for the pictures in FOLDER."""
    codec = Codec(device="cpu")
    assert isinstance(codec.family, Hdc)
    found = defaultdict[tuple[str, float, bool], list[list[float]]](list)
    for path in picture_files(folder)[:limit]:
        image = load(path).rgb
        for rate in bpp.split(","):
            for by_scale in (False, True):
                codec.family.symbol_codec.context.by_scale = by_scale
                data = codec.compress(image, bpp=float(rate), protect="none")
                for share in SHARES:
                    part = data[: round(share * len(data))]
                    try:
                        shown = codec.decompress(part, partial=share < 1, fidelity=0.75)
                    except TruncatedError:
                        continue
                    values = measure(image, shown, METRICS, weights=metric_weights)
                    row = [len(data), *(values[name] for name in METRICS)]
                    found[rate, share, by_scale].append(row)
    print(
        "| bpp | share of the bytes | pictures | by place: PSNR | LPIPS | by scale: PSNR | LPIPS |"
    )
    print("|---|---|---|---|---|---|---|")
    for rate, share, by_scale in sorted(found):
        if by_scale:
            continue
        both = [np.mean(found[rate, share, order], 0) for order in (False, True)]
        cells = " | ".join(f"{psnr:.2f} | {lpips:.3f}" for _, psnr, lpips in both)
        print(f"| {rate} | {share:g} | {len(found[rate, share, False])} | {cells} |")


if __name__ == "__main__":
    main()
