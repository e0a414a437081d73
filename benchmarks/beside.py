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
from pathlib import Path

import click
import numpy as np

from hdcodec.eval import METRICS, Point
from hdcodec.eval.summary import bd_rate, codecs, mean_at, of

OWN = "own"

Pairs = list[tuple[float, float]]


def read(path: Path) -> list[Point]:
    """The points of a file, pictures under the digits of their names."""
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return [row | {"image": "".join(filter(str.isdigit, str(row["image"])))} for row in rows]


def measured(row: Point, metric: str) -> bool:
    """Whether a point has a metric."""
    return row.get(metric) is not None


def pairs(ours: list[Point], theirs: list[Point], metric: str, rate: str) -> Pairs:
    """A metric of each picture of both, ours and theirs, at a rate or at each of our own, without
    those that one of them has not."""
    found = []
    for image in sorted({row["image"] for row in ours} & {row["image"] for row in theirs}):
        mine, other = of(ours, image=image), of(theirs, image=image)
        if rate == OWN:
            found += [(row[metric], mean_at(other, metric, row["bpp"])[0]) for row in mine]
        else:
            found.append(tuple(mean_at(rows, metric, float(rate))[0] for rows in (mine, other)))
    return [pair for pair in found if not math.isnan(pair[0] - pair[1])]


def difference(found: Pairs, percent: bool) -> float:
    """The mean gap of pairs, or its share of the mean of the second."""
    ours, theirs = np.mean(found, axis=0)
    return float(100 * (ours / theirs - 1) if percent else ours - theirs)


def cell(found: Pairs, metric: str, percent: bool, spread: bool) -> str:
    """The difference of all pairs, or the lowest and the highest of single ones."""
    if not found:
        return "-"
    parts = [[pair] for pair in found] if spread else [found]
    gaps = sorted(difference(part, percent) for part in parts)
    ends = (gaps[0], gaps[-1]) if spread else gaps
    digits = 1 if percent else METRICS[metric].digits
    return f"{' to '.join(f'{gap:.{digits}f}' for gap in ends)} ({len(found)})"


@click.command()
@click.argument("points", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("curves", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--anchor", "anchors", multiple=True, required=True, help="Codecs of CURVES.")
@click.option("--codec", "wanted", multiple=True, help="Codecs of POINTS; all unless given.")
@click.option("--bpp", default="0.02,0.03,0.05,0.1", help="Rates, joined by commas.")
@click.option("--percent", is_flag=True, help="Differences in percent of the anchor's metric.")
@click.option("--spread", is_flag=True, help="Lowest and highest instead of means.")
def main(
    points: Path,
    curves: Path,
    anchors: tuple[str, ...],
    wanted: tuple[str, ...],
    bpp: str,
    percent: bool,
    spread: bool,
) -> None:
    """Print POINTS beside CURVES."""
    ours, others, rates = read(points), read(curves), bpp.split(",")
    print(f"| codec | anchor | metric | BD-rate % | {' | '.join(f'at {r}' for r in rates)} |")
    print("|" + "---|" * (4 + len(rates)))
    for codec in wanted or codecs(ours):
        for anchor in anchors:
            names = anchor.split(",")
            for metric in METRICS:
                mine = [row for row in of(ours, codec=codec) if measured(row, metric)]
                theirs = [row for row in others if row["codec"] in names and measured(row, metric)]
                saved, count = bd_rate(mine, theirs, metric)
                cells = [f"{saved:.1f} ({count})" if count else "-"]
                cells += [
                    cell(pairs(mine, theirs, metric, r), metric, percent, spread) for r in rates
                ]
                if any(text != "-" for text in cells):
                    print(f"| {codec} | {anchor} | {metric} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
