"""Writes files of the suite: `python -m hdcodec.conformance.make [--anew]`.

After new weights, which have a new model id, all files are made anew. Needs scikit-image for the
photographs.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.resources import as_file, files
from typing import Any

import numpy as np
from PIL import Image

from hdcodec import Codec, CorruptError, MissingWeightsError, info, weights
from hdcodec.entropy.coder import Echo
from hdcodec.format import MODELS, Header, pack, unpack
from hdcodec.models import FAMILIES
from hdcodec.models.family import Family

from . import suite
from .recipes import CROPS, OPTIONAL_CHUNK, STREAM_BYTES, STREAMS, SYMBOLS_ONLY, Recipe

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
        return _streamed(codec.family, recipe)
    data = codec.compress(
        picture(recipe),
        quality=recipe.quality,
        max_side=recipe.max_side,
        regions=recipe.regions,
        keep_metadata=recipe.metadata,
        protect="none",
        **recipe.options,
    )
    if recipe.optional is None:
        return data
    box = unpack(data)
    return pack(box.header, box.payload, box.chunks | {OPTIONAL_CHUNK: recipe.optional})


def _streamed(family: Family, recipe: Recipe) -> bytes:
    """The file of the symbols that some bytes happen to decode to."""
    parameters = family.parameters(recipe.quality, family.Encoding.of(recipe.options))
    header = Header(*recipe.size, family.model_id, parameters)
    for seed in range(100):
        stream = bytes(STREAM_BYTES)
        if recipe.source == "bytes":
            stream = np.random.default_rng(seed).bytes(STREAM_BYTES)
        echo = Echo(stream)
        try:
            family.symbols(header, echo)
        except CorruptError:
            continue
        return pack(header, echo.finish(family.least_payload(*recipe.size)))
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


def pinned_models(before: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The sha256 of the weights of every model id; `before` holds those known so far.

    Raises ValueError where the weights of an id have changed.
    """
    models = dict(before)
    for number, model in MODELS.items():
        with contextlib.suppress(MissingWeightsError):
            found = weights.find(number).deciding
            if before.get(str(number), found) != found:
                raise ValueError(
                    f"model {number} ({model.family}) has other weights than it had: "
                    "new weights need a new model id"
                )
            models[str(number)] = found
    return models


def recipes() -> Iterator[tuple[str, str, Recipe]]:
    """Family, name of the file and recipe of all files."""
    for family, module in FAMILIES.items():
        for name, recipe in import_module(f"{module}.recipes").RECIPES.items():
            yield family, name, recipe


def main(anew: bool = False) -> None:
    """Write the files that are not there yet, or all of them `anew`."""
    place = suite.DATA / suite.EXPECTED
    before = suite.expected() if place.exists() else {"models": {}, "files": {}}
    models = pinned_models(before["models"])
    kept = {} if anew else before["files"]
    wanted = {name: (family, recipe) for family, name, recipe in recipes() if name not in kept}
    codecs = {
        # every kind of processor rounds bfloat16 in other places
        family: Codec(family, device="cpu", precision="float32")
        for family in {family for family, _ in wanted.values()}
    }
    made = {name: make(codecs[family], recipe) for name, (family, recipe) in wanted.items()}
    known = kept | {name: info(data) for name, (data, _) in made.items()}
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
    main(anew="--anew" in sys.argv[1:])
