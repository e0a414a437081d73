"""The pages of `hdc compare` and `hdc eval`, read as a browser reads them but without one."""

import json
import math
from base64 import b64decode
from collections.abc import Callable
from configparser import ConfigParser
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops
from pytest import approx

import hdcodec
from hdcodec import HdcError
from hdcodec.cli import main
from hdcodec.eval import METRICS, Point, Report, measure, rival_curves
from hdcodec.eval.codecs import RIVALS, save
from hdcodec.eval.comparison import Entry, Subject, available_metrics, installed_rivals
from hdcodec.eval.gallery import gallery
from hdcodec.pages import comparison_page, evaluation_page

ROOT = Path(__file__).parent.parent
PLAIN = ["psnr", "ssim", "msssim"]
CHOSEN = {"device": "cpu", "backend": "onnx"}
SWITCHES = ["--device", "cpu", "--backend", "onnx"]


class Page(HTMLParser):
    """The elements of a page: attributes by tag, rows of cells by table, texts by tag."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.tables: list[list[list[str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(data.decode())
        self.close()
        assert self.open == [], "elements that are not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag in ("meta", "link", "img"):
            return
        self.open.append(tag)
        self.texts.setdefault(tag, []).append("")
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[self.open[-1]][-1] += data
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def pictures(self) -> list[Image.Image]:
        return [opened(image["src"]) for image in self.all("img")]

    @property
    def facts(self) -> dict[str, Any]:
        return dict(json.loads(self.texts["script"][0]))


def opened(uri: str) -> Image.Image:
    head, _, data = uri.partition(",")
    with Image.open(BytesIO(b64decode(data))) as image:
        assert head == f"data:{image.get_format_mimetype()};base64"
        return image.convert("RGB")


def same(a: Image.Image, b: Image.Image) -> bool:
    return a.size == b.size and ImageChops.difference(a, b).getbbox() is None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, photo_files: dict[str, Path]) -> Path:
    """coffee.png, 200 x 164 pixels, and coffee.hdc."""
    folder = tmp_path_factory.mktemp("compare")
    with Image.open(photo_files["coffee"]) as image:
        picture = image.convert("RGB").resize((200, 164))
    picture.save(folder / "coffee.png")
    data = hdcodec.compress(picture, quality=90, **CHOSEN)
    (folder / "coffee.hdc").write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    """Of the coffee against AVIF, WebP and JPEG."""
    command = ["compare", folder / "coffee.png", folder / "coffee.hdc", *SWITCHES]
    command += ["--against", "avif,avif@x4,webp,jpeg", "--metrics", "psnr,ssim,msssim", "--quiet"]
    assert main([str(part) for part in command]) == 0
    return Page((folder / "coffee.html").read_bytes())


def test_a_page_has_everything_in_it(page: Page) -> None:
    addresses = [v for _, a in page.elements for k, v in a.items() if k in ("src", "href")]
    assert len(addresses) > 5
    assert all(address.startswith("data:") for address in addresses)
    assert "url(" not in page.texts["style"][0]
    assert "@import" not in page.texts["style"][0]
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'; img-src data:; ")


def test_assets_are_in_the_wheel() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    data = setup["options.package_data"]
    for package, folder in (("hdcodec.pages", "pages/assets"), ("hdcodec", "desktop")):
        root = ROOT / Path(*package.split("."))
        packed = {path for pattern in data[package].split() for path in root.glob(pattern)}
        assert set((ROOT / "hdcodec" / folder).iterdir()) <= packed


def test_its_pictures_are_the_exact_pixels(page: Page, folder: Path) -> None:
    original, ours, *rivals = page.pictures
    with Image.open(folder / "coffee.png") as image:
        assert same(original, image)
    decoded = hdcodec.decompress((folder / "coffee.hdc").read_bytes(), **CHOSEN)
    assert same(ours, decoded)
    assert [rival.size for rival in rivals] == [(200, 164)] * 4
    assert [(i["width"], i["height"]) for i in page.all("img")] == [("200", "164")] * 6
    assert all("coffee.png" in image["alt"] for image in page.all("img"))


def test_its_table_shows_the_figures_of_its_pictures(page: Page, folder: Path) -> None:
    (head, *rows), (original, *decoded) = page.tables[0], page.pictures
    assert head[:2] == ["Codec", "Bytes"]
    assert [row[0].split("quality")[0].removesuffix("lowest ") for row in rows] == [
        "hdc", "AVIF", "AVIF, quarter size", "WebP", "JPEG",
    ]  # fmt: skip
    assert rows[0][1] == f"{(folder / 'coffee.hdc').stat().st_size:,}"
    for row, image in zip(rows, decoded, strict=True):
        values = measure(original, image, PLAIN)
        size = int(row[1].replace(",", ""))
        assert row[2] == f"{8 * size / (200 * 164):.4f}"
        assert row[3:] == [f"{values[name]:.{METRICS[name].digits}f}" for name in PLAIN]


def test_its_facts_are_those_of_the_table(page: Page) -> None:
    codecs = page.facts["codecs"]
    assert [codec["codec"] for codec in codecs] == ["hdc", "avif", "avif@x4", "webp", "jpeg"]
    for codec, row in zip(codecs, page.tables[0][1:], strict=True):
        assert row[1:4] == [f"{codec['bytes']:,}", f"{codec['bpp']:.4f}", f"{codec['psnr']:.2f}"]
        assert ("lowest quality" in row[0]) != codec["within"]


def test_rivals_come_as_close_as_they_can_from_below(page: Page, folder: Path) -> None:
    ours, *rivals = page.facts["codecs"]
    assert {rival["within"] for rival in rivals} == {True, False}
    for rival in rivals:
        lowest = RIVALS[rival["codec"].partition("@")[0]].lowest
        assert (rival["bytes"] <= ours["bytes"]) == rival["within"]
        assert rival["within"] or rival["quality"] == lowest
    with Image.open(folder / "coffee.png") as original:
        for name, rival in (("webp", rivals[2]), ("jpeg", rivals[3])):
            assert rival["bytes"] == len(save(original, RIVALS[name], rival["quality"]))
            assert len(save(original, RIVALS[name], rival["quality"] + 1)) > ours["bytes"]


def test_the_best_of_those_that_keep_to_the_bytes_are_marked(page: Page) -> None:
    codecs = [codec for codec in page.facts["codecs"] if codec["within"]]
    best = {max(codec[name] for codec in codecs) for name in PLAIN}
    marked = sum(cell.get("class") == "best" for cell in page.all("td"))
    assert marked == sum(codec[name] in best for codec in codecs for name in PLAIN) >= 3


def test_names_are_text_whatever_they_are(small_cat: Image.Image) -> None:
    name = "<img src=x onerror=alert(1)>&amp;\"'\udc80.png"
    entry = Subject(small_cat, ["psnr"]).coded("hdc", small_cat, 100, 50)
    page = Page(comparison_page(small_cat, [entry], name))
    assert page.texts["h1"] == [name.replace("\udc80", "?")]
    assert len(page.all("img")) == 2
    assert page.tables[0][1] == ["hdcquality 50", "100", f"{800 / (113 * 75):.4f}", "∞"]
    assert page.facts["codecs"][0]["psnr"] is None


def test_huge_sides_are_embedded_as_png() -> None:
    wide = Image.new("RGB", (20000, 1), "teal")
    entry = Subject(wide, ["psnr", "ssim"]).coded("hdc", wide, 100, 50)
    page = Page(comparison_page(wide, [entry], "wide"))
    assert all(same(picture, wide) for picture in page.pictures)
    assert page.tables[0][1][-1] == "-"


Hdc = Callable[..., tuple[int, str, str]]


@pytest.fixture
def compare(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Hdc:
    """`hdc compare` of coffee.hdc with an original, the coffee's own unless given."""

    def run(*options: object, original: Path = folder / "coffee.png") -> tuple[int, str, str]:
        command = ["compare", original, folder / "coffee.hdc", "-o", tmp_path / "page.html"]
        command += [*SWITCHES, "--metrics", "psnr", "--against", "jpeg"]
        code = main([str(part) for part in (*command, *options)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_compare_tells_what_is_on_the_page(compare: Hdc, folder: Path, tmp_path: Path) -> None:
    code, out, err = compare("--json", "--fidelity", 1)
    assert (code, err) == (0, "")
    told, page = json.loads(out), Page((tmp_path / "page.html").read_bytes())
    assert page.facts.items() <= told.items()
    assert told["output"] == str(tmp_path / "page.html")
    assert told["page_bytes"] == (tmp_path / "page.html").stat().st_size
    data = (folder / "coffee.hdc").read_bytes()
    assert same(page.pictures[1], hdcodec.decompress(data, fidelity=1, **CHOSEN))
    assert any("fidelity 1" in text for text in page.texts["p"])


def test_compare_keeps_what_is_there(compare: Hdc, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("precious")
    code, _, err = compare()
    assert (code, (tmp_path / "page.html").read_text()) == (1, "precious")
    assert "--force" in err
    assert compare("-f", "--against", "", "--quiet") == (0, "", "")
    assert len(Page((tmp_path / "page.html").read_bytes()).pictures) == 2


def test_compare_keeps_the_original(compare: Hdc, folder: Path, tmp_path: Path) -> None:
    original = tmp_path / "page.html"  # a picture that has lost its name
    before = (folder / "coffee.png").read_bytes()
    original.write_bytes(before)
    wrong = f"hdc: cannot write {original}: it is the input\n"
    assert compare("--force", original=original) == (1, "", wrong)
    assert original.read_bytes() == before


def test_compare_refuses_another_picture(
    compare: Hdc, small_cat: Image.Image, tmp_path: Path
) -> None:
    small_cat.save(tmp_path / "cat.png")
    code, out, err = compare(original=tmp_path / "cat.png")
    assert (code, out) == (1, "")
    assert err.startswith(f"hdc: {tmp_path / 'cat.png'} has 113 x 75 pixels, the file 200 x 164: ")
    assert not (tmp_path / "page.html").exists()


def test_compare_refuses_unknown_rivals_and_metrics(compare: Hdc) -> None:
    assert "unknown rival 'heic'" in compare("--against", "heic")[2]
    assert "unknown metric 'vmaf'" in compare("--metrics", "vmaf")[2]


def test_transparent_pictures_are_compared_on_white(
    compare: Hdc, folder: Path, tmp_path: Path
) -> None:
    with Image.open(folder / "coffee.png") as image:
        image.putalpha(Image.linear_gradient("L").resize(image.size))
        image.save(tmp_path / "clear.png")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
    assert compare("--quiet", original=tmp_path / "clear.png") == (0, "", "")
    page = Page((tmp_path / "page.html").read_bytes())
    assert same(page.pictures[0], white)
    assert any("transparent" in text for text in page.texts["p"])


def test_what_is_installed_can_be_compared_with(small_coffee: Image.Image) -> None:
    rivals = installed_rivals()
    assert {"webp", "jpeg"} <= set(rivals)
    subject = Subject(small_coffee.reduce(2), ["psnr"])
    entries = [subject.rival(name, 1500) for name in rivals]
    assert all(entry.bytes <= 1500 and entry.metrics["psnr"] > 20 for entry in entries)
    assert available_metrics()[:3] == ("psnr", "ssim", "msssim")
    assert set(available_metrics()) <= set(METRICS)
    with pytest.raises(HdcError, match="unknown rival"):
        subject.rival("gif", 1500)


# The page of an evaluation


@pytest.fixture(scope="module")
def measured(
    tmp_path_factory: pytest.TempPathFactory, photo_files: dict[str, Path]
) -> tuple[Path, Path]:
    """A folder of four pictures, and what `hdc eval` made of it."""
    source, out = tmp_path_factory.mktemp("pictures"), tmp_path_factory.mktemp("out")
    for name, file in photo_files.items():
        with Image.open(file) as image:
            image.convert("RGB").resize((72, 64)).save(source / f"{name}.png")
    Image.new("RGB", (72, 64), "teal").save(source / "teal.png")
    command = ["eval", source, "--qualities", "20,80", "--against", "jpeg", "--out", out, "--quiet"]
    command += ["--metrics", "psnr,ssim", "--at", "0.2,0.5", "--device", "cpu"]
    assert main([str(part) for part in command]) == 0
    return source, out


@pytest.fixture(scope="module")
def evaluation(measured: tuple[Path, Path]) -> Page:
    return Page((measured[1] / "report.html").read_bytes())


def rows_of(out: Path) -> list[Point]:
    return [json.loads(line) for line in (out / "points.jsonl").read_text().splitlines()]


def test_an_evaluation_has_all_rows_in_it(evaluation: Page, measured: tuple[Path, Path]) -> None:
    inside, beside = (link["href"] for link in evaluation.all("a"))
    rows = [json.loads(line) for line in b64decode(inside.partition(",")[2]).splitlines()]
    assert (measured[1] / beside).name == "points.jsonl"
    assert sorted(map(str, rows)) == sorted(map(str, rows_of(measured[1])))
    assert len(rows) == 4 * (2 + 4)


def test_its_curves_go_through_the_means(evaluation: Page, measured: tuple[Path, Path]) -> None:
    rows, told = rows_of(measured[1]), evaluation.texts["title"][1:]
    assert len(evaluation.texts["figcaption"]) >= 2
    for codec, setting, name in [("jpeg", 5, "ssim"), ("hdc", 80, "ssim"), ("jpeg", 15, "psnr")]:
        those = [r for r in rows if (r["codec"], r["setting"]) == (codec, setting)]
        bpp, value = (sum(r[key] for r in those) / 4 for key in ("bpp", name))
        title, digits = METRICS[name].title, METRICS[name].digits
        assert f"{codec}, {setting}: {bpp:.4f} bpp, {title} {value:.{digits}f}" in told
    assert len(told) == 2 * (2 + 4)


def test_its_tables_are_those_of_the_report(evaluation: Page, measured: tuple[Path, Path]) -> None:
    lines = (measured[1] / "tables.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line]
    expected = [row for row in cells if not row[0].startswith("--")]
    assert [row for table in evaluation.tables for row in table] == expected
    assert len(evaluation.tables) == 3
    assert evaluation.facts["images"] == 4


def test_its_pictures_are_the_worst_and_the_best(
    evaluation: Page, measured: tuple[Path, Path]
) -> None:
    source, out = measured
    rows = [r for r in rows_of(out) if (r["codec"], r["setting"]) == ("hdc", 80)]
    names = [r["image"] for r in sorted(rows, key=lambda row: float(row["ssim"]))]
    assert evaluation.texts["h3"][:4] == [*names[:2], *names[:1:-1]]
    for name, shown in zip([*names[:2], *names[:1:-1]], evaluation.pictures[::2], strict=True):
        with Image.open(source / name) as image:
            assert same(shown, image)
    row, decoded = rows[0], evaluation.pictures[1::2]
    place = evaluation.texts["h3"].index(row["image"])
    values = measure(evaluation.pictures[2 * place], decoded[place], ["psnr"])
    assert values["psnr"] == approx(row["psnr"])


def test_large_examples_are_shrunk_and_lost_ones_left_out(
    photo_files: dict[str, Path], tmp_path: Path
) -> None:
    curve = rival_curves(["jpeg"])[0]
    with Image.open(photo_files["coffee"]) as image:
        image.convert("RGB").resize((1600, 1200)).save(tmp_path / "large.png")
    rows: list[Point] = [
        {"codec": "jpeg", "setting": curve.settings[2], "image": name, "digest": name, "psnr": psnr,
         "width": 1600, "height": 1200, "bytes": 100, "bpp": 0.1}
        for name, psnr in (("large.png", 20.0), ("lost.png", 30.0), ("equal.png", math.inf))
    ]  # fmt: skip
    found = gallery(rows, ["psnr"], curve, [tmp_path / "large.png", tmp_path / "lost.png"])
    assert found is not None
    assert (found.metric, [e.row["image"] for e in found.worst], found.best) == (
        "psnr", ["large.png"], [],
    )  # fmt: skip
    assert found.worst[0].original.size == found.worst[0].decoded.size
    assert found.worst[0].original.width == approx(1600 / found.worst[0].factor, abs=1)
    assert math.prod(found.worst[0].original.size) <= 1.01 * 2**20
    assert gallery(rows, [], curve, []) is None


def test_a_report_of_nothing_is_a_page() -> None:
    page = Page(evaluation_page(Report([], ["psnr"]), "empty"))
    assert page.texts["h1"] == ["empty"]
    assert page.tables == []


@pytest.mark.parametrize("value", [0.0, -1.5, 12.0])
def test_a_single_point_is_a_curve(value: float) -> None:
    row = {"codec": "hdc", "setting": 5, "image": "a", "digest": "a", "bytes": 9, "bpp": 0.3,
           "psnr": value, "encode_seconds": 1.0, "decode_seconds": 1.0}  # fmt: skip
    page = Page(evaluation_page(Report([row], ["psnr"]), "one"))
    places = [path["transform"] for path in page.all("path") if "transform" in path]
    assert len(places) == 2
    assert "nan" not in str(places)


def test_entries_know_their_rate(small_cat: Image.Image) -> None:
    assert Entry("hdc", small_cat, 113, 50, True, {}).bpp == approx(8 * 113 / (113 * 75))
