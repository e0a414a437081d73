"""Names of outputs: a mirror of the inputs' names in which no two are the same."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

MARK_DIGITS = 8


def outputs(inputs: Sequence[PurePosixPath], suffix: str) -> list[PurePosixPath]:
    """For each relative path its output's: a.png -> a.hdc, and no two alike.

    Where two would be (a.png and a.jpg, or names that only some file systems tell apart), each
    keeps its whole name: a.png.hdc, a.jpg.hdc. If that does not help, a mark is added that depends
    on the name alone. None of them gets the name that it would have alone: there may be a file of
    that name, made when only one of them was there. The result does not depend on the order of
    `inputs`.
    """
    ranks = [0] * len(inputs)
    while True:
        names = [name(path, suffix, rank) for path, rank in zip(inputs, ranks, strict=True)]
        clashing = _clashing(names)
        if not clashing:
            return names
        for group in clashing:
            lowest = min(ranks[index] for index in group)
            for index in group:
                ranks[index] += ranks[index] == lowest


def name(path: PurePosixPath, suffix: str, rank: int = 0) -> PurePosixPath:
    """The output's name, as it is alone (0), or longer to be told from others (1, 2, ...)."""
    if rank == 0:
        return path.with_name(path.stem + suffix)
    parts = rank - bool(path.suffix)  # of a name without an extension there is no longer form
    if parts == 0:
        return path.with_name(path.name + suffix)
    digest = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()
    return path.with_name(f"{path.name}~{digest[: MARK_DIGITS * parts]}{suffix}")


def _clashing(names: Sequence[PurePosixPath]) -> list[list[int]]:
    """Groups of names that some file system takes for one."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        groups[unicodedata.normalize("NFC", str(name)).casefold()].append(index)
    return [group for group in groups.values() if len(group) > 1]
