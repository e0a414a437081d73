"""docs/api.md: every public name is in it, and its examples do what they say."""

import doctest
import gc
import inspect
import re
from pathlib import Path

import pytest
from PIL import Image

import hdcodec
from hdcodec import batch, eval, images, pages, pillow_plugin

API = Path(__file__).parent.parent / "docs" / "api.md"
OPTIONS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL


@pytest.fixture
def photo(coffee: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """photo.jpg, 150 x 100 pixels, in the current folder."""
    coffee.reduce(4).save(tmp_path / "photo.jpg", quality=95)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("photo")
def test_the_examples_run() -> None:
    results = doctest.testfile(str(API), module_relative=False, optionflags=OPTIONS)
    assert results.failed == 0
    assert results.attempted > 40


def test_every_public_name_is_documented() -> None:
    text = API.read_text()
    missing = [n for n in hdcodec.__all__ if not re.search(rf"hdcodec\.{n}\b|`{n}[`(]", text)]
    assert missing == []


@pytest.mark.parametrize("package", [hdcodec, batch, eval, images, pages])
def test_public_names_say_what_they_do(package: object) -> None:
    names = [getattr(package, name) for name in package.__all__]  # type: ignore[attr-defined]
    for found in names:
        if inspect.isclass(found) or inspect.isfunction(found):
            assert found.__doc__, found
            assert not found.__doc__.startswith(f"{found.__name__}("), found  # a dataclass's own


def test_the_plugin_says_what_it_does() -> None:
    assert "quality" in (pillow_plugin.__doc__ or "")
    assert pillow_plugin.register.__doc__


@pytest.mark.parametrize("enabled", [True, False])
def test_loading_a_model_leaves_the_garbage_collector_as_it_was(enabled: bool) -> None:
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        hdcodec.Codec(device="cpu")
        with pytest.raises(hdcodec.DeviceError):
            hdcodec.Codec(device="nowhere")
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()
