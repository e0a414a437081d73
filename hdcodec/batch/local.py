"""A crew of processes on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from hdcodec._ending import end
from hdcodec._errors import HdcError
from hdcodec.batch.cores import Layout
from hdcodec.batch.rows import Item, Row
from hdcodec.batch.schedule import Death, Outcome
from hdcodec.batch.work import Job, Worker

GRACE = 1.5
"""Seconds that a process gets to tidy up when it is asked to end."""


class LocalCrew:
    """One spawned process for each device of the layout, on the other end of a pipe each.

    A pipe per process instead of a shared queue: a process that is killed then cannot take a lock
    along, and it is known what it had in hand.
    """

    def __init__(self, job: Job, layout: Layout) -> None:
        self.job, self.layout, self.size = job, layout, len(layout.devices)
        self.members: dict[int, tuple[SpawnProcess, Connection]] = {}

    def hire(self, slot: int) -> None:
        """Start a process in an empty slot."""
        ours, theirs = get_context("spawn").Pipe()
        process = get_context("spawn").Process(
            target=_serve,
            args=(theirs, self.job, self.layout.devices[slot]),
            name=f"hdc-{slot}",
            daemon=True,
        )
        with _environment(self.layout.environment), _interrupts_held_back():
            process.start()
        theirs.close()
        self.members[slot] = process, ours

    def give(self, slot: int, item: Item) -> None:
        """Send an item to a free process; that it is dead shows as an outcome."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.members[slot][1].send(item)

    def outcomes(self) -> Sequence[tuple[int, Outcome]]:
        """Wait for rows, faults and deaths."""
        ready = connection.wait([pipe for _, pipe in self.members.values()])
        slots = [slot for slot, (_, pipe) in self.members.items() if pipe in ready]
        return [(slot, self._outcome(slot)) for slot in slots]

    def _outcome(self, slot: int) -> Outcome:
        process, pipe = self.members[slot]
        try:
            outcome: Row | HdcError = pipe.recv()
            return outcome
        except (EOFError, OSError):
            del self.members[slot]
            pipe.close()
            process.join(GRACE)
            return Death(_cause(process.exitcode))

    def close(self) -> None:
        """End all processes: idle ones at once, busy ones after they have tidied up or GRACE."""
        deadline = time.monotonic() + GRACE
        for process, _ in self.members.values():
            process.terminate()
        for process, pipe in self.members.values():
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
            pipe.close()
        self.members.clear()


def _serve(pipe: Connection, job: Job, device: str) -> None:
    """Life of a process: items in, outcomes out, until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: end(0))
    worker = Worker(job, device)
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(worker(pipe.recv()))


def _cause(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"{name}, perhaps for want of memory" if name == "SIGKILL" else name


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Variables for processes that start inside."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Processes that start inside never see Ctrl-C; for this one it comes when the block is left.

    (A terminal sends it to all of them, but only this one is to act on it.)
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # else this would happen inside and lift the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
