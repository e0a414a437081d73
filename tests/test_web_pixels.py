"""What pixels take in JavaScript, beside the networks, against Python: noise, tiles, sizes, PNG."""

import base64
import hashlib
import io
from random import Random
from typing import Any

import numpy as np
import pytest
from javascript import ask, given, needs_node
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load, save

from hdcodec import CorruptError, HdcError, packets, weights
from hdcodec._eight_bits import packed
from hdcodec.conformance import suite
from hdcodec.format import ALPHA, unpack
from hdcodec.images.alpha import decode_alpha, encode_alpha
from hdcodec.models.noise import noise
from hdcodec.models.tiles import tiles

pytestmark = needs_node


def random_bytes(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_noise_is_the_same() -> None:
    places = [(0, 0, 2, 3, 128), (5, 7, 3, 2, 4), (70, 90, 1, 2, 16)]
    whole = [noise(top + high, left + wide, c) for top, left, high, wide, c in places]
    wanted = [
        part[top:, left:].ravel().tolist()
        for part, (top, left, *_) in zip(whole, places, strict=True)
    ]
    assert [a.found for a in ask([{"what": "noise", "place": p} for p in places])] == wanted


def test_tiles_are_the_same() -> None:
    random = Random(1)
    sizes = [(64 * random.randint(1, 90), 64 * random.randint(1, 90)) for _ in range(60)]
    asked = [(*size, area) for size in sizes for area in (1, 1 << 18, 1 << 20, 1536 * 1536)]
    found = ask([{"what": "tiles", "height": h, "width": w, "area": a} for h, w, a in asked])
    for answer, one in zip(found, asked, strict=True):
        wanted = [
            [[s.low, s.start, s.stop, s.high] for s in (tile.rows, tile.columns)]
            for tile in tiles(*one)
        ]
        assert answer.found == wanted, one


def test_tiles_make_the_picture_again() -> None:
    pixels = random_bytes(1024, 640)
    request = {"what": "pasted", "height": 1024, "width": 640, "area": 1, "shown": [1001, 613]}
    (answer,) = ask([request | given(pixels.tobytes())])
    assert answer.found == hashlib.sha256(pixels[:1001, :613].tobytes()).hexdigest()


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_sizes_are_changed_as_pillow_does(mode: str) -> None:
    sizes = [((20, 30), (40, 61)), ((7, 5), (300, 9)), ((64, 1), (64, 40)), ((90, 50), (31, 50))]
    channels = len(mode)
    requests: list[Any] = []
    wanted = []
    for seed, (before, after) in enumerate(sizes):
        width, height = before
        pixels = random_bytes(height, width, channels, seed=seed)
        image = Image.fromarray(pixels[..., 0] if mode == "L" else pixels)
        wanted.append(np.asarray(image.resize(after, Image.Resampling.LANCZOS)).ravel().tolist())
        size = {"width": width, "height": height, "channels": channels, "to": after}
        requests.append({"what": "resized", **size, **given(pixels.tobytes())})
    assert [answer.found for answer in ask(requests)] == wanted


def test_alpha_is_read_as_pillow_does() -> None:
    alpha = random_bytes(23, 37, seed=4)
    smooth = Image.linear_gradient("L").resize((37, 23))
    two = smooth.point(lambda value: 255 * (value > 99))
    made = [encode_alpha(image) for image in (Image.fromarray(alpha), smooth, two)]
    chunk = unpack(suite.read("alpha-two-levels")).chunks[ALPHA]
    with Image.open(io.BytesIO(chunk)) as image:
        size = image.size
    sizes = [(37, 23)] * 3 + [size]
    asked = [*made, chunk]
    found = ask(
        {"what": "alpha", "width": w, "height": h, **given(png)}
        for png, (w, h) in zip(asked, sizes, strict=True)
    )
    for answer, png, wanted in zip(found, asked, sizes, strict=True):
        assert answer.found == np.asarray(decode_alpha(png, wanted)).ravel().tolist()


def test_damaged_alpha_is_the_same_kind_of_error() -> None:
    random, png = Random(2), encode_alpha(Image.linear_gradient("L").resize((40, 30)))
    start = png.index(b"IDAT") + 4
    damaged, kinds = [], list[str | None]()
    for _ in range(60):
        flipped = bytearray(png)
        flipped[random.randrange(start, len(png) - 16)] ^= 1 << random.randrange(8)
        damaged.append(bytes(flipped))
        try:
            decode_alpha(damaged[-1], (40, 30))
            kinds.append(None)
        except CorruptError:
            kinds.append("CorruptError")
    found = ask({"what": "alpha", "width": 40, "height": 30, **given(data)} for data in damaged)
    for answer, kind in zip(found, kinds, strict=True):
        assert answer.error == kind or answer.error == "CorruptError"
    assert kinds.count("CorruptError") > 20
    # Of more or fewer rows than there should be nothing is unpacked or made up.
    for height in (29, 31):
        (answer,) = ask([{"what": "alpha", "width": 40, "height": height, **given(png)}])
        assert answer.message == "the alpha chunk does not have as many pixels as the picture"


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_png_holds_what_it_was_given(channels: int, mode: str) -> None:
    pixels = random_bytes(19, 31, channels)
    exif = base64.b64encode(b"MM\0*\0\0\0\x08\0\0\0\0\0\0").decode()
    size = {"width": 31, "height": 19, "channels": channels, "exif": {"base64": exif}}
    (answer,) = ask([{"what": "png", **size, **given(pixels.tobytes())}])
    with Image.open(io.BytesIO(base64.b64decode(answer.found))) as image:
        assert (image.mode, image.size) == (mode, (31, 19))
        assert np.array_equal(np.asarray(image).reshape(pixels.shape), pixels)
        assert image.info["exif"].removeprefix(b"Exif\0\0") == base64.b64decode(exif)


def joined_here(parts: list[bytes]) -> tuple[Any, str | None]:
    try:
        joined = packets.join(parts)
    except HdcError as fault:
        return None, f"{type(fault).__name__}: {fault}"
    count = {"packets": joined.packets, "count": joined.count, "dropped": joined.dropped}
    return count | {"data": base64.b64encode(joined.data).decode()}, None


def test_weights_in_8_bits_are_the_same() -> None:
    """The shipped ones, and others of all sizes that float16 has."""
    random = np.random.default_rng(5)
    sizes = 2.0 ** random.uniform(-26, 14, (64, 1))
    spread = np.clip(random.normal(0, sizes, (64, 40)), -65000, 65000).astype(np.float16)
    few = np.arange(6, dtype=np.float16)
    made = [weights.find(1).read(weights.NETWORKS), save({"a": spread, "b": few})]
    pairs = [packed(data) for data in made]
    assert len(pairs[0][0]) < 0.52 * len(made[0])
    wanted = [hashlib.sha256(whole).hexdigest() for _, whole in pairs]
    assert [a.found for a in ask({"what": "eight", **given(x)} for x, _ in pairs)] == wanted
    for (_, whole), data in zip(pairs, made, strict=True):
        for name, tensor in load(data).items():
            gap = np.abs(load(whole)[name].astype(float) - tensor.astype(float))
            assert gap.max() <= np.abs(tensor.astype(float)).max() / 220 + 1e-7
    (cut,) = ask([{"what": "eight", **given(pairs[1][0][:20])}])
    assert cut.error == "WeightsError"


def test_packets_make_the_same() -> None:
    random, cases = Random(3), list[list[bytes]]()
    other = packets.split(suite.read("tile"), 20)
    for name in ("kept-15", "all-chunks", "noise"):
        for size, parity in ((60, True), (100, False), (300, True)):
            whole = packets.split(suite.read(name), size, parity=parity)
            for _ in range(12):
                some = random.sample(whole, random.randint(0, len(whole)))
                some += random.sample(other, random.randint(0, 2))
                some = [part[: random.choice((9, 400, 400))] for part in some]
                cases.append([*some, *random.sample(some, min(1, len(some)))])
            cases.append(whole[::-1])
            cases.append(whole[1:])
            again = packets.split(suite.read(name), size + 1, parity=not parity)
            cases.append([*whole[: random.randint(0, 3)], *again])
            cases.append([*again[: random.randint(0, 3)], *whole])
    found = ask(
        {"what": "joined", "packets": [base64.b64encode(part).decode() for part in case]}
        for case in cases
    )
    for answer, case in zip(found, cases, strict=True):
        told = None if answer.error is None else f"{answer.error}: {answer.message}"
        assert (answer.found, told) == joined_here(case)
