"""How much faster `hdc batch` is with a worker per core than with one worker on one core.

    python benchmarks/batch.py FOLDER [--runs 3] [--workers 2]

Whole commands at quality 50, start to end, so that the start of Python and torch in every process
counts; the best of the runs of each kind, which take turns. "Working" leaves the start out: it is
the sum of the seconds that the report gives for each file, by worker, the slowest worker's.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

import click
import numpy as np
from measuring import seconds, table

ALL_CORES = os.sched_getaffinity(0)


def run(folder: Path, workers: int) -> tuple[float, float]:
    """Seconds of a command in all, and of its slowest worker's work on files."""
    with tempfile.TemporaryDirectory() as out:
        report = Path(out, "report.jsonl")
        command = [sys.executable, "-m", "hdcodec", "batch", "compress", folder.resolve()]
        command += [f"{out}/out"]
        command += ["--workers", workers, "-q", 50, "--device", "cpu", "--quiet"]
        command += ["--protect", "none"]
        os.sched_setaffinity(0, sorted(ALL_CORES)[:workers])
        try:
            whole = seconds([*command, "--report", report])
        finally:
            os.sched_setaffinity(0, ALL_CORES)
        busy: Counter[str] = Counter()
        for row in map(json.loads, report.read_text().splitlines()):
            busy[row["worker"]] += row["seconds"]
    if not busy:
        raise click.ClickException(f"no pictures in {folder}")
    return whole, max(busy.values())


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True)
@click.option("--workers", type=click.IntRange(2), default=2, show_default=True)
def main(folder: Path, runs: int, workers: int) -> None:
    """Compress the pictures in FOLDER with one worker and with several, and compare."""
    taken = [(run(folder, 1), run(folder, workers)) for _ in range(runs)]
    one, many = (np.min(times, axis=0) for times in zip(*taken, strict=True))
    rows = {"1": one, str(workers): many, "speed-up": one / many}
    print(table([
        {"workers": name, "whole command s": f"{whole:.2f}", "working s": f"{working:.2f}"}
        for name, (whole, working) in rows.items()
    ]))  # fmt: skip


if __name__ == "__main__":
    main()
