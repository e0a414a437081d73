"""The pages in a headless Chromium, with mouse, keys and touch.

Skipped without the package playwright and a Chromium: its own, one on the PATH, or the one that
HDC_CHROMIUM names.
"""

import os
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from hdcodec.eval import Point, Report
from hdcodec.eval.comparison import Subject
from hdcodec.eval.gallery import Example, Gallery
from hdcodec.pages import comparison_page, evaluation_page

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

BROWSERS = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome")
DESKTOP = {"viewport": {"width": 1200, "height": 900}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        found = [os.environ.get("HDC_CHROMIUM"), *map(shutil.which, BROWSERS)]
        found.append(driver.chromium.executable_path)
        path = next((path for path in found if path and Path(path).exists()), None)
        if path is None:
            pytest.skip("there is no Chromium")
        sandbox = [] if os.geteuid() else ["--no-sandbox"]
        browser = driver.chromium.launch(executable_path=path, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def comparison(photo_files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cat, its negative as hdc, and blue and yellow as rivals: easy to tell apart."""
    with Image.open(photo_files["cat"]) as image:
        cat = image.convert("RGB")
    subject = Subject(cat, ["psnr"])
    pictures = {
        "hdc": ImageOps.invert(cat),
        "webp": Image.new("RGB", cat.size, "blue"),
        "jpeg": Image.new("RGB", cat.size, "yellow"),
    }
    entries = [subject.coded(name, picture, 900, 50) for name, picture in pictures.items()]
    path = tmp_path_factory.mktemp("page") / "cat.html"
    path.write_bytes(comparison_page(cat, entries, "cat.png"))
    return path


@pytest.fixture(scope="module")
def evaluation(photo_files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two curves of three points, and two examples."""
    with Image.open(photo_files["coffee"]) as image:
        coffee = image.convert("RGB").reduce(2)
    rows: list[Point] = [
        {"codec": codec, "setting": n, "image": "coffee.png", "digest": "", "bytes": 100 * n,
         "bpp": 0.01 * n, "psnr": 20.0 + n, "encode_seconds": 1.0, "decode_seconds": 1.0}
        for codec in ("hdc", "jpeg") for n in (1, 2, 3)
    ]  # fmt: skip
    example = Example(rows[0], coffee, ImageOps.invert(coffee), 2)
    shown = Gallery("hdc", 1, "psnr", [example], [example])
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_bytes(evaluation_page(Report(rows, ["psnr"]), "photos", shown))
    return path


class Visit:
    """A page that is open, with what went wrong on it, and one of its stages."""

    def __init__(self, page: Any, path: Path) -> None:
        self.page, self.wrong = page, list[str]()
        page.on("console", lambda message: self.wrong.append(message.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda request: self.note_request(request.url, path))
        page.goto(path.as_uri())
        self.view = page.locator(".view").first
        self.divider = page.get_by_role("slider").first
        self.session = page.context.new_cdp_session(page)

    def note_request(self, url: str, path: Path) -> None:
        if url != path.as_uri() and not url.startswith("data:"):
            self.wrong.append(f"asked for {url}")

    @property
    def position(self) -> int:
        return int(self.divider.get_attribute("aria-valuenow"))

    @property
    def scale(self) -> int:
        return int(self.page.locator(".scale").first.text_content().removesuffix(" %"))

    def at(self, share: float) -> tuple[float, float]:
        """A place in the window: that share of the view's width, a fifth down."""
        self.view.evaluate("view => view.scrollIntoView()")
        box = self.view.bounding_box()
        return box["x"] + share * box["width"], box["y"] + box["height"] / 5

    def pixels(self) -> Image.Image:
        """The view as it is seen."""
        with Image.open(BytesIO(self.view.screenshot())) as image:
            return image.convert("RGB")

    def drag(self, start: float, end: float) -> None:
        self.page.mouse.move(*self.at(start))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(end), steps=4)
        self.page.mouse.up()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def chosen(self, side: str) -> str:
        button = self.page.locator(f".picker.{side} [aria-pressed=true]")
        return str(button.evaluate("button => button.lastChild.textContent"))


@pytest.fixture
def visit(chromium: Any, comparison: Path, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """The comparison on a desktop, unless told otherwise; nothing may go wrong on it."""
    with_options = getattr(request, "param", DESKTOP)
    context = chromium.new_context(**with_options)
    visit = Visit(context.new_page(), comparison)
    yield visit
    assert visit.wrong == []
    context.close()


phone = pytest.mark.parametrize("visit", [PHONE], indirect=True, ids=["phone"])


def likeness(seen: Image.Image, wanted: Image.Image, share: tuple[float, float]) -> float:
    """Mean difference in 0..255 of a band of columns, without the labels at the bottom."""
    width, height = seen.size
    box = (int(share[0] * width), 0, int(share[1] * width), int(0.7 * height))
    pair = [np.asarray(image.resize(seen.size).crop(box), float) for image in (seen, wanted)]
    return float(np.abs(pair[0] - pair[1]).mean())


@pytest.fixture
def negative(cat: Image.Image) -> Image.Image:
    return ImageOps.invert(cat)


def test_left_of_the_divider_is_one_picture_right_of_it_the_other(
    visit: Visit, cat: Image.Image, negative: Image.Image
) -> None:
    assert visit.position == 50
    visit.drag(0.5, 0.25)
    assert visit.position == 25
    seen = visit.pixels()
    assert likeness(seen, cat, (0.02, 0.2)) < 6
    assert likeness(seen, negative, (0.3, 0.98)) < 6


def test_all_pictures_load(visit: Visit) -> None:
    visit.page.evaluate("Promise.all([...document.images].map(image => image.decode()))")
    sizes = "[...document.images].map(image => [image.naturalWidth, image.naturalHeight])"
    assert visit.page.evaluate(sizes) == [[451, 300]] * 4


def test_keys_move_the_divider(visit: Visit) -> None:
    visit.press("ArrowRight", "ArrowRight")
    assert visit.position == 54
    visit.press("ArrowLeft", "ArrowLeft", "ArrowLeft")
    assert visit.position == 48
    for key, position in (("Home", 0), ("End", 100), ("x", 0), ("x", 100), ("ArrowRight", 100)):
        visit.press(key)
        assert visit.position == position
    visit.divider.focus()
    visit.press("ArrowLeft")
    assert visit.position == 98
    assert visit.divider.get_attribute("aria-valuetext") == "Original 98 %, hdc 2 %"


def test_number_keys_choose_the_pictures(visit: Visit, cat: Image.Image) -> None:
    visit.press("3", "Shift+Digit4")
    assert (visit.chosen("left"), visit.chosen("right")) == ("WebP", "JPEG")
    seen = visit.pixels()
    assert likeness(seen, Image.new("RGB", cat.size, "blue"), (0.1, 0.4)) < 2
    assert likeness(seen, Image.new("RGB", cat.size, "yellow"), (0.6, 0.9)) < 2
    visit.press("4")
    assert (visit.chosen("left"), visit.chosen("right")) == ("JPEG", "WebP")
    visit.press("9", "Control+1")
    assert visit.chosen("left") == "JPEG"


def test_buttons_choose_the_pictures_and_can_be_tabbed_to(visit: Visit) -> None:
    visit.page.get_by_role("group", name="Left picture").get_by_text("WebP").click()
    assert visit.chosen("left") == "WebP"
    visit.press("ArrowRight")
    assert visit.position == 52
    visit.press("Tab", "Enter")
    assert visit.chosen("left") == "JPEG"


def test_zoom_keeps_the_pictures_together(visit: Visit, cat: Image.Image) -> None:
    fitting = visit.scale
    visit.press("+", "+")
    assert visit.scale == pytest.approx(2.25 * fitting, abs=2)
    visit.press("1", "Home")
    visit.page.keyboard.press("-")
    visit.page.get_by_role("button", name="One screen pixel").click()
    assert visit.scale == 100
    visit.page.get_by_role("button", name="Fit").click()
    assert visit.scale == fitting
    visit.page.mouse.dblclick(*visit.at(0.3))
    assert visit.scale > fitting
    visit.drag(0.6, 0.3)
    assert visit.position == 30
    visit.press("0", "End")
    assert likeness(visit.pixels(), cat, (0.02, 0.95)) < 6


def test_the_wheel_zooms_with_control_alone(visit: Visit) -> None:
    before = visit.scale
    visit.page.mouse.move(*visit.at(0.5))
    visit.page.mouse.wheel(0, -200)
    visit.page.wait_for_timeout(800)  # what comes sooner belongs to the same turn of the wheel
    assert visit.scale == before
    visit.page.mouse.move(*visit.at(0.5))
    visit.page.keyboard.down("Control")
    visit.page.mouse.wheel(0, -200)
    playwright.expect(visit.page.locator(".scale")).not_to_have_text(f"{before} %")
    assert visit.scale == pytest.approx(2 * before, abs=2)


def touch(visit: Visit, kind: str, *points: tuple[float, float]) -> None:
    places = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    visit.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})


@phone
def test_a_finger_moves_the_divider(visit: Visit) -> None:
    visit.page.touchscreen.tap(*visit.at(0.2))
    assert visit.position == 20
    touch(visit, "touchStart", visit.at(0.2))
    for share in (0.3, 0.5, 0.7):
        touch(visit, "touchMove", visit.at(share))
    touch(visit, "touchEnd")
    assert visit.position == 70


@phone
def test_two_fingers_zoom_and_one_pans(visit: Visit) -> None:
    before = visit.scale
    touch(visit, "touchStart", visit.at(0.4), visit.at(0.6))
    for spread in (0.12, 0.16, 0.2):
        touch(visit, "touchMove", visit.at(0.5 - spread), visit.at(0.5 + spread))
    touch(visit, "touchEnd")
    assert visit.scale == pytest.approx(2 * before, rel=0.05)
    place = "document.querySelector('.view').style.getPropertyValue('--transform')"
    transform, position = visit.page.evaluate(place), visit.position
    touch(visit, "touchStart", visit.at(0.8))
    touch(visit, "touchMove", visit.at(0.7))
    touch(visit, "touchEnd")
    assert visit.page.evaluate(place) != transform
    assert visit.position == position


@phone
def test_a_phone_shows_it_in_its_width(visit: Visit) -> None:
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 390
    box = visit.view.bounding_box()
    assert box["width"] > 350
    assert box["height"] / box["width"] == pytest.approx(300 / 451, rel=0.01)


@pytest.mark.parametrize("visit", [DESKTOP | {"color_scheme": "dark"}], indirect=True)
def test_it_is_dark_for_those_who_like_it_dark(visit: Visit, chromium: Any) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    assert visit.page.evaluate(colour) == "rgb(21, 21, 23)"
    assert visit.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")


def test_everything_has_a_name(visit: Visit) -> None:
    tree = visit.page.locator("body").aria_snapshot()
    assert 'slider "Divider between left and right"' in tree
    assert 'img "cat.png, the original"' in tree
    assert 'table "Bytes and metrics of each codec"' in tree
    assert "- button:" not in tree
    assert "- img:" not in tree


@pytest.mark.parametrize("options", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_an_evaluation_has_a_slider_for_each_example(
    chromium: Any, evaluation: Path, options: dict[str, Any]
) -> None:
    context = chromium.new_context(**options)
    visit = Visit(context.new_page(), evaluation)
    assert visit.page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    first, second = visit.page.get_by_role("slider").all()
    second.focus()
    visit.press("ArrowRight")
    positions = [one.get_attribute("aria-valuenow") for one in (first, second)]
    assert positions == ["50", "52"]
    assert visit.page.locator(".chart .mark").count() == 6
    assert all(mark.is_visible() for mark in visit.page.locator(".chart .mark").all())
    assert visit.wrong == []
    context.close()
