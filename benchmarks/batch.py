"""How much faster `hdc batch` is with a worker per core than with one worker on one core.

    python benchmarks/batch.py FOLDER [--runs 3] [--workers 2] [-q 50]

Whole commands, start to end, so that the start of Python and torch in every process counts; the
best of the runs of each kind, which take turns. "Working" leaves the start out: it is the sum of
the seconds that the report gives for each file, by worker, the slowest worker's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import click

ALL_CORES = os.sched_getaffinity(0)


def run(folder: Path, workers: int, quality: float) -> tuple[float, float]:
    """Seconds of a command in all, and of its slowest worker's work on files."""
    cores = sorted(ALL_CORES)[:workers]
    with tempfile.TemporaryDirectory() as out:
        report = Path(out, "report.jsonl")
        command = [sys.executable, "-m", "hdcodec", "batch", "compress", str(folder), f"{out}/out"]
        command += ["--workers", str(workers), "-q", str(quality), "--device", "cpu", "--quiet"]
        start = time.perf_counter()
        os.sched_setaffinity(0, cores)
        try:
            subprocess.run([*command, "--report", str(report)], check=True)
        finally:
            os.sched_setaffinity(0, ALL_CORES)
        seconds = time.perf_counter() - start
        busy: dict[str, float] = defaultdict(float)
        for row in map(json.loads, report.read_text().splitlines()):
            if row["status"] == "done":
                busy[row["worker"]] += row["seconds"]
    return seconds, max(busy.values())


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True)
@click.option("--workers", type=click.IntRange(2), default=2, show_default=True)
@click.option("-q", "--quality", default=50.0, show_default=True)
def main(folder: Path, runs: int, workers: int, quality: float) -> None:
    """Compress the pictures in FOLDER with one worker and with several, and compare."""
    taken: dict[int, list[tuple[float, float]]] = {1: [], workers: []}
    for _ in range(runs):
        for count, times in taken.items():
            times.append(run(folder, count, quality))
    print("| workers | whole command s | working s |\n| --- | --- | --- |")
    best = {count: tuple(map(min, zip(*times, strict=True))) for count, times in taken.items()}
    for count, (whole, working) in best.items():
        print(f"| {count} | {whole:.2f} | {working:.2f} |")
    ratios = (one / many for one, many in zip(best[1], best[workers], strict=True))
    print("| speed-up | {:.2f} | {:.2f} |".format(*ratios))


if __name__ == "__main__":
    main()
