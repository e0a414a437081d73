"""A run over many damaged files, in a process of its own that may crash."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from .limits import Memory, Watch, alone

ROOT = Path(__file__).parents[2]
ENOUGH = 10
"""Faults after which a run ends."""


@dataclass
class Result:
    """outcomes: how many files were accepted, and how many refused by each kind of error.

    faults: what must not be. slowest: seconds of processor time for one file. peak: bytes of the
    process, taken: those beyond what it had at the start, limit: those that it could not pass.
    died: why the process ended too early.
    """

    target: str
    seed: int
    runs: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    slowest_case: int = 0
    peak: int = 0
    taken: int = 0
    limit: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    faults: list[dict[str, Any]] = field(default_factory=list)
    died: str | None = None

    @property
    def clean(self) -> bool:
        return not self.faults and self.died is None


def case(target: Any, seed: int, index: int) -> bytes:
    """The file number `index` of a run; it depends on nothing else."""
    made: bytes = target.mutant(Random(f"{seed} {index}"))
    return made


def fuzz(name: str, runs: int, seed: int) -> Result:
    """Run a child process over `runs` files."""
    with tempfile.TemporaryDirectory() as folder:
        mark, errors = Path(folder, "mark"), Path(folder, "errors")
        mark.write_bytes(bytes(8))
        arguments = [name, str(runs), str(seed), str(mark)]
        with errors.open("wb") as stream:
            done = subprocess.run(
                [sys.executable, "-m", "tests.fuzz.run", *arguments],
                cwd=ROOT, env=alone(), stdout=subprocess.PIPE, stderr=stream, check=False,
            )  # fmt: skip
        if done.returncode == 0:
            return Result(**json.loads(done.stdout))
        index = int.from_bytes(mark.read_bytes(), "little", signed=True)
        last = errors.read_text(errors="replace")[-2000:]
        died = f"case {index}: exit code {done.returncode} (hang or crash)\n{last}"
        return Result(name, seed, max(0, index), died=died)


def _child(name: str, runs: int, seed: int, mark: int) -> Result:
    from .targets import TARGETS
    from .traps import TRAPS

    target = (TARGETS | TRAPS)[name]()
    watch = Watch(target.patience)
    result, outcomes = Result(name, seed, limit=target.memory), Counter[str]()
    for index in range(-1, -20, -1):  # whatever is loaded at first use is there after these
        _note(mark, index)
        watch.tick()
        with contextlib.suppress(Exception):
            target(case(target, seed, index))
    memory, began = Memory(target.memory), time.perf_counter()
    for index in range(runs):
        _note(mark, index)
        watch.tick()
        data = case(target, seed, index)
        started = time.process_time()
        try:
            outcomes[target(data)] += 1
        except Exception:
            result.faults.append({"case": index, "error": traceback.format_exc(limit=-6)})
        seconds = time.process_time() - started
        if seconds > result.slowest:
            result.slowest, result.slowest_case = seconds, index
        result.runs += 1
        if len(result.faults) >= ENOUGH:
            break
    watch.stop()
    result.seconds = time.perf_counter() - began
    result.outcomes = dict(outcomes.most_common())
    result.peak, result.taken = memory.peak()
    if result.slowest > target.patience:
        result.faults.append({"case": result.slowest_case, "error": f"{result.slowest:.1f} s"})
    return result


def _note(mark: int, index: int) -> None:
    os.pwrite(mark, index.to_bytes(8, "little", signed=True), 0)


def main() -> None:
    """Print the result of one run as JSON."""
    name, runs, seed, mark = sys.argv[1:]
    found = _child(name, int(runs), int(seed), os.open(mark, os.O_WRONLY))
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
