"""From the command line to an exit code: every failure becomes one line on stderr."""

import contextlib
import os
import sys
import warnings
from collections.abc import Sequence

import click

from hdcodec._atomic import output_errors
from hdcodec._ending import INTERRUPTED
from hdcodec._errors import OutputError, describe
from hdcodec.cli._files import printable, tell
from hdcodec.cli._group import group

DONE, FAILED = 0, 1

# Threads that spin while they wait make a picture take 20 times as long on a machine that has other
# work; and the integer networks, all that numpy does here, are too small to gain from threads.
THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `hdc` with `arguments` (default: those of the process) and return its exit code.

    0 done, 1 an error in the data or files, 2 wrong usage, 130 interrupted; a command may have
    codes of its own. HDC_DEBUG=1 in the environment lets unforeseen errors through as they are.
    """
    os.environ.update(THREADS | os.environ)
    _keep_standard_descriptors()
    with warnings.catch_warnings():
        _show_own_warnings()
        return _flushed(_run(arguments))


def _keep_standard_descriptors() -> None:
    """Else the next file opened takes the place of a closed stdin, stdout or stderr."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _show_own_warnings() -> None:
    """Of all warnings only what this package has to say on the data, as a line like an error's."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module="hdcodec")
        warnings.showwarning = _print_warning  # type: ignore[assignment]


def _print_warning(message: Warning | str, *_: object) -> None:
    tell(f"hdc: warning: {printable(str(message))}")


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = group.main(arguments, prog_name="hdc", standalone_mode=False)
    except click.ClickException as error:
        with contextlib.suppress(OSError):
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _failed("interrupted", INTERRUPTED)
    except Exception as error:
        if os.environ.get("HDC_DEBUG"):
            raise
        return _failed(describe(error), FAILED)
    return code if isinstance(code, int) else DONE


def _failed(message: str, code: int) -> int:
    tell(f"hdc: {printable(message)}")
    return code


def _flushed(code: int) -> int:
    """The exit code once stdout is out; what a full or closed stdout cannot take is dropped."""
    if sys.stdout is None:
        return code
    try:
        with output_errors("stdout"):
            sys.stdout.flush()
    except OutputError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code or _failed(str(error), FAILED)
    return code
