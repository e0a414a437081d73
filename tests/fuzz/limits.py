"""What a process may take, and what it has taken."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
from pathlib import Path

HANG = 5.0
"""Seconds of processor time after which a file counts as one that hangs the program."""

WAITING = 12
"""So many times as long it may take by the clock, on a machine that has other work."""

_SELF = Path("/proc/self")


class Watch:
    """Ends the process with a traceback where `tick` is not called for `patience` seconds."""

    def __init__(self, patience: float) -> None:
        self.patience, self._armed = patience, float("-inf")
        faulthandler.register(signal.SIGPROF, chain=True)
        self.tick()

    def tick(self) -> None:
        now = time.monotonic()
        if now - self._armed > self.patience / 10:
            signal.setitimer(signal.ITIMER_PROF, self.patience)
            faulthandler.dump_traceback_later(WAITING * self.patience, exit=True)
            self._armed = now

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()


class Memory:
    """Forbids this process to take more than `limit` bytes beyond what it has, where Linux can."""

    def __init__(self, limit: int) -> None:
        self.before = _status("VmRSS")
        if not self.before:
            return
        import resource

        most = _status("VmSize") + limit
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        _forget_peak()

    def peak(self) -> tuple[int, int]:
        """Bytes of the process at its peak, and those of them that came after the start; 0 where
        that cannot be known."""
        peak = _status("VmHWM")
        return peak, max(0, peak - self.before)


def _status(name: str) -> int:
    """A line of /proc/self/status in bytes; 0 where there is none."""
    try:
        lines = (_SELF / "status").read_text().splitlines()
    except OSError:
        return 0
    found = next((line for line in lines if line.startswith(f"{name}:")), "0 0")
    return int(found.split()[1]) * 1024


def _forget_peak() -> None:
    try:
        with open(_SELF / "clear_refs", "w") as file:
            file.write("5")
    except OSError:
        print("the peak includes the start of the program", file=sys.stderr)


def alone() -> dict[str, str]:
    """An environment without threads, whose stacks and heaps would count as memory taken."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_ARENA_MAX")
    return os.environ | dict.fromkeys(names, "1")
