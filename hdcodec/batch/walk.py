"""All that lies in a folder, in a stable order, each folder visited once."""

from __future__ import annotations

import os
import stat
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

HIDDEN = "hidden"
LINK = "a link to a folder that is covered already"
SPECIAL = "not a regular file"

Identity = tuple[int, int]


@dataclass(frozen=True)
class Found:
    """A path below the root. reason: why it is to be skipped. error: why it cannot be read."""

    path: PurePosixPath
    reason: str | None = None
    error: str | None = None
    is_folder: bool = False


def walk(root: Path, left_out: Path) -> list[Found]:
    """Every file below `root`, and every folder or link that is not entered, sorted by path.

    Links are followed, links to folders after all real folders, so that a loop or a second way to
    the same folder ends at once. `left_out` is not entered.
    """
    walker = _Walker(
        root, {_identity(root)} | ({_identity(left_out)} if left_out.exists() else set())
    )
    walker.run()
    return sorted(walker.found, key=lambda found: found.path.parts)


class _Walker:
    def __init__(self, root: Path, seen: set[Identity]) -> None:
        self.root, self.seen = root, seen
        self.found: list[Found] = []
        self.links: deque[PurePosixPath] = deque()

    def run(self) -> None:
        self.enter(PurePosixPath())
        while self.links:
            path = self.links.popleft()
            if self.is_new(path):
                self.enter(path)
            else:
                self.found.append(Found(path, reason=LINK))

    def is_new(self, path: PurePosixPath) -> bool:
        identity = _identity(self.root / path)
        new = identity not in self.seen
        self.seen.add(identity)
        return new

    def enter(self, top: PurePosixPath) -> None:
        """Look at all real folders from `top` down."""
        folders = deque([top])
        while folders:
            folder = folders.popleft()
            try:
                with os.scandir(self.root / folder) as entries:
                    names = sorted(entry.name for entry in entries)
            except OSError as error:
                reason = error.strerror or str(error)
                self.found.append(Found(folder, error=reason, is_folder=True))
                continue
            folders.extend(sub for name in names if (sub := self.look(folder / name)))

    def look(self, path: PurePosixPath) -> PurePosixPath | None:
        """Note what `path` is; a real folder to enter is returned."""
        found = Found(path)
        if path.name.startswith("."):
            self.found.append(replace(found, reason=HIDDEN))
            return None
        try:
            mode = (self.root / path).stat().st_mode
            is_link = (self.root / path).is_symlink()
        except OSError as error:
            self.found.append(replace(found, error=error.strerror or str(error)))
            return None
        if stat.S_ISDIR(mode):
            if is_link:
                self.links.append(path)
                return None
            return path if self.is_new(path) else None
        self.found.append(found if stat.S_ISREG(mode) else replace(found, reason=SPECIAL))
        return None


def _identity(path: Path) -> Identity:
    status = path.stat()
    return status.st_dev, status.st_ino
