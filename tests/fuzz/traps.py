"""Targets with a fault each, on which a run that finds nothing would be seen to be blind."""

from __future__ import annotations

import ctypes
import time
from random import Random

from .targets import ACCEPTED, Target


class Trap:
    """Accepts every file but one in a hundred."""

    memory, patience = 32 << 20, 0.2

    def mutant(self, random: Random) -> bytes:
        return bytes([random.randrange(100)])

    def __call__(self, data: bytes) -> str:
        if data == b"\x07":
            self.spring()
        return ACCEPTED

    def spring(self) -> None:
        raise KeyError("a fault that is no HdcError")


class Hang(Trap):
    def spring(self) -> None:
        time.sleep(60)


class Busy(Trap):
    def spring(self) -> None:
        while True:
            pass


class Crash(Trap):
    def spring(self) -> None:
        ctypes.string_at(0)


class Greed(Trap):
    def spring(self) -> None:
        bytes(64 << 20)


TRAPS: dict[str, type[Target]] = {
    "fault": Trap,
    "hang": Hang,
    "busy": Busy,
    "crash": Crash,
    "greed": Greed,
}
