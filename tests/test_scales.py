"""Pictures that are coded smaller, because of `max_side` or of a budget, and enlarged again."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Hdc
from headers import header
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

import hdcodec
from hdcodec import Codec, CorruptError, TargetError, TooLargeError, packets, pillow_plugin
from hdcodec._scales import VIEWED, smallest
from hdcodec.format import MAX_SIDE, pack, unpack
from hdcodec.format.header import coded_size
from hdcodec.models import FAMILIES

pillow_plugin.register()

LEAST = 40
"""Bytes in which every opaque picture has a place."""


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(device="cpu", backend="onnx")


@pytest.fixture(scope="module")
def scaled(codec: Codec, face: Image.Image) -> bytes:
    return codec.compress(face, quality=40, max_side=100)


def drawn(kind: str, width: int, height: int) -> Image.Image:
    """A picture that is no photograph."""
    random = np.random.default_rng(width * height)
    if kind == "flat":
        return Image.new("RGB", (width, height), (200, 30, 90))
    if kind == "gradient":
        return Image.linear_gradient("L").resize((width, height)).convert("RGB")
    if kind == "grey noise":
        return Image.fromarray(random.integers(0, 256, (height, width), np.uint8))
    noise = Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))
    if kind == "transparent":
        noise.putalpha(Image.new("L", noise.size, 0))
    return noise


KINDS = ("flat", "gradient", "grey noise", "noise", "transparent")


@settings(max_examples=60)
@given(st.sampled_from(KINDS), st.integers(1, 200), st.integers(1, 200), st.integers(LEAST, 3000))
@example("noise", 1, 1, LEAST)
@example("noise", 1, 3000, LEAST)
@example("noise", 3000, 1, LEAST)
@example("gradient", 3000, 1, LEAST)
@example("grey noise", 700, 500, LEAST)
@example("flat", 16_400, 17, LEAST)
def test_every_budget_has_a_picture(
    codec: Codec, kind: str, width: int, height: int, budget: int
) -> None:
    image = drawn(kind, width, height)
    alpha = 80 if kind == "transparent" else 0  # of a flat one there is little more than a frame
    box = codec.encode(image, target_size=budget + alpha)
    assert len(box.data) <= budget + alpha
    decoded = codec.decode(box)
    assert (decoded.size, decoded.mode) == (image.size, image.mode)
    assert codec.compress(image, target_size=budget + alpha) == box.data


def least(codec: Codec, size: tuple[int, int]) -> float:
    """The quality that a picture of a size has to have in a file of a given size."""
    family = codec.family
    return family.large_below if size[0] * size[1] > VIEWED else family.scaled_below


@pytest.mark.parametrize(
    ("model", "side", "budget"),
    [
        *(("hdc", 512, budget) for budget in (60, 90, 150, 400)),
        *((model, 1024, budget) for model in FAMILIES for budget in (300, 900, 3000)),
    ],
)
def test_the_scale_is_the_smallest_of_enough_quality(
    model: str, astronaut: Image.Image, side: int, budget: int
) -> None:
    codec, image = Codec(model, device="cpu", backend="onnx"), astronaut.resize((side, side))
    box = codec.encode(image, target_size=budget, protect="none")
    scale, quality = box.header.scale, codec.family.settings(box.header.parameters)["quality"]
    assert quality >= least(codec, box.header.coded_size)
    if scale:
        larger = coded_size(image.size, scale - 1)
        wanted = {"quality": least(codec, larger), "max_side": max(larger)}
        enough = codec.encode(image, protect="none", **wanted)
        assert enough.header.scale == scale - 1
        assert len(enough.data) > budget


def test_fewer_bytes_make_a_smaller_picture(codec: Codec, astronaut: Image.Image) -> None:
    sizes = (40, 80, 160, 1000)
    boxes = [codec.encode(astronaut, target_size=size, protect="none") for size in sizes]
    scales = [box.header.scale for box in boxes]
    assert scales == sorted(scales, reverse=True)
    assert scales[0] > 0 and scales[-1] == 0
    assert boxes[-1].header.version == 1


def test_a_quality_leaves_the_size(codec: Codec, face: Image.Image) -> None:
    assert codec.encode(face, quality=0).header.scale == 0


@pytest.mark.parametrize("side", [1000, 192, 191, 100, 96, 17])
def test_max_side(codec: Codec, face: Image.Image, side: int) -> None:
    box = codec.encode(face, quality=30, max_side=side)
    scale = box.header.scale
    assert max(box.header.coded_size) <= side
    assert scale == 0 or max(coded_size(face.size, scale - 1)) > side
    assert codec.decode(box).size == face.size
    budget = codec.encode(face, target_size=300, max_side=side)
    assert budget.header.scale >= scale
    assert len(budget.data) <= 300


def test_what_max_side_cannot_be(codec: Codec, face: Image.Image) -> None:
    for side in (0, float("nan")):
        with pytest.raises(ValueError, match="max_side must be at least 1"):
            codec.compress(face, max_side=side)
    wide = Image.new("RGB", (3000, 2))
    with pytest.raises(TargetError, match="cannot be coded with fewer than 14 pixels"):
        codec.compress(wide, max_side=13)
    assert codec.encode(wide, max_side=14).header.coded_size == (14, 1)


def test_the_picture_is_reduced_and_enlarged_by_lanczos(
    codec: Codec, face: Image.Image, scaled: bytes
) -> None:
    size = unpack(scaled).header.coded_size
    assert size == (64, 96)
    reduced = face.resize(size, Image.Resampling.LANCZOS)
    by_hand = unpack(codec.compress(reduced, quality=40))
    assert by_hand.payload == unpack(scaled).payload
    small = codec.decompress(scaled, coded_size=True)
    assert small == codec.decode(by_hand)
    assert codec.decompress(scaled) == small.resize(face.size, Image.Resampling.LANCZOS)
    assert hdcodec.decompress(scaled, device="cpu", backend="onnx", coded_size=True) == small


@pytest.mark.parametrize("mode", ["RGBA", "LA", "L"])
def test_what_comes_beside_the_colours_is_whole(codec: Codec, face: Image.Image, mode: str) -> None:
    image = face.convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    data = codec.compress(image, quality=20, max_side=100)
    decoded, small = codec.decompress(data), codec.decompress(data, coded_size=True)
    assert (decoded.mode, decoded.size) == (mode, image.size)
    assert (small.mode, small.size) == (mode, (64, 96))
    if mode.endswith("A"):
        assert decoded.getchannel("A") == image.getchannel("A")
        gap = np.asarray(small.getchannel("A"))[:, 0] - np.linspace(0, 255, 96)
        assert np.abs(gap).max() < 6


def test_transparency_counts(codec: Codec, face: Image.Image) -> None:
    image = face.copy()
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    alpha = hdcodec.info(codec.compress(image))["chunks"]["alpha"]
    assert len(codec.compress(image, target_size=alpha + 60)) <= alpha + 60
    with pytest.raises(TargetError, match=f"of these {alpha} alpha, which can be left out"):
        codec.compress(image, target_size=alpha)


def test_an_effort_is_for_the_small_picture(codec: Codec, face: Image.Image) -> None:
    plain, searched = (codec.encode(face, target_size=22, effort=effort) for effort in (0, 1))
    assert plain.header.scale == searched.header.scale > 0
    assert len(searched.data) <= 22


def test_readers_know_it(codec: Codec, face: Image.Image, scaled: bytes) -> None:
    facts = hdcodec.info(scaled)
    assert (facts["width"], facts["height"], facts["version"]) == (*face.size, 2)
    assert (facts["coded_width"], facts["coded_height"]) == (64, 96)
    assert "coded_width" not in hdcodec.info(codec.compress(face, quality=40))
    assert hdcodec.verify(scaled) == facts["symbols_sha256"]
    cut = codec.decompress(scaled[: len(scaled) // 2], partial=True)
    assert cut.size == face.size and 0 < cut.info["share"] < 1
    pieces = packets.split(scaled, 60)
    assert packets.join(pieces).data == scaled


def test_pillow(face: Image.Image, scaled: bytes) -> None:
    with Image.open(io.BytesIO(scaled)) as image:
        assert image.size == face.size
        image.load()
        assert image.size == face.size
    file = io.BytesIO()
    face.save(file, "HDC", quality=40, max_side=100, backend="onnx", device="cpu")
    assert unpack(file.getvalue()).header.coded_size == (64, 96)


def test_limits_are_of_the_true_size(codec: Codec, face: Image.Image, scaled: bytes) -> None:
    with pytest.raises(TooLargeError, match="128x192 pixels are more than the limit of 10000"):
        codec.decompress(scaled, max_pixels=10_000)
    claim = pack(header(MAX_SIDE, MAX_SIDE, scale=31), b"\1")
    with pytest.raises(TooLargeError, match="65535x65535 pixels are more than the limit"):
        codec.decompress(claim)
    short = pack(header(60_000, 2000, scale=4), b"\1")
    for read in (hdcodec.info, hdcodec.verify, codec.decompress):
        with pytest.raises(CorruptError, match="1 bytes cannot hold 30000 x 1000 pixels"):
            read(short)


def test_few_scales_are_tried() -> None:
    """Bytes that grow a little less than pixels do, wherever the search begins."""
    for right in range(1, 31):
        for start in range(1, 31):
            tried: list[int] = []

            def excess(scale: int, tried: list[int] = tried, right: int = right) -> float:
                tried.append(scale)
                return float(2 ** (0.4 * (right - scale)))

            assert smallest(excess, start, 1, 31) == right
            assert len(tried) <= 8
            assert min(tried) >= min(start, right - 1)


def test_commands(hdc: Hdc, face: Image.Image, tmp_path: Path) -> None:
    face.save(tmp_path / "a.png")
    made = hdc("compress", tmp_path / "a.png", "--target-size", 22, "--json")
    assert made.code == 0, made.err
    facts = json.loads(made.out)
    size = facts["coded_width"], facts["coded_height"]
    assert size < face.size and facts["bytes"] <= 22
    told = hdc("compress", tmp_path / "a.png", "--max-side", 100, "--force")
    assert "coded at 64x96, quality 50" in told.out.decode()
    assert "coded at" not in hdc("compress", tmp_path / "a.png", "--force").out.decode()

    hdc("compress", tmp_path / "a.png", "--max-side", 100, "--force")
    assert "coded width" in hdc("info", tmp_path / "a.hdc").out.decode()
    whole = json.loads(hdc("decompress", tmp_path / "a.hdc", tmp_path / "b.png", "--json").out)
    assert (whole["width"], whole["coded_width"]) == (128, 64)
    small = hdc("decompress", tmp_path / "a.hdc", tmp_path / "c.png", "--coded-size")
    assert small.code == 0, small.err
    with Image.open(tmp_path / "b.png") as large, Image.open(tmp_path / "c.png") as image:
        assert (large.size, image.size) == (face.size, (64, 96))
    page = hdc("compare", tmp_path / "a.png", tmp_path / "a.hdc", "--against", "")
    assert page.code == 0, page.err


def test_batch(hdc: Hdc, face: Image.Image, tmp_path: Path) -> None:
    folder, report = tmp_path / "in", tmp_path / "report.jsonl"
    folder.mkdir()
    face.save(folder / "a.png")
    run = hdc(
        *("batch", "compress", folder, tmp_path / "out", "--max-side", 100),
        *("--report", report, "--workers", 1),
    )
    assert run.code == 0, run.err
    row: dict[str, Any] = json.loads(report.read_text())
    assert (row["width"], row["coded_width"], row["coded_height"]) == (128, 64, 96)
