"""Points of `hdc eval` beside curves of other codecs that something else has measured.

    python benchmarks/beside.py RESULTS/points.jsonl CURVES --anchor avif --anchor vvc,vvc@x2
        [--codec "hdc fidelity=1"] [--bpp 0.02,0.03,0.05,0.1,own] [--percent] [--spread]

CURVES holds one JSON object a line with `codec`, `image`, `bpp` and metrics under the names of
`hdc eval`. Pictures go by the digits of their names, so kodim05.png and 05 are the same one. Names
joined by commas are one anchor: the best of their points. Prints the Bjontegaard rate differences
to each anchor, and by how much each metric differs at each rate, read from each picture's own
curves and averaged (with --spread the lowest and the highest of them); the rate "own" is that of
each point of POINTS, where only the anchor's curve is read. In brackets the number of pictures (of
points, for "own") where both codecs have what it takes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from hdcodec.eval import METRICS, Point
from hdcodec.eval.summary import bd_rate, codecs, mean, mean_at, of

OWN = "own"

Pairs = list[tuple[float, float]]


def read(path: Path) -> list[Point]:
    """The points of a file, pictures under the digits of their names."""
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return [row | {"image": "".join(filter(str.isdigit, str(row["image"])))} for row in rows]


def having(rows: list[Point], metric: str) -> list[Point]:
    """The points at which a metric was measured."""
    return [row for row in rows if row.get(metric) is not None]


def show(value: tuple[float, int], digits: int) -> str:
    """A mean and its number of pictures, as a cell of a table."""
    return f"{value[0]:.{digits}f} ({value[1]})" if value[1] else "-"


def pairs(ours: list[Point], theirs: list[Point], metric: str, rate: str) -> Pairs:
    """A metric of one picture, ours and theirs, at a rate or at each of our own."""
    if rate == OWN:
        return [(row[metric], mean_at(theirs, metric, row["bpp"])[0]) for row in ours]
    return [(mean_at(ours, metric, float(rate))[0], mean_at(theirs, metric, float(rate))[0])]


def difference(found: Pairs, percent: bool) -> tuple[float, int]:
    """The mean gap of pairs where both are known, or its share of the mean of the second, and their
    number."""
    known = both_known(found)
    gap, count = mean([mine - other for mine, other in known])
    share = 100 / mean([other for _, other in known])[0] if percent else 1.0
    return share * gap, count


def average(found: Pairs, metric: str, percent: bool) -> str:
    """The difference of all pairs, as a cell of a table."""
    return show(difference(found, percent), digits_of(metric, percent))


def spread(found: Pairs, metric: str, percent: bool) -> str:
    """The lowest and the highest difference of single pairs, as a cell of a table."""
    digits = digits_of(metric, percent)
    gaps = [difference([pair], percent)[0] for pair in both_known(found)]
    return f"{min(gaps):.{digits}f} to {max(gaps):.{digits}f} ({len(gaps)})" if gaps else "-"


def both_known(found: Pairs) -> Pairs:
    """The pairs of two numbers."""
    return [pair for pair in found if not math.isnan(pair[0] - pair[1])]


def digits_of(metric: str, percent: bool) -> int:
    """Digits after the point of a difference."""
    return 1 if percent else METRICS[metric].digits


def differences(
    ours: list[Point],
    theirs: list[Point],
    metric: str,
    rates: list[str],
    cell: Callable[[Pairs, str], str],
) -> list[str]:
    """Rate difference, then the `cell` of the pairs of a metric at each rate."""
    pictures = {row["image"] for row in ours} & {row["image"] for row in theirs}
    both = [(of(ours, image=name), of(theirs, image=name)) for name in sorted(pictures)]
    cells = [show(bd_rate(ours, theirs, metric), 1)]
    for rate in rates:
        cells.append(cell([pair for each in both for pair in pairs(*each, metric, rate)], metric))
    return cells


@click.command()
@click.argument("points", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("curves", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--anchor", "anchors", multiple=True, required=True, help="Codecs of CURVES.")
@click.option("--codec", "wanted", multiple=True, help="Codecs of POINTS; all unless given.")
@click.option("--bpp", default="0.02,0.03,0.05,0.1", help="Rates, joined by commas.")
@click.option("--percent", is_flag=True, help="Differences in percent of the anchor's metric.")
@click.option("--spread", "single", is_flag=True, help="Lowest and highest instead of means.")
def main(
    points: Path,
    curves: Path,
    anchors: tuple[str, ...],
    wanted: tuple[str, ...],
    bpp: str,
    percent: bool,
    single: bool,
) -> None:
    """Print POINTS beside CURVES."""
    cell = partial(spread if single else average, percent=percent)
    ours, others, rates = read(points), read(curves), bpp.split(",")
    print(f"| codec | anchor | metric | BD-rate % | {' | '.join(f'at {r}' for r in rates)} |")
    print("|" + "---|" * (4 + len(rates)))
    for codec in wanted or codecs(ours):
        for anchor in anchors:
            names = anchor.split(",")
            for metric in METRICS:
                mine = having(of(ours, codec=codec), metric)
                theirs = having([row for row in others if row["codec"] in names], metric)
                cells = differences(mine, theirs, metric, rates, cell)
                if any(cell != "-" for cell in cells):
                    print(f"| {codec} | {anchor} | {metric} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
