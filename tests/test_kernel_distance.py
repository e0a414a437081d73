"""Kernel distance: its formula, what it says of sets of photographs, its place in a run."""

import io
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from metric_weights import shared_weights
from PIL import Image

from hdcodec.eval import Curve, Report, Store, _sets, measure, picture_files, rival_curves, run
from hdcodec.eval._sets import FeatureStore, distance_of_pictures, kernel_distance
from hdcodec.eval.metrics import Reference

KD = ["psnr", "kd"]


def by_pairs(a: np.ndarray, b: np.ndarray) -> float:
    """Means of the kernel over pairs, one pair after another."""

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return (sum(p * q for p, q in zip(x.tolist(), y.tolist(), strict=True)) + 1) ** 3

    def within(points: np.ndarray) -> float:
        return float(np.mean([kernel(x, y) for x, y in itertools.permutations(points, 2)]))

    across = np.mean([kernel(x, y) for x, y in itertools.product(a, b)])
    return within(a) + within(b) - 2 * float(across)


def drawn(count: int, shift: float = 0.0, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return (0.3 * draw.standard_normal((count, 5)) + shift).astype(np.float16)


def test_it_is_its_formula() -> None:
    for shift in (0.0, 0.4):
        a, b = drawn(7), drawn(9, shift, seed=1)
        assert kernel_distance(a, b) == pytest.approx(by_pairs(a, b))


def test_many_patches_are_compared_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = drawn(7), drawn(9, seed=1)
    whole = kernel_distance(a, b)
    monkeypatch.setattr(_sets, "ROWS", 2)
    assert kernel_distance(a, b) == pytest.approx(whole)


def test_draws_from_one_source_are_at_zero_in_the_mean() -> None:
    values = [kernel_distance(drawn(20, seed=2 * k), drawn(30, seed=2 * k + 1)) for k in range(300)]
    assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(len(values))
    assert kernel_distance(drawn(20), drawn(30, 0.3)) > 5 * np.std(values)


def test_too_few_patches_have_none() -> None:
    assert math.isnan(kernel_distance(drawn(1), drawn(5)))
    assert math.isnan(distance_of_pictures([]))
    assert math.isnan(distance_of_pictures([np.empty((2, 0, 1), np.float16)]))


def test_halves_of_a_set_are_near_and_blurred_ones_far(photos: dict[str, Image.Image]) -> None:
    weights = str(shared_weights())
    whole, blurred = [], []
    for photo in photos.values():
        copy = photo.reduce(8).resize(photo.size, Image.Resampling.BICUBIC)
        found = Reference(photo, ["kd"], weights=weights).patches(copy)
        whole.append(found[0])
        blurred.append(found[1])
    clear, soft = np.concatenate(whole), np.concatenate(blurred)
    halves = kernel_distance(clear[::2], clear[1::2])
    assert abs(halves) < 0.05
    assert kernel_distance(clear[::2], soft[1::2]) > 0.2


def test_a_picture_alone_is_a_set_of_patches(
    coffee: Image.Image, small_cat: Image.Image, random_weights: Path
) -> None:
    weights = str(random_weights)
    worse = coffee.reduce(8).resize(coffee.size)
    same, other = (measure(coffee, x, ["kd"], weights=weights)["kd"] for x in (coffee, worse))
    assert same < min(0.0, other)
    for size in ((30, 200), (100, 100)):
        small = small_cat.resize(size)
        assert math.isnan(measure(small, small, ["kd"], weights=weights)["kd"])


@pytest.fixture
def folder(tmp_path: Path, photos: dict[str, Image.Image]) -> Path:
    """Two photographs of 320 x 260 pixels, and one that is too small."""
    target = tmp_path / "pictures"
    target.mkdir()
    for name, size in (("cat", (320, 260)), ("coffee", (320, 260)), ("astronaut", (28, 28))):
        photos[name].resize(size).save(target / f"{name}.png")
    return target


@pytest.fixture
def jpeg() -> Curve:
    return rival_curves(["jpeg"])[0]


def test_all_pictures_of_a_setting_share_that_of_the_set(
    folder: Path, jpeg: Curve, random_weights: Path
) -> None:
    weights = str(random_weights)
    rows = run(picture_files(folder), [jpeg], KD, weights=weights)
    for setting in jpeg.settings:
        pairs = []
        for path in picture_files(folder):
            with Image.open(path) as image:
                decoded = jpeg.decode(jpeg.encode(image, setting), image.size)
                pairs.append(Reference(image, ["kd"], weights=weights).patches(decoded))
        wanted = distance_of_pictures(pairs)
        assert {row["kd"] for row in rows if row["setting"] == setting} == {wanted}
    assert "Kernel distance" in Report(rows, KD, (0.1,)).markdown()


def test_features_are_kept_with_the_points(
    folder: Path, jpeg: Curve, random_weights: Path, tmp_path: Path
) -> None:
    path, weights, made = tmp_path / "points.jsonl", str(random_weights), list[float]()

    def encode(image: Image.Image, setting: float) -> bytes:
        made.append(setting)
        return jpeg.encode(image, setting)

    curve = Curve(jpeg.name, jpeg.version, (5, 10), encode, jpeg.decode)

    def again(names: list[str]) -> int:
        made.clear()
        run(picture_files(folder), [curve], names, store=Store(path), weights=weights)
        return len(made)

    assert [again(["psnr"]), again(KD), again(KD), again(["psnr"])] == [6, 6, 0, 0]
    first, *_ = (tmp_path / "patches").iterdir()
    first.unlink()
    assert again(KD) == 1


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"", b"garbage", saved(np.ones((2, 3, 4), np.float16))[:-1], saved(np.ones((3, 4)))],
    ids=["empty", "garbage", "cut off", "of another shape"],
)
def test_a_damaged_file_of_features_counts_as_none(data: bytes, tmp_path: Path) -> None:
    FeatureStore(tmp_path).add("a", np.ones((2, 3, 4), np.float16))
    (file,) = tmp_path.iterdir()
    assert FeatureStore(tmp_path).get("a") is not None
    file.write_bytes(data)
    assert FeatureStore(tmp_path).get("a") is None
