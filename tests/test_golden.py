"""Files of this release, as every later release must read them (made by tests/golden/make.py)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import hdcodec
from hdcodec import weights
from hdcodec.format import unpack

FOLDER = Path(__file__).parent / "golden"
NAMES = sorted(path.stem for path in FOLDER.glob("*.hdc"))
SHRINK = 4
MEAN_TOLERANCE, WORST_TOLERANCE = 0.5, 4
"""Of 255, on the picture at a quarter of its size: networks of floats differ between machines."""


def dump(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / f"{name}.json").read_text()))


def data(name: str) -> bytes:
    return (FOLDER / f"{name}.hdc").read_bytes()


@pytest.fixture(scope="module")
def codec() -> hdcodec.Codec:
    return hdcodec.Codec(device="cpu")


def test_the_golden_files_cover_the_format() -> None:
    facts = [hdcodec.info(data(name)) for name in NAMES]
    assert len(facts) >= 10
    assert {chunk for fact in facts for chunk in fact["chunks"]} >= {"alpha", "gray"}
    assert {0.0, 1.0} <= {fact["kept_fraction"] for fact in facts}
    assert {0.0, 100.0} <= {fact["quality"] for fact in facts}
    assert any((fact["width"], fact["height"]) == (1, 1) for fact in facts)
    assert any("hex" in dump(name) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_symbols_and_fields_are_exact(name: str) -> None:
    assert hdcodec.info(data(name)) == dump(name)["info"]


@pytest.mark.parametrize("name", [name for name in NAMES if "hex" in dump(name)])
def test_literal_bytes(name: str) -> None:
    literal = bytes.fromhex(dump(name)["hex"])
    assert literal == data(name)
    assert literal[:2] == b"\xabH"
    assert unpack(literal).header.width == dump(name)["info"]["width"]


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_within_the_tolerance(codec: hdcodec.Codec, name: str) -> None:
    facts, decoded = dump(name)["info"], codec.decompress(data(name))
    assert decoded.size == (facts["width"], facts["height"])
    with Image.open(FOLDER / f"{name}.png") as expected:
        assert decoded.mode == expected.mode
        gap = np.asarray(decoded.reduce(SHRINK), np.float64) - np.asarray(expected, np.float64)
    assert np.abs(gap).mean() <= MEAN_TOLERANCE
    assert np.abs(gap).max() <= WORST_TOLERANCE


def test_a_model_id_keeps_its_weights() -> None:
    """New weights need a new model id: files made with the old ones would decode to noise."""
    pinned = json.loads((FOLDER / "models.json").read_text())
    assert pinned
    for number, hashes in pinned.items():
        found = weights.find(int(number))
        assert {name: entry["sha256"] for name, entry in found.manifest["files"].items()} == hashes
