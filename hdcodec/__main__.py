"""The `hdc` command as a process: `python -m hdcodec` and the installed script."""

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from hdcodec._ending import INTERRUPTED, end

OBJECTS = 100_000
"""New ones after which the process looks for garbage that refers to itself."""


def run(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `hdc` with `arguments` (default: those of the process) and exit with its code.

    The exit leaves out what Python does at its end, a fifth of the time that a small picture takes.
    Imports make many objects and no garbage: to look for it at each 700th takes a twentieth.
    """
    gc.set_threshold(OBJECTS)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)
    from hdcodec.cli import main

    code = main(arguments)
    with contextlib.suppress(OSError):
        if sys.stderr is not None:
            sys.stderr.flush()
    os._exit(code)


def _interrupted(_number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, as Python does, but leave at once from an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            with contextlib.suppress(OSError):
                os.write(2, b"hdc: interrupted\n")
            end(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


if __name__ == "__main__":
    run()
