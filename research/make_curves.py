"""Draws the learning curves of the landed weights from the logs of their training.

    python research/make_curves.py research/training-log.jsonl research/learning-curves.png

A line of the log is one that `hdcodec.train` prints, with the round and the job it belongs to:
means over a hundred steps on training crops. The crops of `lic` differ in size from job to job.
What lies above 97 % of a panel's figures is cut off.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import click

Row = dict[str, Any]
PANELS = (
    ("lic", "loss", "LIC stream: loss"),
    ("prior", "bits_per_index", "index prior: bits per index"),
    ("fusion", "gain", "fusion: LPIPS of the picture less that of the LIC image"),
    ("fusion", "dists", "fusion: DISTS of the less faithful patches"),
)
FUSION = ("drv2", "joint", "whole")
COLOURS = {
    1: "tab:gray",
    2: "tab:blue",
    3: "tab:red",
    4: "tab:green",
    5: "tab:purple",
    6: "tab:brown",
    7: "tab:orange",
    8: "tab:pink",
    9: "black",
    10: "tab:olive",
    11: "tab:cyan",
    12: "gold",
}


def curves(rows: list[Row], stage: str, name: str) -> dict[tuple[int, str, int], list[Row]]:
    """The rows of each job of a stage that have a figure."""
    jobs: dict[tuple[int, str, int], list[Row]] = defaultdict(list)
    for row in rows:
        if (
            row["stage"] == stage or (stage == "fusion" and row["stage"] in FUSION)
        ) and name in row:
            jobs[row["round"], row["stage"], row["job"]].append(row)
    return jobs


@click.command()
@click.argument("log", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
def main(log: Path, out: Path) -> None:
    """Plot LOG into OUT."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [json.loads(line) for line in log.read_text().splitlines()]
    for row in rows:
        if "out_lpips" in row:
            row["gain"] = row["out_lpips"] - row["lic_lpips"]
    figure, axes = pyplot.subplots(2, 2, figsize=(13, 7), layout="constrained")
    for axis, (stage, name, title) in zip(axes.flat, PANELS, strict=True):
        start: float = 0
        figures: list[float] = []
        for (turn, kind, job), points in curves(rows, stage, name).items():
            minutes = [start + point["minutes"] for point in points]
            label = f"round {turn}, {kind}" + (f" ({job})" if job > 1 else "")
            axis.plot(minutes, [point[name] for point in points], color=COLOURS[turn], label=label)
            figures += [point[name] for point in points]
            start = minutes[-1]
            axis.axvline(start, color="lightgray", linewidth=0.8)
        axis.set(title=title, xlabel="minutes, all jobs of the stage")
        axis.set_ylim(top=sorted(figures)[int(0.97 * len(figures))])
        axis.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    main()
