"""Draws each metric over the rate, from the points of `hdc eval`.

    python docs/make_rates.py RESULTS/points.jsonl docs/rates.png

One panel per metric: mean value against mean bits per pixel (logarithmic) of each setting; further
up is better.
"""

from pathlib import Path

import click

from hdcodec.eval import METRICS
from hdcodec.eval.points import read_rows
from hdcodec.eval.summary import by_codec, per_setting


@click.command()
@click.argument("points", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
def main(points: Path, out: Path) -> None:
    """Plot means over the pictures in POINTS into OUT."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    means = by_codec(per_setting(list(read_rows(points))))
    names = [
        name for name in METRICS if all(name in row for rows in means.values() for row in rows)
    ]
    figure = Figure(figsize=(5.5 * len(names), 5), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for codec, rows in means.items():
            curve = sorted((row["bpp"], row[name]) for row in rows)
            axes.plot(*zip(*curve, strict=True), marker="o", markersize=4, label=codec)
        axes.set(xscale="log", xlabel="bits per pixel (whole file)", title=METRICS[name].title)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.3, which="both")
        if not METRICS[name].higher_is_better:
            axes.invert_yaxis()
    figure.axes[0].legend()
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main()
