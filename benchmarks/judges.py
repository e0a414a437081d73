"""hdc at both ends of its fidelity beside AVIF and VVC, by metrics that see texture.

    python benchmarks/judges.py FOLDER --every 3 --limit 5 --metric-weights METRICS --out RESULTS

Means at equal rates. What is measured is kept in RESULTS/points.jsonl and not measured again.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
from measuring import machine, run_command

from hdcodec.eval import Report, Store, own_curves, picture_files, rival_curves, run

METRICS = ("lpips_alex", "dists", "wd", "kd")
RATES = (0.01, 0.02, 0.03, 0.05)
QUALITIES, FIDELITIES = (10, 30, 50, 70), (0.0, 1.0)
RIVALS = {"avif@x2": (0, 8, 18), "avif@x4": (0, 18, 38, 58), "vvc": (2, 9, 14, 19)}
"""Settings that lead from below the least to beyond the highest of the rates."""


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--every", type=click.IntRange(1), default=1, help="Of the pictures take every Nth.")
@click.option("--limit", type=click.IntRange(1), help="Take only the first N of those.")
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
def main(
    folder: Path, every: int, limit: int | None, metric_weights: str | None, out: Path
) -> None:
    """Print a table of the pictures in FOLDER."""
    out.mkdir(parents=True, exist_ok=True)
    curves = own_curves(QUALITIES, {"fidelity": FIDELITIES}, device="cpu")
    curves += [replace(rival, settings=RIVALS[rival.name]) for rival in rival_curves(RIVALS)]
    rows = run(
        picture_files(folder)[::every][:limit],
        curves,
        METRICS,
        store=Store(out / "points.jsonl"),
        weights=metric_weights,
        advance=lambda name: click.echo(name, err=True),
    )
    print(f"{machine()}\n")
    print(Report(rows, METRICS, RATES).markdown())


if __name__ == "__main__":
    run_command(main)
