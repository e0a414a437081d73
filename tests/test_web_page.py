"""The page that `hdc web` writes, in a headless Chromium, against what Python decodes.

Skipped without a Chromium (on the PATH, or named by HDC_CHROMIUM) and without the npm package
onnxruntime-web (named by HDC_ORT_WEB).
"""

import base64
import io
import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import Any

import chromium
import numpy as np
import pytest
from chromium import Chromium, Page
from PIL import Image

from hdcodec import Codec, decompress, packets
from hdcodec._site import VARIABLE, write_site
from hdcodec.conformance import suite
from hdcodec.format import Header, pack

BROWSER = chromium.find()
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium"),
    pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no onnxruntime-web"),
]

FAULT = "[...document.querySelectorAll('.fault:not([hidden])')].map(x => x.textContent).join()"
SHOWN = "document.querySelectorAll('.stage:not([hidden]):not(.stale)').length"
IDLE = "!document.querySelector('article[aria-busy=true]')"


class Server:
    """A folder as `python -m http.server` serves it."""

    def __init__(self, folder: Path) -> None:
        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        def serve(request: Any, address: Any, server: Any) -> Handler:
            return Handler(request, address, server, directory=str(folder))

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), serve)
        self.address = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("site")
    write_site(folder)
    (folder / "named.hdc").write_bytes(suite.read("kept-15"))
    found = Server(folder)
    yield found
    found.close()


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    found = Chromium(str(BROWSER))
    yield found
    found.close()


@pytest.fixture(scope="module")
def opened(browser: Chromium, server: Server, downloads: Path) -> Page:
    page = browser.page()
    page.shape(1280, 900)
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
    page.open(server.address)
    return page


@pytest.fixture
def page(opened: Page, server: Server) -> Iterator[Page]:
    """The page with nothing on it; nothing may go wrong, and nothing be asked of others."""
    opened.run("document.querySelectorAll('.close').forEach(button => button.click())")
    yield opened
    assert not opened.wrong
    assert all(url.startswith((server.address, "blob:")) for url in opened.asked)


def kept(name: str) -> Path:
    return suite.DATA / f"{name}.hdc"


def shown(page: Page, count: int = 1) -> None:
    """Wait until so many pictures are there."""
    page.wait(f"({SHOWN} === {count} && {IDLE}) || {FAULT}")
    assert page.run(FAULT) == ""


def seen(page: Page, number: int = 0, kind: str = "decoded") -> np.ndarray[Any, Any]:
    """The RGBA pixels of a canvas."""
    found = page.run(f"""(() => {{
        const canvas = document.querySelectorAll("canvas.{kind}")[{number}];
        const {{ width, height }} = canvas;
        const copy = new OffscreenCanvas(width, height).getContext("2d");
        copy.drawImage(canvas, 0, 0);
        const {{ data }} = copy.getImageData(0, 0, width, height);
        let text = "";
        for (const byte of data) text += String.fromCharCode(byte);
        return [width, height, btoa(text)];
    }})()""")
    width, height, text = found
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)


def drawn(page: Page, number: int = 0) -> Image.Image:
    """A decoded picture without its alpha."""
    return Image.fromarray(seen(page, number)[..., :3].copy())


def agree(found: Image.Image, wanted: Image.Image) -> None:
    """As the conformance suite compares."""
    pair = (suite.shrunk(found), suite.shrunk(wanted))
    gap = np.abs(np.subtract(*(np.asarray(image).astype(int) for image in pair)))
    assert gap.mean() <= suite.MEAN_TOLERANCE
    assert gap.max() <= suite.WORST_TOLERANCE


def saved(page: Page, downloads: Path, name: str) -> Image.Image:
    path = downloads / name
    path.unlink(missing_ok=True)
    page.run("document.querySelector('.save').click()")
    for _ in range(200):
        if path.exists() and path.stat().st_size:
            break
        time.sleep(0.05)
    with Image.open(path) as image:
        image.load()
        return image


# ---- pictures ----


OF_HDC = ["kept-15", "mapped-scaled", "gray-alpha", "all-chunks", "gray"]
OF_SPRDIFF = ["sprdiff-tile", "sprdiff-mapped", "sprdiff-scaled-alpha"]


@pytest.mark.parametrize("name", OF_HDC + OF_SPRDIFF)
def test_a_picture_is_what_python_decodes(page: Page, downloads: Path, name: str) -> None:
    page.choose("#choose", kept(name))
    shown(page)
    wanted = decompress(suite.read(name), device="cpu", backend="onnx")
    image = saved(page, downloads, f"{name}.png")
    assert (image.mode, image.size) == (wanted.mode, wanted.size)
    agree(image, wanted)
    assert image.info.get("exif") == wanted.info.get("exif")
    opaque = not wanted.mode.endswith("A")
    if opaque:
        agree(drawn(page), wanted.convert("RGB"))
    facts = page.run("JSON.parse(document.querySelector('pre').textContent)")
    assert facts == suite.expected()["files"][name]


def test_a_photograph(page: Page, codec: Codec, face: Image.Image, tmp_path: Path) -> None:
    data = codec.compress(face, quality=70)
    (tmp_path / "face.hdc").write_bytes(data)
    page.choose("#choose", tmp_path / "face.hdc")
    shown(page)
    agree(drawn(page), decompress(data, device="cpu", backend="onnx"))
    assert f"{len(data):,} bytes" in page.run("document.querySelector('.facts').textContent")


def test_the_dial_changes_the_picture(page: Page) -> None:
    page.choose("#choose", kept("kept-00"))
    shown(page)
    assert page.run("document.querySelector('.dial input').value") == "0.75"
    before = seen(page)
    page.run("document.querySelector('.dial input').focus()")
    for fidelity, key in ((0.0, "Home"), (1.0, "End")):
        page.press(key)
        shown(page)
        assert page.run("document.querySelector('output').textContent") == f"{fidelity:.2f}"
        wanted = decompress(suite.read("kept-00"), device="cpu", backend="onnx", fidelity=fidelity)
        agree(drawn(page), wanted)
        assert not np.array_equal(seen(page), before)


def test_two_files_at_once(page: Page) -> None:
    page.choose("#choose", kept("kept-15"), kept("tile"))
    shown(page, 2)
    titles = page.run("[...document.querySelectorAll('h2')].map(title => title.textContent)")
    assert titles == ["tile.hdc", "kept-15.hdc"]
    for number, name in enumerate(("tile", "kept-15")):
        agree(drawn(page, number), decompress(suite.read(name), device="cpu", backend="onnx"))


def test_an_original_lies_beside_it(page: Page, tmp_path: Path) -> None:
    original = Image.linear_gradient("L").resize((96, 128)).convert("RGB")
    original.save(tmp_path / "kept-15.png")
    page.choose("#choose", tmp_path / "kept-15.png", kept("kept-15"), kept("tile"))
    shown(page, 2)
    assert np.array_equal(seen(page, 1, "original")[..., :3], np.asarray(original))
    hidden = "[...document.querySelectorAll('.divider')].map(divider => divider.hidden)"
    assert page.run(hidden) == [True, False]
    page.run("document.querySelector('.divider:not([hidden])').focus()")
    page.press("ArrowRight")
    place = "document.querySelectorAll('.stage')[1].style.getPropertyValue('--at')"
    assert page.run(place) == "51%"
    Image.new("RGB", (5, 5)).save(tmp_path / "tile.png")
    page.choose("#choose", tmp_path / "tile.png")
    page.wait(FAULT)
    message = "tile.png has 5 x 5 pixels, the file 64 x 64: they are not of one picture"
    assert page.run(FAULT) == message


def test_the_address_may_name_a_file(browser: Chromium, server: Server) -> None:
    page = browser.page()
    page.open(f"{server.address}?file=named.hdc")
    shown(page)
    agree(drawn(page), decompress(suite.read("kept-15"), device="cpu", backend="onnx"))
    page.open(f"{server.address}?file=https://example.org/a.hdc")
    page.wait(FAULT)
    assert "example.org is another place than this page" in page.run(FAULT)
    assert not any("example.org/a" in url.partition("?")[0] for url in page.asked)
    assert not page.wrong


# ---- what is not whole ----


def test_faults_are_said_as_python_says_them(page: Page, tmp_path: Path) -> None:
    whole = suite.read("kept-15")
    made = {
        "flipped": whole[:100] + bytes([whole[100] ^ 1]) + whole[101:],
        "empty": b"",
        "foreign": b"GIF89a" + bytes(100),
        "huge": pack(Header(60000, 60000, 1, bytes([4, 60])), bytes(9)),
    }
    messages = {
        "flipped": "the file does not match its checksum: it is damaged or cut short",
        "empty": "the file is empty",
        "foreign": "this is not an .hdc file",
        "huge": "60000x60000 pixels are more than the limit of 16777216",
    }
    for name, data in made.items():
        path = tmp_path / f"{name}.hdc"
        path.write_bytes(data)
        page.choose("#choose", path)
        page.wait(f"{FAULT}.startsWith({messages[name]!r})")
    assert page.run("document.querySelectorAll('.stage:not([hidden])').length") == 0


def test_a_beginning_shows_what_is_there(page: Page, tmp_path: Path) -> None:
    data = suite.read("kept-15")[:300]
    (tmp_path / "cut.hdc").write_bytes(data)
    page.choose("#choose", tmp_path / "cut.hdc")
    page.wait(FAULT)
    page.run("document.querySelector('.rest button').click()")
    shown(page)
    wanted = decompress(data, device="cpu", backend="onnx", partial=True)
    agree(drawn(page), wanted)
    share = f"{100 * wanted.info['share']:.0f} %"
    assert share in page.run("document.querySelector('.facts').textContent")


def test_packets_join_as_they_arrive(page: Page, tmp_path: Path) -> None:
    whole = suite.read("kept-15")
    parts = packets.split(whole, 120)
    paths = [tmp_path / f"{number}.packet" for number in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(part)
    page.choose("#choose", paths[1])
    page.wait(FAULT)
    assert page.run(FAULT) == "the first packet is missing, without which there is no picture"
    page.choose("#choose", paths[0])
    page.wait(f"{FAULT} === ''")
    shown(page)
    some = packets.join(parts[:2])
    agree(drawn(page), decompress(some.data, device="cpu", backend="onnx", partial=True))
    page.choose("#choose", *paths[2:])
    page.wait("document.querySelector('.facts').textContent.includes('Quality')")
    shown(page)
    agree(drawn(page), decompress(whole, device="cpu", backend="onnx"))


def test_a_picture_in_tiles_is_what_python_makes_of_it(
    page: Page, astronaut: Image.Image, codec: Codec, tmp_path: Path
) -> None:
    data = codec.compress(astronaut.resize((1300, 900)), quality=20, protect="none")
    (tmp_path / "big.hdc").write_bytes(data)
    page.choose("#choose", tmp_path / "big.hdc")
    shown(page)
    agree(drawn(page), decompress(data, device="cpu", backend="onnx"))


# ---- the page ----


def test_the_page_fits_a_phone_and_a_desk_by_day_and_night(page: Page) -> None:
    page.choose("#choose", kept("large"), kept("gray-alpha"))
    shown(page, 2)
    for width, dark in product((360, 1280), (False, True)):
        page.shape(width, 800, dark=dark, phone=width < 500)
        assert page.run("document.documentElement.scrollWidth") <= width
        with Image.open(io.BytesIO(page.screenshot())) as image:
            paper = image.convert("L").getpixel((2, 2))
        assert isinstance(paper, int)
        assert (paper < 60) == dark
    page.shape(1280, 900)


def test_everything_has_a_name_and_a_key(page: Page) -> None:
    page.choose("#choose", kept("kept-15"))
    shown(page)
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    of_kind: dict[str, list[str]] = {}
    for node in nodes:
        if not node.get("ignored"):
            role = node["role"]["value"]
            of_kind.setdefault(role, []).append(node.get("name", {}).get("value", ""))
    for role in ("button", "slider", "image", "img", "article"):
        assert all(of_kind.get(role, [])), role
    assert "The decoded picture of kept-15.hdc" in [
        *of_kind.get("image", []),
        *of_kind.get("img", []),
    ]
    assert "Close kept-15.hdc" in of_kind["button"]
    page.run("document.activeElement.blur()")
    reached = []
    for _ in range(7):
        page.press("Tab")
        place = "document.activeElement"
        reached.append(page.run(f"{place}.className || {place}.id || {place}.type"))
    assert {"choose", "close", "range", "save", "unseen"} <= set(reached)


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [("check", "this browser draws other pixels"), ("gone", "ort.wasm cannot be fetched: 404")],
)
def test_no_picture_is_shown_that_may_be_wrong(
    browser: Chromium, tmp_path: Path, spoilt: str, message: str
) -> None:
    """Where the stored picture is another one, or a part of the site is not there."""
    write_site(tmp_path)
    if spoilt == "gone":
        (tmp_path / "runtime" / "ort.wasm").unlink()
    else:
        listed = json.loads((tmp_path / "site.json").read_text())
        listed["checks"]["1"]["pixels"] = base64.b64encode(bytes(32 * 16 * 3)).decode()
        (tmp_path / "site.json").write_text(json.dumps(listed))
    server, page = Server(tmp_path), browser.page()
    page.open(server.address)
    page.choose("#choose", kept("tile"))
    page.wait(FAULT)
    assert message in page.run(FAULT)
    assert page.run("document.querySelector('.stage').hidden")
    page.wait("document.getElementById('loading').hidden")
    server.close()


def test_it_works_without_a_network(browser: Chromium, tmp_path: Path) -> None:
    write_site(tmp_path)
    server = Server(tmp_path)
    page = browser.page()
    page.open(server.address)
    page.choose("#choose", kept("tile"))
    shown(page)
    page.wait("navigator.serviceWorker.controller?.state === 'activated'")
    assert page.run("crossOriginIsolated") is False
    server.close()
    page.open(server.address)
    assert page.run("crossOriginIsolated") is True
    page.choose("#choose", kept("kept-15"))
    shown(page)
    agree(drawn(page), decompress(suite.read("kept-15"), device="cpu", backend="onnx"))


def test_a_newer_site_is_not_mixed_with_the_older_one(browser: Chromium, tmp_path: Path) -> None:
    """The weights of a newer version are fetched, whatever is kept of the older one."""
    write_site(tmp_path)
    server, page = Server(tmp_path), browser.page()
    page.open(server.address)
    page.choose("#choose", kept("tile"))
    shown(page)
    page.wait("navigator.serviceWorker.controller?.state === 'activated'")
    weights, listed = tmp_path / "weights/hdc/networks.8bit", tmp_path / "site.json"
    whole, text = weights.read_bytes(), listed.read_text()
    version = json.loads(text)["version"]
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    listed.write_text(text.replace(version, "aaaaaaaaaaaa"))
    page.open(server.address)
    page.choose("#choose", kept("tile"))
    page.wait(FAULT)
    assert "is not the one that was shipped" in page.run(FAULT)
    weights.write_bytes(whole)
    listed.write_text(text.replace(version, "bbbbbbbbbbbb"))
    page.open(server.address)
    page.choose("#choose", kept("tile"))
    shown(page)
    server.close()


def test_other_pages_of_the_server_are_left_as_they_are(browser: Chromium, tmp_path: Path) -> None:
    write_site(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text("<!doctype html><title>another</title>")
    server, page = Server(tmp_path), browser.page()
    page.open(server.address)
    page.wait("navigator.serviceWorker.controller?.state === 'activated'")
    page.open(server.address)
    assert page.run("crossOriginIsolated") is True
    page.open(server.address + "other/index.html")
    assert page.run("document.title") == "another"
    assert page.run("crossOriginIsolated") is False
    server.close()


def test_what_is_closed_is_forgotten(page: Page, tmp_path: Path) -> None:
    parts = packets.split(suite.read("kept-15"), 120)
    paths = [tmp_path / f"{number}.packet" for number in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(part)
    page.choose("#choose", *paths[:2])
    shown(page)
    page.run("document.querySelector('.close').click()")
    page.choose("#choose", paths[1])
    page.wait(FAULT)
    assert page.run(FAULT) == "the first packet is missing, without which there is no picture"
    page.choose("#choose", kept("tiles-5x4"))
    page.wait("document.querySelector('article[aria-label=\"tiles-5x4.hdc\"]')")
    page.run("document.querySelector('article[aria-label=\"tiles-5x4.hdc\"] .close').click()")
    page.choose("#choose", kept("tile"))
    page.wait(f"{SHOWN} === 1 && {IDLE}")
