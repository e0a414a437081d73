"""The search for what LPIPS and DISTS find near: closer pictures to them in hardly more bytes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import Hdc
from metric_weights import shared_weights
from PIL import Image

import hdcodec
from hdcodec import Codec, WeightsError
from hdcodec.eval import measure
from hdcodec.models.tiles import LEAST_AREA
from hdcodec.perceptual import _installed, view

CORNERS = [(160, 30), (0, 0), (256, 256)]


@pytest.fixture
def crops(photos: dict[str, Image.Image]) -> list[Image.Image]:
    return [photos["astronaut"].crop((x, y, x + 128, y + 192)) for x, y in CORNERS]


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what does not depend on how well the search does: a sixth of its steps."""
    steps = {"psnr": 1, "perceptual": 2}
    monkeypatch.setattr("hdcodec.models.latent.picture_coder.SEARCH_STEPS", steps)


def distances(codec: Codec, data: bytes, image: Image.Image, folder: Path) -> dict[str, float]:
    """LPIPS and DISTS of the picture at fidelity 0."""
    decoded = codec.decompress(data, fidelity=0)
    return measure(image, decoded, ["lpips_alex", "dists"], weights=str(folder))


def compare(
    codec: Codec, pictures: list[Image.Image], folder: Path, **options: Any
) -> tuple[float, dict[str, float]]:
    """Size, LPIPS and DISTS of all files of a search over those of none."""
    sizes, sums = np.zeros(2), {"lpips_alex": np.zeros(2), "dists": np.zeros(2)}
    searched = {"tune": "perceptual", "metric_weights": folder, **options}
    for picture in pictures:
        for k, chosen in enumerate(({"effort": 0}, searched)):
            data = codec.compress(picture, quality=60, **chosen)
            assert hdcodec.verify(data) == hdcodec.info(data)["symbols_sha256"]
            sizes[k] += len(data)
            for name, value in distances(codec, data, picture, folder).items():
                sums[name][k] += value
    return sizes[1] / sizes[0], {name: row[1] / row[0] for name, row in sums.items()}


def test_a_judge_that_hardly_sees_a_difference_gets_smaller_files(
    codec: Codec, crops: list[Image.Image], random_weights: Path
) -> None:
    size, ratios = compare(codec, crops[:2], random_weights, effort=1)
    assert size < 0.99
    assert ratios["dists"] < 1.2


def test_lpips_and_dists_fall(codec: Codec, crops: list[Image.Image]) -> None:
    size, ratios = compare(codec, crops, shared_weights(), effort=2)
    assert size < 1.1
    assert ratios["lpips_alex"] < 0.95
    assert ratios["dists"] < 0.95


def test_lpips_and_dists_of_sprdiff_fall(crops: list[Image.Image]) -> None:
    size, ratios = compare(Codec("sprdiff", "cpu"), crops[:2], shared_weights(), effort=1)
    assert size < 1.1
    assert ratios["lpips_alex"] < 0.97
    assert ratios["dists"] < 0.97


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("model", ["hdc", "sprdiff"])
def test_the_same_bytes_every_time(model: str, face: Image.Image, random_weights: Path) -> None:
    codec = Codec(model, "cpu")
    options = {"quality": 50, "effort": 1, "tune": "perceptual", "metric_weights": random_weights}
    once = codec.compress(face, **options)
    assert codec.compress(face, **options) == once
    assert once != codec.compress(face, quality=50, effort=1)


def test_no_effort_takes_no_weights(codec: Codec, face: Image.Image, tmp_path: Path) -> None:
    tuned = codec.compress(face, quality=50, tune="perceptual", metric_weights=tmp_path)
    assert tuned == codec.compress(face, quality=50)


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize(("model", "size"), [("hdc", 300), ("sprdiff", 80)])
def test_a_cap_is_kept_to(model: str, size: int, face: Image.Image, random_weights: Path) -> None:
    data = Codec(model, "cpu").compress(
        face, target_size=size, effort=1, tune="perceptual", metric_weights=random_weights
    )
    assert 0.9 * size < len(data) <= size


@pytest.mark.usefixtures("few_steps")
def test_a_picture_in_tiles(
    coffee: Image.Image, codec: Codec, random_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ...]] = []
    judge = hdcodec.perceptual.Judge.forward

    def watched(self: Any, picture: Any, original: Any, generator: Any = None) -> Any:
        seen.append(tuple(original.shape[2:]))
        return judge(self, picture, original, generator)

    monkeypatch.setattr("hdcodec.models.latent.networks.JUDGED_AREA", LEAST_AREA)
    monkeypatch.setattr("hdcodec.perceptual.Judge.forward", watched)
    picture = coffee.crop((0, 0, 600, 200))
    data = codec.compress(
        picture, quality=40, effort=1, tune="perceptual", metric_weights=random_weights
    )
    assert codec.decompress(data).size == picture.size
    assert len(set(seen)) > 1
    assert all(height * width <= LEAST_AREA for height, width in seen)


@pytest.mark.parametrize("height, width", [(96, 96), (64, 160), (160, 64)])
def test_a_view_leaves_out_sixteen_rows_and_columns_alone(height: int, width: int) -> None:
    places = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    for seed in range(16):
        seen = view(torch.stack(places)[None].float(), torch.Generator().manual_seed(seed))
        rows, columns = (len(channel.unique()) for channel in seen[0])
        assert (rows, columns) == (height - 16, width - 16)


@pytest.mark.usefixtures("few_steps")
def test_views_may_look_worse_than_the_whole(
    codec: Codec, face: Image.Image, random_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = hdcodec.perceptual.Judge.forward

    def harsher(self: Any, picture: Any, original: Any, generator: Any = None) -> Any:
        return judge(self, picture, original, generator) * (1 if generator is None else 1.5)

    monkeypatch.setattr("hdcodec.perceptual.Judge.forward", harsher)
    options = {"quality": 50, "tune": "perceptual", "metric_weights": random_weights}
    data = codec.compress(face, effort=1, **options)
    assert data != codec.compress(face, quality=50)


def test_an_unknown_tune(codec: Codec, face: Image.Image) -> None:
    with pytest.raises(ValueError, match="tune must be one of psnr, perceptual"):
        codec.compress(face, effort=1, tune="ssim")


def test_weights_that_are_not_there(codec: Codec, face: Image.Image, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="metric weights missing"):
        codec.compress(face, effort=1, tune="perceptual", metric_weights=tmp_path)


def test_the_commands_take_it(
    hdc: Hdc, face: Image.Image, random_weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    face = face.crop((0, 0, 128, 64))
    face.save(tmp_path / "in" / "face.png")
    tuned = ("--effort", 1, "--tune", "perceptual", "--metric-weights", random_weights)
    common = ("--quality", 40, "--device", "cpu", *tuned)
    options = {"effort": 1, "tune": "perceptual", "metric_weights": random_weights}
    expected = hdcodec.compress(face, quality=40, device="cpu", **options)
    one = hdc("compress", tmp_path / "in" / "face.png", tmp_path / "one.hdc", *common)
    folders = (tmp_path / "in", tmp_path / "out", "--workers", 1)
    many = hdc("batch", "compress", *folders, *common)
    assert one.code == many.code == 0, (one.err, many.err)
    assert (tmp_path / "one.hdc").read_bytes() == expected
    assert len((tmp_path / "out" / "face.hdc").read_bytes()) == pytest.approx(len(expected), abs=8)


def test_the_command_says_what_is_missing(
    hdc: Hdc, face: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_installed, "find_spec", lambda name: None)
    face.save(tmp_path / "face.png")
    result = hdc("compress", tmp_path / "face.png", "--effort", 1, "--tune", "perceptual")
    assert result.code != 0
    assert len(result.err.splitlines()) == 1
    assert "metric weights need" in result.err
    assert not (tmp_path / "face.hdc").exists()
