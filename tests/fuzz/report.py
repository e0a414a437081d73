"""What runs have shown, for a terminal and for docs/fuzzing.md."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .limits import HANG, alone
from .run import ROOT, Result, fuzz

RUNS = {"parser": 200_000, "chunks": 20_000, "decoder": 2_000, "pictures": 20_000}
GUIDED = 200_000
PACKAGES = ("pillow", "torch", "numpy", "constriction")

DOCUMENT = """# Fuzzing

Written by `python -m tests.fuzz --record docs/fuzzing.md --seed {seed}`; `tests/test_fuzz.py` does
the same for a few seconds. Files are made by damaging small intact ones: bits, bytes, cuts,
splices, false lengths, chunks mixed up, alpha channels that are other PNGs or bombs, other streams.
Seven in eight get a checksum that fits, so that the damage reaches what lies behind it. File number
N of a run depends on the seed and N alone: `python -m tests.fuzz TARGET --seed {seed} --case N`.

A fault would be any exception but an `HdcError`, a crash, a file that takes more than {hang:g}
seconds of processor time, or more memory than the bound, which `RLIMIT_AS` enforces: so much
beyond what the process has when the run starts, once all that is loaded at first use is there.

| target | what is tried |
|---|---|
| parser | `hdcodec.format.unpack`, and to pack again what it accepts; Pillow's `Image.open` |
| chunks | alpha, EXIF and XMP joined to a blank picture, saved as PNG, TIFF, JPEG, WebP |
| decoder | `hdcodec.info` and `Codec.decompress` of at most 16,384 pixels, saved likewise |
| pictures | `hdcodec.images.load` of damaged pictures in all common formats |

## Results

{versions}.

{table}

{guided}

## What became of the files

{outcomes}
"""


def summary(result: Result) -> str:
    """A few lines on one run."""
    lines = [
        f"{result.target}, seed {result.seed}: {result.runs:,} files in {result.seconds:.1f} s",
        f"slowest {1000 * result.slowest:.0f} ms (case {result.slowest_case}), {_memory(result)}",
        ", ".join(f"{name} {count:,}" for name, count in result.outcomes.items()),
        *(f"FAULT in case {fault['case']}: {fault['error']}" for fault in result.faults),
    ]
    return "\n".join([*lines, f"DIED in {result.died}"] if result.died else lines)


def recorded(document: Path, seed: int) -> int:
    """Run everything and write the document, unless there is a fault; 0 if there is none."""
    results = []
    for name, runs in RUNS.items():
        results.append(fuzz(name, runs, seed))
        print(summary(results[-1]), flush=True)
        if not results[-1].clean:
            return 1
    guided = _guided(seed) if find_spec("atheris") else None
    document.write_text(_document(results, guided, seed))
    return 0


def _guided(seed: int) -> dict[str, int]:
    """The outcomes under atheris; raises CalledProcessError on a fault."""
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder, "counts.json")
        options = [str(counts), f"-runs={GUIDED}", f"-seed={seed}", f"-artifact_prefix={folder}/"]
        command = [sys.executable, "-m", "tests.fuzz.guided", *options]
        subprocess.run(command, cwd=ROOT, env=alone(), check=True, capture_output=True)
        return dict(json.loads(counts.read_text()))


def _document(results: list[Result], guided: Mapping[str, int] | None, seed: int) -> str:
    columns = {result.target: result.outcomes for result in results}
    told = "atheris was not there for this run."
    if guided is not None:
        columns["atheris"] = dict(guided)
        told = (
            f"Beside these, the parser under [atheris](https://github.com/google/atheris) "
            f"{version('atheris')}, led by branch coverage\n(`tests/fuzz/guided.py`): "
            f"{sum(guided.values()):,} files, no fault, 5 s and 256 MB in all as bounds."
        )
    return DOCUMENT.format(
        seed=seed,
        hang=HANG,
        versions=_versions(),
        table=_table(results),
        guided=told,
        outcomes=_outcomes(columns),
    )


def _versions() -> str:
    from hdcodec.models import open_model

    today, weights = time.strftime("%Y-%m-%d"), open_model("hdc").fingerprint
    named = [f"{today}, weights {weights}, Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            named.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(named) + ", one core that had other work too"


def _table(results: list[Result]) -> str:
    head = "| target | files | seconds | slowest file | memory taken | bound | process | faults |"
    rows = [
        f"| {r.target} | {r.runs:,} | {r.seconds:.0f} | {1000 * r.slowest:.0f} ms | "
        f"{_mega(r.taken)} | {_mega(r.limit)} | {_mega(r.peak)} | {len(r.faults)} |"
        for r in results
    ]
    return "\n".join([head, "|---|---|---|---|---|---|---|---|", *rows])


def _outcomes(columns: Mapping[str, Mapping[str, Any]]) -> str:
    names = sorted({name for counts in columns.values() for name in counts})
    rows = [
        f"| {name} | "
        + " | ".join(f"{counts.get(name, 0):,}" for counts in columns.values())
        + " |"
        for name in names
    ]
    return "\n".join(
        ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|", *rows]
    )


def _memory(result: Result) -> str:
    return (
        f"memory taken {_mega(result.taken)} of {_mega(result.limit)}, process {_mega(result.peak)}"
    )


def _mega(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB" if size else "not measured"
