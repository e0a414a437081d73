"""Draws what the fidelity dial trades, from points of `hdc eval ... --fidelity 0,0.25,0.5,0.75,1`.

python docs/make_dial.py RESULTS/points.jsonl docs/dial.png [--quality 50]
"""

import re
from collections import defaultdict
from pathlib import Path

import click

from hdcodec.eval import METRICS, Point
from hdcodec.eval.points import read_rows
from hdcodec.eval.summary import of, per_setting

SHOWN = ("dists", "lpips_alex")
NAME = re.compile(r"(hdc|hdc effort=\d+) fidelity=([\d.]+)")


@click.command()
@click.argument("points", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--quality", default=50.0, show_default=True)
def main(points: Path, out: Path, quality: float) -> None:
    """Plot means over the pictures in POINTS into OUT, and print them."""
    from matplotlib.figure import Figure

    found: dict[str, list[tuple[float, Point]]] = defaultdict(list)
    for row in per_setting(of(read_rows(points), setting=quality)):
        if name := NAME.fullmatch(row["codec"]):
            found[name[1]].append((float(name[2]), row))
            print(row["codec"], {k: round(row[k], 4) for k in ("bpp", "psnr", *SHOWN)})
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axis, metric in zip(figure.subplots(1, 2), SHOWN, strict=True):
        for codec in sorted(found):
            dials = sorted(found[codec], key=lambda pair: pair[0])
            x, y = [row["psnr"] for _, row in dials], [row[metric] for _, row in dials]
            axis.plot(x, y, "o-", label=f"{codec}, {dials[0][1]['bpp']:.4f} bpp")
            for (dial, _), *place in zip(dials, x, y, strict=True):
                axis.annotate(
                    f"{dial:g}", place, textcoords="offset points", xytext=(4, 4), fontsize="small"
                )
        axis.set(xlabel="PSNR (dB)", ylabel=f"{METRICS[metric].title} (less is better)")
        axis.legend(fontsize="small")
    figure.suptitle(f"The fidelity dial, 0 to 1, at quality {quality:g}")
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    main()
