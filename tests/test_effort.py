"""The search for better symbols: better pictures in no more bytes, through the public interface."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import Hdc
from PIL import Image

import hdcodec
from hdcodec import Codec, DeviceError, WeightsError
from hdcodec.models.hdc.runtime import HdcNetworks
from hdcodec.models.latent.qualities import STRIDE
from hdcodec.models.tiles import LEAST_AREA, tiles
from hdcodec.weights import Weights


def error(codec: Codec, data: bytes, image: Image.Image) -> float:
    """Mean squared error of the picture that is closest to the original, 0..255."""
    decoded = np.asarray(codec.decompress(data, fidelity=1)).astype(np.float64)
    return float(np.square(decoded - np.asarray(image)).mean())


@pytest.fixture
def crops(photos: dict[str, Image.Image]) -> list[Image.Image]:
    """Three parts of one picture, since a file of a few hundred bytes grows by words."""
    corners = [(160, 30), (0, 0), (256, 256)]
    return [photos["astronaut"].crop((x, y, x + 128, y + 192)) for x, y in corners]


@pytest.mark.parametrize("quality", [60, 95])
def test_less_error_in_hardly_more_bytes(
    codec: Codec, photos: dict[str, Image.Image], quality: int
) -> None:
    sizes, errors = np.zeros(2), np.zeros(2)
    for name in ("astronaut", "coffee"):
        crop = photos[name].crop((64, 16, 320, 272))
        for k, effort in enumerate((0, 4)):
            data = codec.compress(crop, quality=quality, effort=effort, kept=0)
            sizes[k] += len(data)
            errors[k] += error(codec, data, crop)
            assert hdcodec.verify(data) == hdcodec.info(data)["symbols_sha256"]
    assert sizes[1] < 1.02 * sizes[0]
    assert errors[1] < 0.97 * errors[0]


def test_sprdiff_searches_for_its_coarse_picture(photos: dict[str, Image.Image]) -> None:
    codec, sizes, errors = Codec("sprdiff", "cpu"), np.zeros(2), np.zeros(2)
    for name in ("astronaut", "coffee"):
        crop = photos[name].crop((64, 16, 320, 272))
        for k, effort in enumerate((0, 2)):
            data = codec.compress(crop, quality=60, effort=effort, protect="none")
            assert hdcodec.verify(data) == hdcodec.info(data)["symbols_sha256"]
            sizes[k] += len(data)
            coarse = codec.decompress(data, fidelity=1.0)
            errors[k] += np.square(np.asarray(coarse, float) - np.asarray(crop)).mean()
    assert sizes[1] < 1.02 * sizes[0]
    assert errors[1] < 0.98 * errors[0]


def test_the_same_bytes_every_time(codec: Codec, face: Image.Image) -> None:
    with torch.inference_mode():
        inside = codec.compress(face, quality=50, effort=1)
    torch.manual_seed(7)
    assert codec.compress(face, quality=50, effort=1) == inside
    assert Codec(device="cpu").compress(face, quality=50, effort=1) == inside


@pytest.mark.parametrize("size", [200, 320, 700])
def test_a_cap_is_kept_to(codec: Codec, crops: list[Image.Image], size: int) -> None:
    errors = np.zeros(2)
    for crop in crops:
        for effort in (0, 1):
            data = codec.compress(crop, target_size=size, effort=effort)
            assert 0.9 * size < len(data) <= size or hdcodec.info(data)["quality"] == 100
            errors[effort] += error(codec, data, crop)
    assert errors[1] < errors[0]


def test_a_cap_that_no_search_fits_under(
    codec: Codec, face: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    refine = HdcNetworks.refine

    def wasteful(*arguments: Any) -> Any:
        y, z = refine(*arguments)
        return y + 3, z

    monkeypatch.setattr(HdcNetworks, "refine", wasteful)
    plain = codec.compress(face, target_size=400)
    assert codec.compress(face, target_size=400, effort=1) == plain


@pytest.mark.parametrize("effort", [-1, 11])
def test_effort_has_limits(codec: Codec, face: Image.Image, effort: int) -> None:
    with pytest.raises(ValueError, match="effort must lie between 0 and 10"):
        codec.compress(face, effort=effort)


def test_a_picture_in_tiles(
    coffee: Image.Image, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec.networks, "area", LEAST_AREA)
    assert len(tiles(-(-coffee.height // STRIDE) * STRIDE, 640, LEAST_AREA)) > 1
    plain, searched = (codec.compress(coffee, quality=80, effort=effort) for effort in (0, 1))
    assert len(searched) < 1.03 * len(plain)
    assert error(codec, searched, coffee) < error(codec, plain, coffee)


def test_a_search_sees_little_at_a_time(
    coffee: Image.Image, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its gradients take five times the memory of a decoder: 3 GB for a tile of 1536 x 1536."""
    seen: list[int] = []

    def idle(_space: Any, x: Any, y: Any, z: Any, *_: Any) -> Any:
        seen.append(x.shape[2] * x.shape[3])
        return y, z

    monkeypatch.setattr("hdcodec.models.latent.searched_graphs.search", idle)
    codec.compress(coffee.resize((1500, 1400)), quality=5, effort=1, verify=False)
    assert len(seen) > 1
    assert max(seen) <= 1024 * 1024


def test_no_memory_on_the_device(
    codec: Codec, face: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Any:
        raise torch.cuda.OutOfMemoryError

    monkeypatch.setattr("hdcodec.models.latent.searched_graphs.search", full)
    with pytest.raises(DeviceError, match="not enough memory"):
        codec.compress(face, quality=50, effort=1)


def test_entropy_weights_that_do_not_fit(
    face: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = Codec(device="cpu", backend="torch")
    monkeypatch.setattr(Weights, "arrays", lambda *_: {"quality": np.zeros((9, 7))})
    with pytest.raises(WeightsError, match=r"entropy\.safetensors does not fit"):
        codec.compress(face, quality=50, effort=1)


def test_the_commands_take_it(hdc: Hdc, face: Image.Image, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    face.save(tmp_path / "in" / "face.png")
    expected = hdcodec.compress(face, quality=40, effort=1, device="cpu")
    one = hdc(
        "compress", tmp_path / "in" / "face.png", tmp_path / "one.hdc",
        "--quality", 40, "--effort", 1, "--device", "cpu",
    )  # fmt: skip
    many = hdc(
        "batch", "compress", tmp_path / "in", tmp_path / "out", "--workers", 1,
        "--quality", 40, "--effort", 1, "--device", "cpu",
    )  # fmt: skip
    assert one.code == many.code == 0, (one.err, many.err)
    assert (tmp_path / "one.hdc").read_bytes() == expected
    assert len((tmp_path / "out" / "face.hdc").read_bytes()) == pytest.approx(len(expected), abs=8)


@pytest.mark.parametrize("effort", ["11", "-1", "much"])
def test_the_command_refuses(hdc: Hdc, tmp_path: Path, effort: str) -> None:
    result = hdc("compress", tmp_path / "a.png", "--effort", effort)
    assert result.code == 2
    assert "Traceback" not in result.err


def test_a_measured_curve_is_named_after_it() -> None:
    from hdcodec.eval import own_curves

    searches = ({"effort": 0}, {"effort": 1}, {"effort": 2, "tune": "perceptual"})
    names = [own_curves([50], options=search, device="cpu")[0].name for search in searches]
    assert names == ["hdc", "hdc effort=1", "hdc effort=2 tune=perceptual"]
