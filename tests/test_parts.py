"""The benchmark that leaves out parts of sprdiff, with small networks that no one has trained."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from command import script
from PIL import Image
from small_sprdiff import untrained


@pytest.fixture
def parts() -> ModuleType:
    return script("benchmarks/parts.py")


def test_each_row_is_another_picture_within_the_rate(parts: ModuleType, face: Image.Image) -> None:
    image, rate = face.resize((100, 70)), 6.0
    models = {"": untrained(), "without something": untrained()}
    found = list(parts.pictures(models, image, rate))
    assert [name for name, *_ in found] == [*parts.ROWS, "trained without something"]
    assert all(0 < bpp <= rate and picture.size == image.size for _, bpp, picture in found)
    shown = {name: np.asarray(picture).astype(int) for name, _, picture in found}
    first = shown.pop("one step")
    assert np.array_equal(shown.pop("trained without something"), first)
    for name, picture in shown.items():
        assert np.abs(picture - first).max() > 0, name


def test_no_row_where_even_the_lowest_quality_is_too_large(
    parts: ModuleType, face: Image.Image
) -> None:
    assert list(parts.pictures({"": untrained()}, face.resize((64, 64)), 1e-6)) == []
