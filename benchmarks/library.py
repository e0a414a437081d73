"""The library in a fresh interpreter beside the command, on an idle machine and on a busy one.

    python benchmarks/library.py PICTURE
    python benchmarks/library.py PICTURE --busy 2

Both compress and decompress one picture in processes of their own, by turns. With `--busy` so many
other processes keep a core busy meanwhile.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

LIBRARY = {
    "compress": "import hdcodec, sys; from PIL import Image; "
    "open(sys.argv[2], 'wb').write(hdcodec.compress(Image.open(sys.argv[1]), device='cpu'))",
    "decompress": "import hdcodec, sys; "
    "hdcodec.decompress(open(sys.argv[1], 'rb').read(), device='cpu').save(sys.argv[2])",
    "info": "import hdcodec, sys; hdcodec.info(open(sys.argv[1], 'rb').read())",
}
SETTINGS = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def busy() -> Iterator[None]:
    """A process that does nothing but count."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def seconds(command: list[str]) -> float:
    """Of a whole process, without settings of threads from outside."""
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    start = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def pairs(work: str, files: list[str], runs: int) -> tuple[list[float], list[float]]:
    """Seconds of the command and of the library, by turns, after one of each that counts not."""
    options = ["--force", "--device", "cpu"] if work != "info" else []
    command = [sys.executable, "-m", "hdcodec", work, *files, *options]
    library = [sys.executable, "-c", LIBRARY[work], *files]
    found = [(seconds(command), seconds(library)) for _ in range(runs + 1)][1:]
    return [pair[0] for pair in found], [pair[1] for pair in found]


@click.command()
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True)
@click.option("--busy", "others", type=click.IntRange(0), default=0, help="Busy processes beside.")
def main(picture: Path, runs: int, others: int) -> None:
    """Print a table of medians for PICTURE."""
    print("| | command s | library s | ratio |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for _ in range(others):
            stack.enter_context(busy())
        packed, again = f"{folder}/a.hdc", f"{folder}/b.png"
        files = {"compress": [str(picture), packed], "decompress": [packed, again]}
        for work in LIBRARY:
            command, library = map(statistics.median, pairs(work, files.get(work, [packed]), runs))
            print(f"| {work} | {command:.2f} | {library:.2f} | {library / command:.2f} |")


if __name__ == "__main__":
    main()
