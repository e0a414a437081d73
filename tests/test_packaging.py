"""What a wheel holds: setup.cfg lists the packages, because the weights lie outside of the code."""

from configparser import ConfigParser
from pathlib import Path

import pytest

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


def test_every_weights_file_is_in_the_wheel(setup: ConfigParser) -> None:
    weights = ROOT / "weights"
    patterns = setup["options.package_data"]["hdcodec._weights"].split()
    packed = {path for pattern in patterns for path in weights.glob(pattern)}
    assert packed == {path for path in weights.rglob("*") if path.is_file()}
    assert {path.suffix for path in packed} == {".json", ".md", ".safetensors"}
