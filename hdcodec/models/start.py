"""Importing torch so that it starts soon, and serves programs with threads and processes."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from hdcodec._errors import DeviceError

_lock = Lock()
_forks_are_watched = False


@contextmanager
def starting_torch() -> Iterator[None]:
    """Wrap whatever imports torch first.

    Garbage collection is off meanwhile: the import makes a great many objects and no garbage, and
    collecting takes a seventh of its time. The threads of OpenMP must not spin while they wait, or
    a picture takes many times as long on a machine with other work; they read that policy when they
    start. Raises DeviceError where torch is not installed.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name == "torch":
            raise DeviceError("this needs PyTorch: pip install 'hdcodec[torch]'") from error
        raise
    finally:
        if enabled:
            gc.enable()
    _watch_forks()


def _watch_forks() -> None:
    """A forked process has none of the threads of OpenMP, but its locks: torch would wait for them
    for ever. With one thread it asks for none."""
    global _forks_are_watched
    with _lock:
        if not _forks_are_watched and hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_use_one_thread)
            _forks_are_watched = True


def _use_one_thread() -> None:
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
