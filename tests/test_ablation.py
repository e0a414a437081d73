"""research/ablation.py: what it switches off does something, and nothing is left switched off."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from command import script
from PIL import Image

from hdcodec import Codec

ROOT = Path(__file__).parents[1]
PARTS = ("fusion", "drv", "guidance", "vq", "predictor", "correction", "texture")


@pytest.fixture(scope="module")
def ablation() -> ModuleType:
    return script("research/ablation.py")


@pytest.fixture(scope="module")
def face() -> Image.Image:
    with Image.open(ROOT / "docs" / "astronaut.jpg") as file:
        return file.convert("RGB").crop((160, 0, 352, 128))


def test_every_part_does_something(ablation: ModuleType, face: Image.Image) -> None:
    bench = ablation.Bench()
    data = bench.coded(face, quality=20, kept=8).data
    whole = np.asarray(Codec(device="cpu").decompress(data))
    assert ablation.PARTS == PARTS
    rows = [ablation.Variant(part, (part,)) for part in PARTS]
    rows += [ablation.Variant(source, drv=source) for source in ("regressed", "transmitted")]
    for row in rows:
        assert not np.array_equal(np.asarray(bench.decode(row, data, face)), whole), row.name
        assert np.array_equal(np.asarray(bench.codec.decompress(data)), whole), row.name


def test_rows_of_the_table_have_names_of_their_own(ablation: ModuleType) -> None:
    rows = list(ablation.variants())
    assert len({row.name for row in rows}) == len(rows)
    assert {part for row in rows for part in row.off} <= set(PARTS)
