"""Writes the files of the suite anew: `python -m hdcodec.conformance.make`, after new weights.

Needs scikit-image for the photographs. Once version 1.0 is out, files are only added: those that
are there, and the weights behind a model id, stay as they are.
"""

from __future__ import annotations

import io
import json
from importlib.resources import as_file, files
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from hdcodec import Codec, CorruptError, __version__
from hdcodec._symbols import least_payload, read_symbols
from hdcodec.codec import quality_index
from hdcodec.entropy.coder import Echo
from hdcodec.format import MODELS, Header, pack, unpack

from . import suite

RELEASED = not __version__.startswith("0.")
OPTIONAL_CHUNK = 200
"""A type that this version ignores."""


class Recipe(NamedTuple):
    """A crop of a photograph, resized, or a pattern or stream; and how it is coded."""

    source: str
    size: tuple[int, int]
    quality: float
    kept: int | None = None
    mode: str = "RGB"
    metadata: bool = False
    optional: bytes | None = None


CROPS = {
    "astronaut": (170, 20, 290, 180),
    "coffee": (150, 50, 450, 350),
    "chelsea": (60, 0, 360, 260),
}
FACE, CUP, CAT = CROPS
STREAMS = ("zeros", "bytes")
SYMBOLS_ONLY = (*STREAMS, "chequered")
"""No picture is kept of them: of a chequerboard, which no photo resembles, processors that round
bfloat16 in other places make pictures that are eight levels apart."""

STREAM_BYTES = 10_000

RECIPES = {
    # every kept code, qualities from end to end
    "kept-00": Recipe(FACE, (96, 128), 0, 0),
    "kept-01": Recipe(CAT, (64, 64), 6.5, 1),
    "kept-02": Recipe(CUP, (101, 99), 12.5, 2),
    "kept-03": Recipe(CUP, (65, 63), 100, 3),
    "kept-04": Recipe(FACE, (63, 65), 19.5, 4),
    "kept-05": Recipe(CAT, (127, 70), 25, 5),
    "kept-06": Recipe(CUP, (61, 130), 31, 6),
    "kept-07": Recipe(CUP, (99, 101), 37.5, 7),
    "kept-08": Recipe(FACE, (80, 107), 44, 8),
    "kept-09": Recipe(CAT, (129, 65), 50, 9),
    "kept-10": Recipe(FACE, (90, 120), 56.5, 10),
    "kept-11": Recipe(CAT, (150, 130), 62.5, 11),
    "kept-12": Recipe(CUP, (128, 64), 69, 12),
    "kept-13": Recipe(CAT, (67, 58), 77.5, 13),
    "kept-14": Recipe(FACE, (48, 64), 87.5, 14),
    "kept-15": Recipe(FACE, (96, 128), 93.5, 15),
    # sizes
    "one-pixel": Recipe(FACE, (1, 1), 50),
    "two-pixels": Recipe(FACE, (2, 1), 75, 15),
    "row": Recipe(CUP, (67, 1), 20),
    "row-long": Recipe(CAT, (2001, 1), 40, 9),
    "column": Recipe(CUP, (1, 130), 50, 6),
    "column-long": Recipe(FACE, (1, 1999), 10),
    "tile": Recipe(CUP, (64, 64), 33.5, 5),
    "tile-and-one": Recipe(CAT, (65, 65), 45),
    "tiles-3x2": Recipe(CAT, (192, 128), 30, 2),
    "tiles-5x4": Recipe(FACE, (257, 193), 15),
    "tiles-7x1": Recipe(CUP, (437, 37), 22, 3),
    "large": Recipe(CUP, (600, 400), 3),
    # what is not RGB, and what comes beside the pixels
    "gray": Recipe(CAT, (90, 78), 30, mode="L"),
    "gray-pixel": Recipe(CAT, (1, 1), 100, 15, mode="L"),
    "gray-alpha": Recipe(FACE, (33, 44), 30, 4, mode="LA"),
    "alpha": Recipe(FACE, (60, 80), 30, mode="RGBA"),
    "alpha-two-levels": Recipe(CUP, (71, 83), 60, 7, mode="RGBA1"),
    "metadata": Recipe(CAT, (75, 65), 35, metadata=True),
    "all-chunks": Recipe(CAT, (57, 49), 80, 10, mode="LA", metadata=True, optional=b"ignored"),
    "optional-chunk": Recipe(FACE, (48, 64), 5, optional=bytes(range(40))),
    # no photographs
    "black": Recipe("black", (130, 70), 0),
    "white": Recipe("white", (70, 130), 100, 15),
    "grey": Recipe("grey", (130, 110), 0, 0),
    "chequered": Recipe("chequered", (100, 77), 90, 12),
    "noise": Recipe("noise", (66, 97), 100, 15),
    # no picture either, but streams: the lowest symbol everywhere, and symbols without sense
    "lowest-symbols": Recipe("zeros", (60, 50), 100, 15),
    "senseless-0": Recipe("bytes", (120, 70), 0, 15),
    "senseless-50": Recipe("bytes", (100, 140), 50, 8),
    "senseless-100": Recipe("bytes", (66, 60), 100, 15),
}
EXIF_ARTIST, XMP = 0x013B, b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'


def picture(recipe: Recipe) -> Image.Image:
    """The picture to encode; its alpha, if any, falls from top to bottom."""
    source = _photo if recipe.source in CROPS else _pattern
    image = source(recipe).convert(recipe.mode.removesuffix("1"))
    if image.mode.endswith("A"):
        alpha = Image.linear_gradient("L").resize(image.size)
        image.putalpha(alpha.point(lambda x: 255 * (x > 99)) if "1" in recipe.mode else alpha)
    image.info.clear()
    if recipe.metadata:
        exif = Image.Exif()
        exif[EXIF_ARTIST] = "hdcodec"
        image.info |= {"exif": exif.tobytes(), "xmp": XMP}
    return image


def _photo(recipe: Recipe) -> Image.Image:
    place = files("skimage.data") / f"{recipe.source}.png"
    with as_file(place) as path, Image.open(path) as photo:
        return photo.convert("RGB").crop(CROPS[recipe.source]).resize(recipe.size)


def _pattern(recipe: Recipe) -> Image.Image:
    (width, height), pattern = recipe.size, recipe.source
    if pattern == "noise":
        values = np.random.default_rng(0).integers(0, 256, (height, width, 3))
    elif pattern == "chequered":
        values = np.indices((height, width, 3))[:2].sum(0) // 3 % 2 * 255
    else:
        values = np.full((height, width, 3), {"black": 0, "grey": 119, "white": 255}[pattern])
    return Image.fromarray(values.astype(np.uint8))


def encode(codec: Codec, recipe: Recipe) -> bytes:
    """The .hdc file of a recipe."""
    if recipe.source in STREAMS:
        return _streamed(recipe)
    data = codec.compress(
        picture(recipe),
        quality=recipe.quality,
        kept=recipe.kept,
        keep_metadata=recipe.metadata,
    )
    if recipe.optional is None:
        return data
    box = unpack(data)
    return pack(box.header, box.payload, box.chunks | {OPTIONAL_CHUNK: recipe.optional})


def _streamed(recipe: Recipe) -> bytes:
    """The file of the symbols that some bytes happen to decode to."""
    header = Header(*recipe.size, quality_index(recipe.quality), recipe.kept or 0)
    for seed in range(100):
        stream = bytes(STREAM_BYTES)
        if recipe.source == "bytes":
            stream = np.random.default_rng(seed).bytes(STREAM_BYTES)
        echo = Echo(stream)
        try:
            read_symbols(unpack(pack(header, stream)), echo)
        except CorruptError:
            continue
        return pack(header, echo.finish(least_payload(header)))
    raise ValueError(f"no stream of {recipe.source} can be decoded")


def make(codec: Codec, recipe: Recipe) -> tuple[bytes, bytes | None]:
    """One .hdc file, and the PNG of its decoded picture, if it is one."""
    data = encode(codec, recipe)
    if recipe.source in SYMBOLS_ONLY:
        return data, None
    shrunk = suite.shrunk(codec.decompress(data))
    shrunk.info.clear()
    png = io.BytesIO()
    shrunk.save(png, "PNG", optimize=True)
    return data, png.getvalue()


def pinned_models(before: dict[str, Any], released: bool) -> dict[str, dict[str, str]]:
    """The sha256 of the weights of every model id; `before` holds those known so far.

    Raises ValueError where released weights have changed.
    """
    models = {str(number): suite.model_hashes(number) for number in MODELS}
    for number, hashes in before.items():
        if released and models.get(number) != hashes:
            raise ValueError(f"model {number} is released: new weights need a new model id")
    return models


def main(released: bool = RELEASED) -> None:
    """Write all files; once `released`, only those that are not there yet."""
    place = suite.DATA / suite.EXPECTED
    before = suite.expected() if place.exists() else {"models": {}, "files": {}}
    models = pinned_models(before["models"], released)
    kept = before["files"] if released else {}
    codec = Codec(device="cpu")
    codec.networks.half = False  # every kind of processor rounds bfloat16 in other places
    made = {name: make(codec, recipe) for name, recipe in RECIPES.items() if name not in kept}
    known = kept | {name: suite.exact_facts(data) for name, (data, _) in made.items()}
    for name, (data, png) in made.items():
        (suite.DATA / f"{name}.hdc").write_bytes(data)
        shown = suite.DATA / f"{name}.png"
        if png is None:
            shown.unlink(missing_ok=True)
        else:
            shown.write_bytes(png)
        print(f"{name}: {len(data)} bytes")
    place.write_text(json.dumps({"models": models, "files": known}, indent=1) + "\n")
    for old in suite.DATA.iterdir():
        if old != place and old.stem not in known:
            old.unlink()


if __name__ == "__main__":
    main()
