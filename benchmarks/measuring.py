"""What the benchmarks share: errors in one line, work in processes of its own, its seconds and
memory, tables."""

from __future__ import annotations

import multiprocessing
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from hdcodec import HdcError

THREADS = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
WITHOUT = (*THREADS, "PYTHONDONTWRITEBYTECODE")
"""Variables that processes are timed without: an installation has its modules compiled."""


def run_command(main: Callable[[], object]) -> None:
    """Run a benchmark's command line; a file or folder that will not do ends it in one line."""
    try:
        main()
    except (HdcError, OSError, ValueError) as error:
        sys.exit(f"Error: {error}")


def apart(function: Callable[..., Any], *arguments: object) -> Any:
    """The result of a function in a fresh process; this one stays small, as its size is passed
    on."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def peak_megabytes() -> int:
    """The highest resident size of this process so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def seconds(command: Sequence[object], **variables: str) -> float:
    """Of a whole process, without settings of threads from outside."""
    return cost(command, **variables)[0]


def cost(command: Sequence[object], **variables: str) -> tuple[float, float]:
    """Seconds of a whole process and its highest resident size in megabytes, with `variables` in
    its environment and without settings from outside that users do not have.

    Without a timeout, with which Python waits in steps of up to 50 ms.
    """
    environment = {name: value for name, value in os.environ.items() if name not in WITHOUT}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:  # where no package lies that Python would prefer
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=folder,
            env=environment | variables,
            stdout=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - start, used.ru_maxrss / 1024


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
    packages = ("torch", "onnxruntime", "pillow")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    processor = next(names, platform.processor() or platform.machine())
    return f"{processor}, {cores} cores, Python {platform.python_version()}, {versions}"
