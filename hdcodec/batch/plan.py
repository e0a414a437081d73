"""Which files are worked on, and what their outputs are called."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Literal

from hdcodec._errors import HdcError
from hdcodec._pictures import HDC, STUBS, lacking, open_image, readable
from hdcodec.batch.names import name, outputs
from hdcodec.batch.rows import Item, Row
from hdcodec.batch.walk import Found, walk
from hdcodec.format import MAGIC

Direction = Literal["compress", "decompress"]
Existing = Literal["fail", "skip", "replace"]
Shard = tuple[int, int]

EXISTS = "its output exists"


@dataclass
class Plan:
    """items: the work. settled: rows of all else. Their indices together are 0, 1, 2, ..."""

    items: list[Item] = field(default_factory=list)
    settled: list[Row] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.items) + len(self.settled)


def make_plan(
    source: Path,
    target: Path,
    direction: Direction,
    suffix: str,
    *,
    patterns: Sequence[str] = (),
    shard: Shard = (1, 1),
    existing: Existing = "fail",
) -> Plan:
    """Find the inputs of one shard in folder `source`, and mirror them in folder `target`.

    suffix: that of the outputs. patterns: of these an input matches at least one, by its path if
    the pattern has a slash, else by its name, whatever the case; none means all. shard: (number
    from 1, how many); all shards agree on the names. existing: what to do about outputs that are
    there already. Warns of a file in `target` that has the name of an output no longer; raises
    HdcError if nothing matches the patterns.
    """
    is_input = _is_picture() if direction == "compress" else _is_hdc
    found = [_judged(entry, source, is_input) for entry in walk(source, target)]
    inputs = [entry for entry in found if entry.reason is None and entry.error is None]
    paths = [entry.path for entry in inputs]
    output_of = dict(zip(paths, outputs(paths, suffix), strict=True))
    _warn_of_stale(target, output_of, suffix)

    plan = Plan()
    for entry in _matching(found, patterns, source):
        if _in_shard(entry.path, shard):
            _add(plan, entry, source, target, output_of.get(entry.path), existing)
    return plan


def _warn_of_stale(
    target: Path, output_of: Mapping[PurePosixPath, PurePosixPath], suffix: str
) -> None:
    """Name the outputs of earlier runs in which a name was still alone."""
    former: dict[PurePosixPath, list[str]] = defaultdict(list)
    for path, output in output_of.items():
        if output != name(path, suffix):
            former[name(path, suffix)].append(path.name)
    for output in former.keys() - set(output_of.values()):
        if (target / output).is_file():
            sources = " or ".join(sorted(former[output]))
            warnings.warn(
                f"{target / output} is from a run before this one, made of {sources}, "
                "which now have outputs of their own: remove it",
                stacklevel=2,
            )


def _matching(found: list[Found], patterns: Sequence[str], source: Path) -> list[Found]:
    if not patterns:
        return found
    lower = [pattern.lower() for pattern in patterns]
    matching = [entry for entry in found if _matches(entry.path, lower)]
    if not matching:
        raise HdcError(f"nothing in {source} matches {' or '.join(patterns)}")
    return matching


def _matches(path: PurePosixPath, patterns: Sequence[str]) -> bool:
    return any(
        fnmatchcase((str(path) if "/" in pattern else path.name).lower(), pattern)
        for pattern in patterns
    )


def _in_shard(path: PurePosixPath, shard: Shard) -> bool:
    number, count = shard
    digest = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % count == number - 1


def _judged(entry: Found, source: Path, is_input: Callable[[Path], str | None]) -> Found:
    """The entry with a reason to skip it if it is no input at all."""
    if entry.reason is not None or entry.is_folder:
        return entry
    reason = is_input(source / entry.path)
    return entry if reason is None else replace(entry, reason=reason, error=None)


def _add(
    plan: Plan,
    entry: Found,
    source: Path,
    target: Path,
    mirrored: PurePosixPath | None,
    existing: Existing,
) -> None:
    index, path = len(plan), str(source / entry.path)
    output = None if mirrored is None else str(target / mirrored)
    if entry.error is not None:
        plan.settled.append(Row(index, "failed", path, error=entry.error))
    elif output is None:
        plan.settled.append(Row(index, "skipped", path, reason=entry.reason))
    elif existing == "skip" and Path(output).is_file():
        plan.settled.append(Row(index, "skipped", path, output, reason=EXISTS))
    else:
        plan.items.append(Item(index, path, output))


def _is_picture() -> Callable[[Path], str | None]:
    """A test that says why a file is no picture, by its name; without an extension by content."""
    may_be_read = readable()

    def judge(path: Path) -> str | None:
        if may_be_read(path) or (not path.suffix and _opens(path)):
            return None
        return lacking(path) or "not a picture"

    return judge


def _opens(path: Path) -> bool:
    """Whether Pillow knows the file by its content; any failure to read it means no."""
    try:
        with open_image(path) as image:
            return image.format not in STUBS
    except Exception:
        return False


def _is_hdc(path: Path) -> str | None:
    if path.suffix.lower() == HDC or (not path.suffix and _starts_with_magic(path)):
        return None
    return "not an .hdc file"


def _starts_with_magic(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def leaves(target: str | os.PathLike[str], output: str | os.PathLike[str]) -> bool:
    """Whether a link below folder `target` leads the file `output` out of it."""
    root, folder = os.path.realpath(target), os.path.realpath(os.path.dirname(output))
    try:
        return os.path.commonpath([root, folder]) != root
    except ValueError:  # two drives
        return True
