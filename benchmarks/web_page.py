"""What the page of `hdc web` takes for a picture, in a headless Chromium.

    python benchmarks/web_page.py PICTURE --runtime ONNXRUNTIME_WEB [--quality 60] [--runs 3]
        [--chromium PATH]

PICTURE is coded; a fresh browser opens the page, then the file: until its facts are there, until
its picture is, which includes what is loaded before, and then for each turn of the dial. That is
done twice, on a page that is not isolated, thus in one thread, and then on one that is. Seconds are
those of the clock and of the processor; memory is the most that the page's process had.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click
from measuring import machine, table
from PIL import Image

from hdcodec import Codec
from hdcodec._site import write_site

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import chromium

SHOWN = "document.querySelector('.stage:not([hidden]):not(.stale)')"
IDLE = "!document.querySelector('article[aria-busy=true]')"
FAULT = "[...document.querySelectorAll('.fault:not([hidden])')].map(x => x.textContent).join()"
TICKS = os.sysconf("SC_CLK_TCK")


class Handler(SimpleHTTPRequestHandler):
    """Says nothing."""

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def renderers(process: int) -> list[Path]:
    """The places in /proc of all processes under one that draw pages."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command, parents = (place / "cmdline").read_text(), [place]
            while (parent := parent_of(parents[-1])) not in (0, process):
                parents.append(Path(f"/proc/{parent}"))
        except OSError:
            continue
        if parent == process and "--type=renderer" in command:
            found.append(place)
    return found


def parent_of(place: Path) -> int:
    """The number of a process' parent."""
    return int((place / "stat").read_text().rpartition(")")[2].split()[1])


def used(process: int) -> tuple[float, float]:
    """Seconds of the processor of all pages, and the most MB that one had."""
    seconds, most = 0.0, 0.0
    for place in renderers(process):
        fields = (place / "stat").read_text().rpartition(")")[2].split()
        seconds += (int(fields[11]) + int(fields[12])) / TICKS
        lines = (place / "status").read_text().splitlines()
        (peak,) = (line for line in lines if line.startswith("VmHWM"))
        most = max(most, int(peak.split()[1]) / 1024)
    return seconds, most


def visit(page: chromium.Page, process: int, file: Path, runs: int) -> dict[str, object]:
    """What a page that is open takes for a file."""
    begun, (before, _) = time.perf_counter(), used(process)
    page.choose("#choose", file)
    page.wait("document.querySelector('.facts').children.length")
    facts = time.perf_counter() - begun
    page.wait(f"({SHOWN} && {IDLE}) || {FAULT}")
    first, (after, _) = time.perf_counter() - begun, used(process)
    again, busy = [], []
    for run in range(runs):
        begun, (at, _) = time.perf_counter(), used(process)
        page.run("document.querySelector('.dial input').focus()")
        page.press("Home" if run % 2 else "End")
        page.wait(f"({SHOWN} && {IDLE}) || {FAULT}")
        again.append(time.perf_counter() - begun)
        busy.append(used(process)[0] - at)
    if fault := page.run(FAULT):
        raise click.ClickException(fault)
    return {
        "threads": page.run("crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1"),
        "facts, s": f"{facts:.1f}",
        "first picture, s": f"{first:.1f}",
        "of the processor": f"{after - before:.1f}",
        "again, s": f"{statistics.median(again):.1f}",
        "of the processor, again": f"{statistics.median(busy):.1f}",
        "memory, MB": f"{used(process)[1]:.0f}",
    }


@click.command()
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--runtime", type=click.Path(exists=True, path_type=Path))
@click.option("--quality", type=float, default=60, show_default=True)
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True)
@click.option("--chromium", "browser", type=click.Path(exists=True, resolve_path=True))
def main(
    picture: Path, runtime: Path | None, quality: float, runs: int, browser: str | None
) -> None:
    """Print a table for PICTURE."""
    program = browser or chromium.find()
    if program is None:
        raise click.ClickException("there is no Chromium")
    rows = []
    with Image.open(picture) as image:
        pixels = image.convert("RGB")
    with tempfile.TemporaryDirectory() as made:
        site, file = Path(made) / "site", Path(made) / "file.hdc"
        print(f"the site: {write_site(site, runtime).bytes / 1e6:.1f} MB")
        file.write_bytes(Codec(device="cpu").compress(pixels, quality=quality))

        def serve(request: Any, address: Any, server: Any) -> Handler:
            return Handler(request, address, server, directory=str(site))

        with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            opened = chromium.Chromium(program)
            page = opened.page()
            for _ in range(2):
                page.open(f"http://127.0.0.1:{server.server_port}/")
                if not rows:
                    sizes = page.run(
                        "performance.getEntries().reduce((n, x) => n + (x.encodedBodySize || 0), 0)"
                    )
                    print(f"first view: {sizes / 1e3:.0f} kB")
                rows.append(visit(page, opened.process.pid, file, runs))
                page.wait("navigator.serviceWorker.controller?.state === 'activated'")
            opened.close()
            server.shutdown()
    print(f"{machine()}, {pixels.width} x {pixels.height}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
