"""What a wheel holds: setup.cfg lists the packages, because the weights lie outside of the code."""

from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def setup() -> ConfigParser:
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_every_package_is_listed(setup: ConfigParser) -> None:
    folders = {path.parent for path in (ROOT / "hdcodec").rglob("*.py")}
    names = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert set(setup["options"]["packages"].split()) == names | {"hdcodec._weights"}


@pytest.mark.parametrize(
    ("system", "machine", "wanted"),
    [
        ("linux", "x86_64", True),
        ("linux", "aarch64", False),
        ("darwin", "arm64", True),
        ("win32", "AMD64", True),
        ("win32", "ARM64", False),
    ],
)
def test_constriction_is_asked_for_where_there_is_a_wheel(
    setup: ConfigParser, system: str, machine: str, wanted: bool
) -> None:
    """It has no source package: elsewhere no installation would succeed."""
    lines = setup["options"]["install_requires"].split("\n")
    needs = {need.name: need.marker for need in map(Requirement, filter(None, lines))}
    marker = needs["constriction"]
    assert marker is not None
    assert marker.evaluate({"sys_platform": system, "platform_machine": machine}) == wanted
    assert needs["numpy"] is None


def packed(setup: ConfigParser, package: str, folder: Path) -> set[Path]:
    """The data files of a package that a wheel holds."""
    patterns = setup["options.package_data"][package].split()
    return {path for pattern in patterns for path in folder.glob(pattern)}


def test_every_weights_file_is_in_the_wheel(setup: ConfigParser) -> None:
    weights = ROOT / "weights"
    found = packed(setup, "hdcodec._weights", weights)
    assert found == {path for path in weights.rglob("*") if path.is_file()}
    assert {path.suffix for path in found} == {".json", ".md", ".onnx", ".safetensors"}


def test_every_conformance_file_is_in_the_wheel(setup: ConfigParser) -> None:
    folder = ROOT / "hdcodec" / "conformance"
    found = packed(setup, "hdcodec.conformance", folder)
    assert found == set((folder / "data").iterdir())
    assert {path.suffix for path in found} == {".hdc", ".json", ".png"}


def test_the_page_for_browsers_is_in_the_wheel(setup: ConfigParser) -> None:
    folder = ROOT / "hdcodec"
    own = {path for path in (folder / "web").rglob("*") if path.is_file()}
    found = packed(setup, "hdcodec", folder)
    assert own - found == {folder / "web" / "package.json"}
