"""Writes the golden files anew: `python -m tests.golden.make`.

Each NAME.hdc comes with NAME.json (what `hdcodec.info` says, and the bytes of small files) and
NAME.png (the decoded picture, a quarter of its size). models.json holds the sha256 of the weights.
They pin what later releases must still read: once a release is out they may be added to, but
made anew only for a new model id.
"""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

import hdcodec
from hdcodec import weights
from hdcodec.format import MODELS

FOLDER = Path(__file__).parent
SHRINK = 4
LITERAL = 200
"""Files of at most so many bytes are in their JSON in full."""


class Golden(NamedTuple):
    """A crop of a photograph, resized, and how it is coded."""

    photo: str
    box: tuple[int, int, int, int]
    size: tuple[int, int]
    quality: float
    kept: int | None = None
    mode: str = "RGB"


FACE, CUP, CAT = (170, 20, 290, 180), (150, 50, 450, 350), (60, 0, 360, 260)
GOLDEN = {
    "one-pixel": Golden("astronaut", FACE, (1, 1), 50),
    "column": Golden("coffee", CUP, (1, 130), 50, kept=6),
    "row": Golden("coffee", CUP, (67, 1), 20),
    "face-lowest": Golden("astronaut", FACE, (96, 128), 0),
    "face-plain": Golden("astronaut", FACE, (96, 128), 25),
    "face-tokens": Golden("astronaut", FACE, (96, 128), 10, kept=15),
    "cup-odd": Golden("coffee", CUP, (101, 99), 40, kept=7),
    "cup-highest": Golden("coffee", CUP, (65, 63), 100, kept=3),
    "cat-middle": Golden("chelsea", CAT, (150, 130), 50, kept=11),
    "cat-between": Golden("chelsea", CAT, (64, 64), 33.5, kept=1),
    "cat-gray": Golden("chelsea", CAT, (90, 78), 30, mode="L"),
    "face-alpha": Golden("astronaut", FACE, (60, 80), 30, mode="RGBA"),
    "face-gray-alpha": Golden("astronaut", FACE, (33, 44), 30, kept=4, mode="LA"),
}


def picture(golden: Golden) -> Image.Image:
    """The picture to encode; its alpha, if any, falls from top to bottom."""
    with as_file(files("skimage.data") / f"{golden.photo}.png") as path, Image.open(path) as photo:
        crop = photo.convert("RGB").crop(golden.box)
    image = crop.resize(golden.size).convert(golden.mode)
    if image.mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.info.clear()
    return image


def shrunk(image: Image.Image) -> Image.Image:
    """What is compared of a decoded picture."""
    return image.reduce(SHRINK)


def model_hashes() -> dict[str, Any]:
    """The sha256 of every file of weights, by model id."""
    return {
        str(number): {
            name: entry["sha256"] for name, entry in weights.find(number).manifest["files"].items()
        }
        for number in MODELS
    }


def write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


def make(codec: hdcodec.Codec, name: str, golden: Golden) -> int:
    """Write the files of one golden picture; returns the bytes of its .hdc."""
    data = codec.compress(picture(golden), quality=golden.quality, kept=golden.kept)
    (FOLDER / f"{name}.hdc").write_bytes(data)
    dump: dict[str, Any] = {"info": hdcodec.info(data)}
    if len(data) <= LITERAL:
        dump["hex"] = data.hex()
    write(FOLDER / f"{name}.json", dump)
    shrunk(codec.decompress(data)).save(FOLDER / f"{name}.png", optimize=True)
    return len(data)


def main() -> None:
    """Write all of them, and remove those of names that are gone."""
    for pattern in ("*.hdc", "*.json", "*.png"):
        for old in FOLDER.glob(pattern):
            old.unlink()
    codec = hdcodec.Codec(device="cpu")
    for name, golden in GOLDEN.items():
        print(f"{name}: {make(codec, name, golden)} bytes")
    write(FOLDER / "models.json", model_hashes())


if __name__ == "__main__":
    main()
