"""What the benchmarks share: work in processes of its own, its seconds and memory, tables."""

from __future__ import annotations

import multiprocessing
import os
import platform
import resource
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

THREADS = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def apart(function: Callable[..., Any], *arguments: object) -> Any:
    """The result of a function in a fresh process; this one stays small, as its size is passed
    on."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def peak_megabytes() -> int:
    """The highest resident size of this process so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def seconds(command: Sequence[object]) -> float:
    """Of a whole process, without settings of threads from outside.

    Without a timeout, with which Python waits in steps of up to 50 ms.
    """
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    start = time.perf_counter()
    subprocess.run(list(map(str, command)), check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Markdown, without the columns that are empty in all rows."""
    heads = [head for head in rows[0] if any(row[head] is not None for row in rows)]
    lines = [heads, ["---"] * len(heads), *([_cell(row[head]) for head in heads] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(value: object) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def machine() -> str:
    """What figures are made on, in one line."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "pillow"))
    processor = next(names, platform.processor() or platform.machine())
    return f"{processor}, {cores} cores, Python {platform.python_version()}, {versions}"
