"""hdcodec/web in one process of Node, and files of every kind for it."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hdcodec import Codec, HdcError, info, weights
from hdcodec._inspect import read_symbols
from hdcodec.entropy.coder import Encoder, PrefixDecoder
from hdcodec.format import EXIF, GRAY, MODELS, XMP, Header, pack, unpack
from hdcodec.models import open_model
from hdcodec.models.hdc.symbols import Source
from hdcodec.models.latent.qualities import hyper_size

DRIVER = Path(__file__).parent / "web" / "driver.mjs"
NODE = shutil.which("node")
SHIPPED = [str(weights.find(number).folder) for number in MODELS]
"""Folders of weights, as they are before a test puts others in their place."""

needs_node = pytest.mark.skipif(NODE is None, reason="there is no Node to run JavaScript")

Request = dict[str, Any]


class Answer(NamedTuple):
    """What became of a request: what was found, or the name and the message of an error."""

    found: Any = None
    error: str | None = None
    message: str | None = None
    milliseconds: float | None = None

    @property
    def outcome(self) -> tuple[Any, str | None, str | None]:
        """All but the time."""
        return self[:3]


def ask(requests: Iterable[Request]) -> list[Answer]:
    """The answers of tests/web/driver.mjs, which says what there is to ask for."""
    command = [str(NODE), str(DRIVER), *SHIPPED]
    lines = [json.dumps(request) for request in requests]
    done = subprocess.run(
        command, input="\n".join(lines), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers = [Answer(**json.loads(line)) for line in done.stdout.splitlines()]
    assert len(answers) == len(lines)
    return answers


def given(data: bytes) -> Request:
    """Bytes as a part of a request."""
    return {"base64": base64.b64encode(data).decode()}


# What Python makes of the same


def expected_info(data: bytes, **options: Any) -> Answer:
    try:
        return Answer(info(data, **options))
    except HdcError as fault:
        return Answer(None, type(fault).__name__, str(fault))


def expected_symbols(data: bytes) -> Answer:
    """The hash of the symbols of a beginning of a file."""
    try:
        box = unpack(data, partial=True)
        coder = PrefixDecoder(box.payload) if box.partial else None
        return Answer(read_symbols(box, coder).sha256())
    except HdcError as fault:
        return Answer(None, type(fault).__name__, str(fault))


# Files


def files(codec: Codec, photos: list[Image.Image], count: int) -> Iterator[bytes]:
    """Files of random sizes, qualities, maps, kept shares, scales and chunks: of photographs, of
    symbols without sense, and range streams of random bytes."""
    random = Random(1)
    makers = photographed, invented, invented, senseless
    for number in range(count):
        yield makers[number % len(makers)](codec, photos, random)


def photographed(codec: Codec, photos: list[Image.Image], random: Random) -> bytes:
    """A crop of a photograph."""
    size = _side(random), _side(random)
    photo = random.choice(photos)
    left, top = (random.randrange(max(1, a - b + 1)) for a, b in zip(photo.size, size, strict=True))
    image = photo.crop((left, top, left + size[0], top + size[1]))
    image = image.convert(random.choice(("RGB", "RGB", "L", "RGBA", "LA")))
    if image.mode.endswith("A"):
        image.putalpha(_alpha(size, random))
    image.info = {"xmp": b"<x/>"} if random.random() < 0.3 else {}
    options: dict[str, Any] = {"quality": random.randrange(201) / 2, "keep_metadata": True}
    if random.random() < 0.3:
        options["kept"] = random.randrange(16)
    if random.random() < 0.3:
        options["max_side"] = random.randrange(20, 150)
    if random.random() < 0.4:
        options["regions"] = [
            (*(random.randrange(side) for side in size), 70, 70, random.randrange(-100, 101))
        ]
    return codec.compress(image, verify=False, **options)


def invented(codec: Codec, photos: list[Image.Image], random: Random) -> bytes:
    """Random latents, indices and maps, as an encoder would write them."""
    header = _header(random)
    family: Any = open_model(header.model)
    rows, columns = hyper_size(*header.coded_size)
    rng = np.random.default_rng(random.randrange(1 << 32))
    y_shape = 4 * rows, 4 * columns
    kept, quality = header.parameters
    source = Source(
        rng.normal(0, rng.choice([0.3, 2, 30]), (*y_shape, 96)).astype(np.float32),
        rng.normal(0, rng.choice([0.3, 2, 30]), (rows, columns, 32)).astype(np.float32),
        lambda latent: rng.integers(0, 512, y_shape),
        offsets=_offsets(rows, columns, rng) if header.flags else None,
    )
    coder = Encoder()
    family.symbol_codec.code(
        coder, (rows, columns), quality, kept, source, mapped=bool(header.flags)
    )
    return pack(header, coder.finish(family.least_payload(*header.coded_size)), _chunks(random))


def senseless(codec: Codec, photos: list[Image.Image], random: Random) -> bytes:
    """A range stream of random bytes, long enough or nearly so."""
    size = random.choice((20, 400, 5000, 20_000))
    return pack(_header(random), random.randbytes(random.randrange(size)), _chunks(random))


def _header(random: Random) -> Header:
    scale, flags = random.choice((0, 0, 0, 1, 5, 31)), random.choice((0, 0, 1))
    parameters = bytes([random.choice((0, random.randrange(16))), random.randrange(201)])
    return Header(_side(random), _side(random), 1, parameters, scale, flags)


def _side(random: Random) -> int:
    return random.choice((1, 63, 64, 65, 128, random.randrange(1, 300), random.randrange(1, 120)))


def _chunks(random: Random) -> dict[int, bytes]:
    some = {
        EXIF: b"MM\0*",
        XMP: b"<x/>",
        GRAY: b"",
        200: b"later",
        255: bytes(random.randrange(200)),
    }
    return {kind: some[kind] for kind in some if random.random() < 0.15}


def _offsets(rows: int, columns: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """Rectangles on a ground, or noise."""
    found = np.zeros((rows, columns), np.int8)
    for _ in range(rng.integers(0, 4)):
        top, left = rng.integers(rows), rng.integers(columns)
        found[top : top + rng.integers(1, 4), left : left + rng.integers(1, 4)] = rng.integers(
            -20, 21
        )
    noise = rng.integers(-20, 21, found.shape)
    return np.where(rng.random() < 0.3, noise, found).astype(np.int8)


def _alpha(size: tuple[int, int], random: Random) -> Image.Image:
    slope = Image.linear_gradient("L").resize(size)
    return slope.point(lambda value: 255 * (value > 99)) if random.random() < 0.5 else slope
