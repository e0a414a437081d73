"""The documents: links lead somewhere, what they name exists, made pages are up to date."""

import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hdcodec.models import open_model

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for folder in (".", "docs", "research", "research/gpu", "weights")
    for path in (ROOT / folder).glob("*.md")
)
LASTING = [path for path in PAGES if path.name != "CHANGELOG.md"]
"""Pages that speak of today; a changelog may name what is gone."""

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(
    r"(?<![\w/.-])(?:hdcodec|docs|research|benchmarks|tests|bin|weights)/[\w./-]*[\w/](?![\w*])"
)
MODULE = re.compile(r"(?<![\w./-])(?:hdcodec|tests)(?:\.\w+)+")
HEADING = re.compile(r"^#+ +(.+?)\s*$", re.MULTILINE)
EARLIER = re.compile(r"git show \S+")
"""A file of another revision."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


pages = pytest.mark.parametrize("page", PAGES, ids=name_of)
lasting = pytest.mark.parametrize("page", LASTING, ids=name_of)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and others make them."""
    text = re.sub(r"^(?: {4}|```).*$", "", page.read_text(), flags=re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text))
    return {heading.replace(" ", "-") for heading in plain}


@pages
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{name_of(page)}: {link}"
        assert not anchor or anchor in anchors(target), f"{name_of(page)}: {link}"


@lasting
def test_paths_and_modules_that_are_named_exist(page: Path) -> None:
    text = EARLIER.sub("", page.read_text())
    for path in PATH.findall(text):
        assert exists(path), f"{name_of(page)} names {path}"
    for module in MODULE.findall(text):
        assert named(module), f"{name_of(page)} names {module}"


def exists(path: str) -> bool:
    """A file, a folder, or one whose name in capitals stands for any."""
    return any(part.isupper() for part in Path(path).parts) or (ROOT / path).exists()


def named(dotted: str) -> bool:
    """Whether it is a module, an installed one of another folder, or a name that a module has."""
    if dotted in (ROOT / "setup.cfg").read_text().split():
        return True
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:count])
        files = [place.with_suffix(".py"), place / "__init__.py"]
        found = [file for file in files if file.exists()]
        if found or place.is_dir():
            return count == len(parts) or any(has(file, parts[count]) for file in found)
    return False


def has(module: Path, name: str) -> bool:
    """Whether a module defines, assigns, imports or offers a name."""
    if name.startswith("__"):
        return True
    made = rf'(?:def|class|import) {name}\b|^\s*{name}\s*[:=,]|"{name}"'
    return re.search(made, module.read_text(), re.MULTILINE) is not None


def test_a_missing_name_is_found() -> None:
    assert named("hdcodec.pillow_plugin") and named("hdcodec.format.MODELS")
    assert not named("hdcodec.nothing") and not named("hdcodec.format.NOTHING")
    assert PATH.findall("see `docs/no-page.md`, and ./docs/x.") == ["docs/no-page.md"]


# Pages that scripts make


def script(name: str) -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / name))


def test_commands_are_up_to_date() -> None:
    made = script("make_commands.py")["page"]()
    assert (ROOT / "docs" / "commands.md").read_text() == made, "run python docs/make_commands.py"


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "docs" / "benchmarks.json").read_text())
    return found


def test_benchmarks_are_up_to_date(results: dict[str, Any]) -> None:
    made = script("make_benchmarks.py")
    hint = "run python docs/make_benchmarks.py"
    assert (ROOT / "docs" / "benchmarks.md").read_text() == made["page"](results), hint
    readme = (ROOT / "README.md").read_text()
    assert readme == made["readme"](results, readme), hint


def test_figures_say_where_they_come_from(results: dict[str, Any]) -> None:
    tables = [table for section in results["sections"] for table in section["tables"]]
    assert len({table["id"] for table in tables}) == len(tables)
    for table in tables:
        assert table["command"] and re.match(r"\d{4}-\d\d-\d\d", table["date"])
        assert table["machine"] in {*results["machines"], "not noted"}
        if isinstance(table["rows"], list):
            assert {len(row) for row in table["rows"]} == {len(table["columns"])}


def test_figures_are_of_the_weights_that_are_here(results: dict[str, Any]) -> None:
    """After new weights: measure again, or give old tables their "weights"."""
    shipped = open_model(results["weights"]["model"])
    assert results["weights"]["fingerprint"] == shipped.fingerprint


def test_figures_of_quality_stand_on_one_page() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "benchmarks.md" or not list(measured(page.read_text())), name_of(page)
    readme = (ROOT / "README.md").read_text()
    before, _, rest = readme.partition("<!-- made by")
    assert not list(measured(before + rest.partition("<!-- end -->")[2]))
    assert list(measured(readme))


def measured(text: str) -> Iterator[str]:
    """The heads of tables with a column of rates or distortions and rows of numbers."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, *rows = table.splitlines()
        names = {cell.strip().lower() for cell in head.strip("|").split("|")}
        if names & {"bpp", "psnr", "lpips-alex", "dists"} and re.search(r"\d\.\d", str(rows)):
            yield head


def test_the_readme_fits_on_one_screen() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 550


def test_the_first_commands_work_as_they_stand() -> None:
    readme = (ROOT / "README.md").read_text()
    for command in (
        "bin/hdc compress docs/astronaut.jpg /tmp/astronaut.hdc --bpp 0.05",
        "bin/test",
    ):
        assert f"    {command}\n" in readme
