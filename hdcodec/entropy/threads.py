"""One thread for the products of the integer networks, which are too small to gain from more.

On a machine with other work, threads that wait for each other make them take ten times as long.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

_lock = Lock()
_inside = 0
_limit: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """numpy's products take one thread inside, as many as before when the last thread has left.

    The setting is the process's: counting who is inside keeps two threads from restoring what the
    other one set.
    """
    global _inside, _limit
    with _lock:
        _inside += 1
        if _inside == 1:
            _limit = _blas().limit(limits=1) if _blas() else None
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside and _limit:
                _limit.restore_original_limits()


@cache
def _blas() -> Any:
    """The libraries of linear algebra in this process; None if they were told to use one thread."""
    if os.environ.get("OPENBLAS_NUM_THREADS") == "1":
        return None
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


if hasattr(os, "register_at_fork"):
    # A fork may come while another thread, which the child does not have, is inside.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release)

    def _alone() -> None:
        global _inside
        _inside = 0
        _lock.release()

    os.register_at_fork(after_in_child=_alone)
