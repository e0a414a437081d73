"""Real photographs for all tests: those that lie inside scikit-image's wheel."""

from importlib.resources import as_file, files
from pathlib import Path

import pytest
from PIL import Image

PHOTOS = {"astronaut": "astronaut.png", "coffee": "coffee.png", "cat": "chelsea.png"}


@pytest.fixture(scope="session")
def photo_files() -> dict[str, Path]:
    """PNG files of the photographs: astronaut 512x512, coffee 600x400, cat 451x300."""
    folder = files("skimage.data")
    paths = {}
    for name, file in PHOTOS.items():
        with as_file(folder / file) as path:
            paths[name] = path
    return paths


@pytest.fixture
def photos(photo_files: dict[str, Path]) -> dict[str, Image.Image]:
    """The photographs in RGB, fresh for each test."""
    return {name: _open(path) for name, path in photo_files.items()}


@pytest.fixture
def small_photos(photos: dict[str, Image.Image]) -> dict[str, Image.Image]:
    """The photographs at a quarter of their size: 128x128, 150x100 and 113x75."""
    return {name: image.reduce(4) for name, image in photos.items()}


@pytest.fixture
def astronaut(photos: dict[str, Image.Image]) -> Image.Image:
    return photos["astronaut"]


@pytest.fixture
def coffee(photos: dict[str, Image.Image]) -> Image.Image:
    return photos["coffee"]


@pytest.fixture
def cat(photos: dict[str, Image.Image]) -> Image.Image:
    return photos["cat"]


@pytest.fixture
def small_astronaut(small_photos: dict[str, Image.Image]) -> Image.Image:
    return small_photos["astronaut"]


@pytest.fixture
def small_coffee(small_photos: dict[str, Image.Image]) -> Image.Image:
    return small_photos["coffee"]


@pytest.fixture
def small_cat(small_photos: dict[str, Image.Image]) -> Image.Image:
    return small_photos["cat"]


def _open(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")
