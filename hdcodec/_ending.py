"""Ending this process at once, from a signal, wherever that met it."""

import contextlib
import os
from typing import NoReturn

INTERRUPTED = 130
"""The exit code after Ctrl-C."""

unfinished: set[str] = set()
"""Files that this process is writing under a temporary name."""


def end(code: int) -> NoReturn:
    """Remove unfinished files and leave without an exception.

    An exception may come up in C++ code that cannot let it through, and then aborts the process;
    while torch is imported, for one.
    """
    for name in unfinished:
        with contextlib.suppress(OSError):
            os.unlink(name)
    os._exit(code)
