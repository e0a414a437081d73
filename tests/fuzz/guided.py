"""The parser under atheris, which is led by the branches that a file reaches.

python -m tests.fuzz.guided COUNTS -runs=200000 -seed=1      (pip install atheris; Linux and macOS)

COUNTS is a file for the outcomes as JSON; what follows goes to libFuzzer. Any exception but an
HdcError, a file that takes 5 seconds, or more than 256 MB in all ends it with an exit code.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import atheris

with atheris.instrument_imports(include=["hdcodec"]):
    import hdcodec
    from hdcodec.format import pack, unpack

from .corpus import hollow_files
from .draft import Draft, checksum
from .mutate import CONTENT, HEADER
from .targets import ACCEPTED

EVERY = 1000
LIMITS = ["-timeout=5", "-rss_limit_mb=256", "-max_len=4096", "-verbosity=0"]


def mutated(body: bytes, longest: int, seed: int) -> bytes:
    """What to try next after `body`, a file without its checksum."""
    random = Random(seed)
    if random.random() < 0.5:
        changed: bytes = atheris.Mutate(body, longest)
        return changed
    try:
        draft = Draft.of(body + checksum(body))
    except hdcodec.HdcError:
        draft = Draft.of(random.choice(SEEDS))
    return bytes(random.choice((*CONTENT, *HEADER))(draft, random))[:longest]


SEEDS = hollow_files()


class Trial:
    """Parses a file, counts what became of it, and writes the counts down now and then."""

    def __init__(self, place: Path) -> None:
        self.place, self.outcomes = place, Counter[str]()

    def __call__(self, body: bytes) -> None:
        data = body + checksum(body)
        try:
            box = unpack(data)
        except hdcodec.HdcError as error:
            self.outcomes[type(error).__name__] += 1
        else:
            assert pack(box.header, box.payload, box.chunks) == data
            self.outcomes[ACCEPTED] += 1
        if self.outcomes.total() % EVERY == 0:
            self.place.write_text(json.dumps(dict(self.outcomes.most_common())))


def main(arguments: list[str]) -> Any:
    trial: Any = Trial(Path(arguments[0]))
    atheris.Setup([sys.argv[0], *LIMITS, *arguments[1:]], trial, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
