"""Damaged files by the thousand.

python -m tests.fuzz parser --runs 200000 --seed 1    one of parser, chunks, decoder, pictures
python -m tests.fuzz parser --seed 1 --case 77        one file again, in this process
python -m tests.fuzz --record docs/fuzzing.md         all of them, and the document
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .report import recorded, summary
from .run import case, fuzz
from .targets import TARGETS


def main() -> int:
    """0 if every file was accepted or refused as it should be, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("target", nargs="?", choices=TARGETS)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int, help="try this one, and let its fault through")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="where to put that one")
    parser.add_argument("--record", type=Path, metavar="DOCUMENT")
    given = parser.parse_args()
    if given.record:
        return recorded(given.record, given.seed)
    if not given.target:
        parser.error("name a target or --record")
    if given.case is not None:
        return _again(given)
    result = fuzz(given.target, given.runs, given.seed)
    print(summary(result))
    return 0 if result.clean else 1


def _again(given: argparse.Namespace) -> int:
    target = TARGETS[given.target]()
    data = case(target, given.seed, given.case)
    if given.keep:
        given.keep.write_bytes(data)
    print(target(data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
