"""The files, what they must decode to, and the comparison of the two.

Beside NAME.hdc lies NAME.png, its decoded picture at a quarter of its size, unless the symbols were
never a picture's; expected.json holds what `hdcodec.info` says of every file, and the sha256 of the
weights behind them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from hdcodec import weights
from hdcodec._errors import HdcError, MissingWeightsError, describe
from hdcodec._inspect import info, verify
from hdcodec.format import Container, unpack

if TYPE_CHECKING:
    from hdcodec.codec import Codec

CodecOf: TypeAlias = "Callable[[int], Codec]"
"""A model id to a codec of it."""

DATA = Path(__file__).parent / "data"
EXPECTED = "expected.json"
SHRINK = 4
MEAN_TOLERANCE, WORST_TOLERANCE = 0.5, 4
"""Of 255, on pictures at a quarter of their size: networks of floats differ between machines."""

FEWEST = 64
"""A mean is taken over so many values at least: for one pixel, rounded the other way, it is 1."""


@dataclass
class Result:
    """What was found of one file; gaps are of 255, `error` is None if all is as expected."""

    file: str
    symbols_sha256: str | None = None
    mean_gap: float | None = None
    worst_gap: int | None = None
    made_sha256: str | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON, with `ok`."""
        return {"ok": self.error is None} | asdict(self)


class _DifferenceError(Exception):
    """A file does not decode to what is expected."""


def expected() -> dict[str, Any]:
    """`files`: name to what info says; `models`: id to name and sha256 of each file of weights."""
    return dict(json.loads((DATA / EXPECTED).read_text()))


def names() -> list[str]:
    """All files, without .hdc."""
    return sorted(expected()["files"])


def read(name: str) -> bytes:
    """The bytes of one .hdc file."""
    return (DATA / f"{name}.hdc").read_bytes()


def shrunk(image: Image.Image) -> Image.Image:
    """What is compared of a decoded picture: colours as they are under any alpha."""
    return Image.merge(image.mode, [band.reduce(SHRINK) for band in image.split()])


def check_weights() -> str | None:
    """None if no model has other weights than the files were made with, else what is wrong.

    Models that are no longer installed are passed over.
    """
    for number, pinned in expected()["models"].items():
        try:
            if weights.find(int(number)).deciding != pinned:
                return f"model {number} has other weights than the files were made with"
        except MissingWeightsError:
            continue
        except HdcError as error:
            return describe(error)
    return None


def check(name: str, codec_of: CodecOf | None, out: Path | None = None) -> Result:
    """Decode one file and compare; without `codec_of`, which has the codecs, the symbols alone.

    With `out` the decoded picture is also encoded again, checked, and written to that folder.
    """
    result = Result(name)
    try:
        result.symbols_sha256 = _check_symbols(name)
        if codec_of is not None:
            box = unpack(read(name))
            codec = codec_of(box.header.model)
            image = codec.decode(box)
            if (DATA / f"{name}.png").exists():
                result.mean_gap, result.worst_gap = _check_pixels(name, image)
            if out is not None:
                result.made_sha256 = _encode_again(name, codec, box, image, out)
    except (_DifferenceError, HdcError) as error:
        result.error = str(error)
    return result


def _check_symbols(name: str) -> str:
    data = read(name)
    wanted, found = expected()["files"][name], info(data)
    wrong = [key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)]
    if wrong:
        raise _DifferenceError(f"{', '.join(sorted(wrong))}: not as expected")
    return verify(data)


def _check_pixels(name: str, image: Image.Image) -> tuple[float, int]:
    with Image.open(DATA / f"{name}.png") as wanted:
        found = shrunk(image)
        if (found.mode, found.size) != (wanted.mode, wanted.size):
            raise _DifferenceError("mode or size of the picture: not as expected")
        gap = np.abs(_array(found) - _array(wanted))
    mean, worst = round(float(gap.sum()) / max(gap.size, FEWEST), 4), int(gap.max())
    if image.mode.endswith("A") and gap[..., -1].any():
        raise _DifferenceError("alpha: not as expected")
    if mean > MEAN_TOLERANCE or worst > WORST_TOLERANCE:
        raise _DifferenceError(f"the picture is off by {mean} in the mean and {worst} at worst")
    return mean, worst


def _encode_again(name: str, codec: Codec, box: Container, image: Image.Image, out: Path) -> str:
    settings = codec.family.settings(box.header.parameters)
    side = max(box.header.coded_size)
    options = {"max_side": side, "keep_metadata": True, "protect": "none"}
    data = codec.compress(image, **options, **settings)
    (out / f"{name}.hdc").write_bytes(data)
    return verify(data)


def _array(image: Image.Image) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.asarray(image).astype(np.int64)
