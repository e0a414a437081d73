"""What the symbols of a file take in JavaScript, in Node and in a headless Chromium.

    python benchmarks/web.py PICTURE [--quality 20 --quality 60 --quality 95] [--runs 5]
        [--chromium PATH]

PICTURE is coded at each quality; a fresh process decodes its symbols once and then --runs times,
which must be those that Python finds. Node is taken from the PATH, Chromium too unless named;
what is missing has no column.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import click
from measuring import machine, run_command, table
from PIL import Image

from hdcodec import Codec, info, weights

ROOT = Path(__file__).parents[1]
MODULE = "benchmarks/web.mjs"
BROWSERS = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome")
PATIENCE = 300

IN_NODE = """
import {{ readFile }} from "node:fs/promises";
import {{ measure }} from {module};
const places = {places};
const load = async (name) => new Uint8Array(await readFile(places[name]));
console.log(JSON.stringify(await measure(load, {runs})));
"""

PAGE = """<!doctype html><script type="module">
import { measure } from "/benchmarks/web.mjs";
const load = async (name) => new Uint8Array(await (await fetch(`/data/${name}`)).arrayBuffer());
const found = await measure(load, RUNS).catch((fault) => ({ error: String(fault) }));
await fetch("/found", { method: "POST", body: JSON.stringify(found) });
</script>"""


def in_node(node: str, places: dict[str, Path], runs: int) -> dict[str, Any]:
    """What web.mjs measures in a process of its own."""
    script = IN_NODE.format(
        module=json.dumps((ROOT / MODULE).as_uri()),
        places=json.dumps({name: str(path) for name, path in places.items()}),
        runs=runs,
    )
    command = [node, "--input-type=module", "--eval", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def in_chromium(browser: str, places: dict[str, Path], runs: int) -> dict[str, Any]:
    """The same on a page, in a browser of its own, served from this machine."""
    answers: Queue[dict[str, Any]] = Queue()

    class Handler(SimpleHTTPRequestHandler):
        extensions_map = {".js": "text/javascript", ".mjs": "text/javascript"}  # noqa: RUF012

        def translate_path(self, path: str) -> str:
            name = path.rpartition("/")[2]
            return str(places[name]) if path.startswith("/data/") else super().translate_path(path)

        def do_GET(self) -> None:
            if self.path != "/":
                super().do_GET()
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE.replace("RUNS", str(runs)).encode())

        def do_POST(self) -> None:
            answers.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    def serve(request: Any, address: Any, server: Any) -> Handler:
        return Handler(request, address, server, directory=str(ROOT))

    with (
        ThreadingHTTPServer(("127.0.0.1", 0), serve) as server,
        tempfile.TemporaryDirectory() as own,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={own}/profile"]
        address = f"http://127.0.0.1:{server.server_port}/"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen([browser, *options, address], **quiet)
        try:
            found = answers.get(timeout=PATIENCE)
        finally:
            process.kill()
            process.wait()
            server.shutdown()
    if "error" in found:
        raise click.ClickException(f"Chromium: {found['error']}")
    return found


@click.command()
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--quality", "qualities", type=float, multiple=True, default=(20, 60, 95))
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True)
@click.option("--chromium", type=click.Path(exists=True, dir_okay=False, resolve_path=True))
def main(picture: Path, qualities: tuple[float, ...], runs: int, chromium: str | None) -> None:
    """Print a table for PICTURE."""
    engines = {"node": (in_node, shutil.which("node"))}
    browser = chromium or next(filter(None, map(shutil.which, BROWSERS)), None)
    engines["chromium"] = (in_chromium, browser)
    codec = Codec(device="cpu")
    folder = weights.find(codec.model_id).folder
    with Image.open(picture) as image:
        pixels = image.convert("RGB")
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as made:
        places = {name: folder / name for name in ("manifest.json", "entropy.safetensors")}
        places["file.hdc"] = Path(made) / "file.hdc"
        for quality in qualities:
            places["file.hdc"].write_bytes(codec.compress(pixels, quality=quality))
            told = info(places["file.hdc"])
            row: dict[str, object] = {
                "quality": f"{quality:g}",
                "bytes": told["bytes"],
                "indices": told["kept_indices"],
            }
            for name, (measure, program) in engines.items():
                found = measure(program, places, runs) if program else None
                if found and found["sha256"] != told["symbols_sha256"]:
                    raise click.ClickException(f"{name} finds other symbols")
                row[f"{name}, first, s"] = f"{found['first']:.2f}" if found else None
                again = found and statistics.median(found["later"])
                row[f"{name}, again, s"] = f"{again:.2f}" if found else None
            rows.append(row)
    for _, program in engines.values():
        if program:
            done = subprocess.run(
                [program, "--version"], capture_output=True, text=True, check=True
            )
            print(f"{Path(program).name} {done.stdout.strip()}")
    print(f"{machine()}, {pixels.width} x {pixels.height}\n\n{table(rows)}")


if __name__ == "__main__":
    run_command(main)
