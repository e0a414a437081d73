"""What is measured: this codec, and its rivals, as curves over a setting."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from io import BytesIO
from itertools import product
from typing import Any

from PIL import Image, features

import hdcodec
from hdcodec._errors import HdcError
from hdcodec.eval import _vvc
from hdcodec.models import DEFAULT
from hdcodec.models.options import Options, choices, defaults


@dataclass(frozen=True)
class Curve:
    """One codec over a ladder of settings, coarsest first.

    `encode(image, setting)` gives the whole file, `decode(data, size)` a picture of that size from
    the file alone. `version` changes whenever results may. `warm` is done once before timing.
    Curves of the same `encoder` (default: the name) decode the same files.
    """

    name: str
    version: str
    settings: tuple[float, ...]
    encode: Callable[[Image.Image, float], bytes]
    decode: Callable[[bytes, tuple[int, int]], Image.Image]
    warm: Callable[[Image.Image], object] = lambda _: None
    encoder: str = ""


def own_curves(
    qualities: Sequence[float],
    dials: Mapping[str, Sequence[Any]] | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    model: str = DEFAULT,
    device: str = "auto",
) -> list[Curve]:
    """This codec over `qualities` (0..100), one curve for each combination of `dials`.

    `dials` are the family's options of decompressing, each with the values to try; `options` those
    of compressing. Raises HdcError kinds where the codec cannot be loaded.
    """
    codec = hdcodec.Codec(model=model, device=device)
    computed = f"{codec.device} {codec.backend} {codec.networks.precision}"
    version = f"{hdcodec.__version__} {codec.family.fingerprint} {computed}"
    ladder, tried = tuple(sorted(qualities)), {k: v for k, v in (dials or {}).items() if v}
    return [
        _own_curve(codec, version, ladder, options or {}, dict(zip(tried, values, strict=True)))
        for values in product(*tried.values())
    ]


def _own_curve(
    codec: hdcodec.Codec,
    version: str,
    ladder: tuple[float, ...],
    options: Mapping[str, Any],
    chosen: dict[str, Any],
) -> Curve:
    encoder = " ".join([codec.name, *_named(options, codec.family.Encoding)])
    name = " ".join([encoder, *(f"{dial}={value:g}" for dial, value in chosen.items())])

    def encode(image: Image.Image, quality: float) -> bytes:
        return codec.compress(image, quality=quality, protect="none", **options)

    def decode(data: bytes, _size: tuple[int, int]) -> Image.Image:
        return codec.decompress(data, **chosen)

    def warm(image: Image.Image) -> None:
        codec.decompress(encode(image, ladder[0]), **chosen)

    return Curve(name, version, ladder, encode, decode, warm, encoder)


def _named(options: Mapping[str, Any], kind: type[Options]) -> list[str]:
    """The options that are not the default, but for folders, which change no result."""
    known = defaults(kind)
    return [
        f"{name}={value}"
        for name, value in options.items()
        if value != known[name].default and not choices(kind)[name].folder
    ]


@dataclass(frozen=True)
class Rival:
    """A Pillow codec, or VVC: its save options beside the quality, quality ladders per downscale,
    and the ends of its qualities. What is `slow` takes part only where it is asked for."""

    format: str
    options: dict[str, Any]
    ladders: dict[int, tuple[float, ...]]
    plugin: str | None = None
    slow: bool = False
    lowest: int = 0
    highest: int = 100


RIVALS = {
    "avif": Rival(
        "AVIF",
        {"speed": 1, "subsampling": "4:2:0"},
        {1: (0, 5, 11, 20, 32), 2: (0, 8, 18, 32, 50), 4: (0, 18, 38, 58)},
    ),
    "webp": Rival("WEBP", {"method": 6}, {1: (0, 5, 12), 2: (0, 8, 20, 40, 65), 4: (0, 45, 85)}),
    "jpeg": Rival(
        "JPEG",
        {"optimize": True, "progressive": True},
        {1: (1, 5, 10, 15), 2: (1, 8, 15, 30), 4: (5, 20, 45, 75)},
        lowest=1,
    ),
    "jxl": Rival(
        "JXL",
        {"effort": 7},
        {1: (0, 5, 10), 2: (0, 10, 30, 50), 4: (0, 25, 50, 75)},
        "pillow_jxl",
    ),
    "vvc": Rival(
        "VVC",
        {},
        {1: (2, 9, 14, 19, 24), 2: (9, 14, 19, 24, 29), 4: (18, 24, 34)},
        slow=True,
        highest=_vvc.COARSEST,
    ),
}


def rival_curves(names: Iterable[str]) -> list[Curve]:
    """The curves of rivals by name: avif, webp, jpeg, jxl or vvc, with @x2 or @x4 for "Lanczos
    down, code, Lanczos up". A bare avif also brings avif@x2: AVIF alone does not go low enough.

    Raises HdcError for an unknown name or a codec that is not installed.
    """
    asked: dict[str, None] = {}
    for name in names:
        asked |= dict.fromkeys(["avif", "avif@x2"] if name == "avif" else [name])
    return [_rival_curve(name) for name in asked]


def _rival_curve(name: str) -> Curve:
    base, factor = rival_parts(name)
    rival = RIVALS[base]

    def encode(image: Image.Image, quality: float) -> bytes:
        return save(shrink(image, factor), rival, quality)

    return Curve(name, rival_version(base), rival.ladders[factor], encode, restore)


def rival_parts(name: str) -> tuple[str, int]:
    """Codec and downscale of a name such as webp or webp@x2. Raises HdcError for any other."""
    match = re.fullmatch(rf"({'|'.join(RIVALS)})(?:@x([24]))?", name)
    if match is None:
        known = ", ".join(RIVALS)
        raise HdcError(f"unknown rival {name!r}: one of {known}, each also with @x2 or @x4")
    return match[1], int(match[2] or 1)


def rival_version(name: str) -> str:
    """The libraries behind a rival. Raises HdcError where they are not installed."""
    rival = RIVALS[name]
    if rival.format == "VVC":
        return _vvc.version()
    pillow = f"Pillow {metadata.version('pillow')}"
    if rival.plugin:
        if find_spec(rival.plugin) is None:
            raise HdcError(f"rival {name} needs its Pillow plugin: pip install pillow-jxl-plugin")
        __import__(rival.plugin)
        return f"{pillow}, plugin {metadata.version('pillow-jxl-plugin')}"
    module = {"jpeg": "jpg"}.get(name, name)
    if not features.check(module):
        raise HdcError(f"rival {name} needs a Pillow (11.3 or later) with {rival.format} support")
    return f"{pillow}, {name} {features.version(module)}"


def save(image: Image.Image, rival: Rival, quality: float) -> bytes:
    """The whole file of the bare pixels, without profile and metadata, at a quality 0..100."""
    if rival.format == "VVC":
        return _vvc.encode(image, round(quality))
    bare, out = image.copy(), BytesIO()
    bare.info = {}
    bare.save(out, rival.format, quality=round(quality), **rival.options)
    return out.getvalue()


def largest_within(image: Image.Image, rival: Rival, size: int) -> tuple[bytes, int]:
    """The file of highest quality that has at most `size` bytes, and that quality; else the file of
    lowest quality."""
    low, high = rival.lowest, rival.highest
    best = save(image, rival, low)
    while low < high and len(best) <= size:
        middle = (low + high + 1) // 2
        data = save(image, rival, middle)
        if len(data) <= size:
            low, best = middle, data
        else:
            high = middle - 1
    return best, low


def shrink(image: Image.Image, factor: float) -> Image.Image:
    """Divides both sides by `factor`, to at least one pixel."""
    if factor == 1:
        return image
    width, height = (max(1, round(side / factor)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def restore(data: bytes, size: tuple[int, int]) -> Image.Image:
    """Decodes a rival's file and scales it to `size`."""
    if data.startswith(_vvc.START_CODE):
        picture = _vvc.decode(data, size)
    else:
        with Image.open(BytesIO(data)) as file:
            picture = file.convert("RGB")
    return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)
