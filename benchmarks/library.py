"""The library in a fresh interpreter beside the command, on an idle machine and on a busy one.

    python benchmarks/library.py PICTURE [--runs 5] [--busy 2]

Both compress and decompress one picture in processes of their own, by turns. With `--busy` so many
other processes keep a core busy meanwhile.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile

import click
from measuring import seconds, table

LIBRARY = {
    "compress": "import hdcodec, sys; from PIL import Image; "
    "open(sys.argv[2], 'wb').write("
    "hdcodec.compress(Image.open(sys.argv[1]), device='cpu', protect='none'))",
    "decompress": "import hdcodec, sys; "
    "hdcodec.decompress(open(sys.argv[1], 'rb').read(), device='cpu').save(sys.argv[2])",
    "info": "import hdcodec, sys; hdcodec.info(open(sys.argv[1], 'rb').read())",
}


def compare(work: str, files: list[str], runs: int) -> dict[str, object]:
    """Median seconds of the command and of the library, after one of each that does not count."""
    options = ["--force", "--device", "cpu"] if work != "info" else []
    command = [sys.executable, "-m", "hdcodec", work, *files, *options]
    library = [sys.executable, "-c", LIBRARY[work], *files]
    pairs = [(seconds(command), seconds(library)) for _ in range(runs + 1)][1:]
    one, other = map(statistics.median, zip(*pairs, strict=True))
    figures = {"command s": one, "library s": other, "ratio": other / one}
    return {"": work} | {name: f"{value:.2f}" for name, value in figures.items()}


@click.command()
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, resolve_path=True))
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True)
@click.option("--busy", type=click.IntRange(0), default=0, help="Busy processes beside.")
def main(picture: str, runs: int, busy: int) -> None:
    """Print a table of medians for PICTURE."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    try:
        with tempfile.TemporaryDirectory() as folder:
            packed = f"{folder}/a.hdc"
            files = {"compress": [picture, packed], "decompress": [packed, f"{folder}/b.png"]}
            print(table([compare(work, files.get(work, [packed]), runs) for work in LIBRARY]))
    finally:
        for process in others:
            process.kill()


if __name__ == "__main__":
    main()
