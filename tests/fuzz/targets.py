"""What is tried on damaged files. Each target makes its seeds, and says what became of a file."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from random import Random
from typing import Protocol

from hdcodec import HdcError
from hdcodec.format import unpack

from . import mutate
from .blind import damaged, spliced
from .draft import PNG_SIGNATURE, png_of, sections
from .limits import HANG

PIXELS = 1 << 14
"""The limit that the decoder and the reader of pictures are given."""

ACCEPTED = "accepted"


class Target(Protocol):
    """memory: bytes that a run may take beyond what it has when it starts. patience: seconds that a
    file may take."""

    memory: int
    patience: float

    def mutant(self, random: Random) -> bytes: ...

    def __call__(self, data: bytes) -> str:
        """What became of `data`: ACCEPTED or the name of an HdcError; all else is a fault."""
        ...


class Parser:
    """`unpack`; what it accepts is packed again to the same bytes. Pillow's opening beside it."""

    memory, patience = 16 << 20, HANG

    def __init__(self) -> None:
        from PIL import Image, UnidentifiedImageError

        import hdcodec.pillow_plugin

        from .corpus import hollow_files

        hdcodec.pillow_plugin.register()
        self.seeds = hollow_files()
        self.open = Image.open
        self.refusals = UnidentifiedImageError, Image.DecompressionBombError

    def mutant(self, random: Random) -> bytes:
        return mutate.mutant(self.seeds, random)

    def __call__(self, data: bytes) -> str:
        from hdcodec.format import pack

        if data[:2] == b"\xabH":
            with contextlib.suppress(*self.refusals), self.open(io.BytesIO(data)) as image:
                assert image.width and image.height
        with _refused() as outcome:
            box = unpack(data)
            assert pack(box.header, box.payload, box.chunks) == data, "two files say the same"
        return outcome[0]


class Chunks:
    """Alpha, EXIF and XMP joined to blank colours, and the result saved in many formats."""

    memory, patience = 64 << 20, HANG
    FORMATS = ("PNG", "TIFF", "JPEG", "WEBP")

    def __init__(self) -> None:
        from .corpus import hollow_files

        limits = {"max_pixels": PIXELS}
        self.seeds = [seed for seed in hollow_files() if _accepts(seed, limits)]

    def mutant(self, random: Random) -> bytes:
        return mutate.mutant(self.seeds, random, calm=0.9)

    def __call__(self, data: bytes) -> str:
        from PIL import Image

        from hdcodec.images import attach

        with _refused() as outcome:
            box = unpack(data, max_pixels=PIXELS)
            blank = Image.new("RGB", (box.header.width, box.header.height))
            used(attach(blank, box.chunks), blank.size)
        return outcome[0]


def used(image: object, size: tuple[int, int]) -> None:
    """What a program may do with a decoded picture: lay it on a ground, save it."""
    from PIL import Image

    from hdcodec import OutputError
    from hdcodec.images import flatten, from_pil, save

    assert isinstance(image, Image.Image) and image.size == size
    assert image.mode in ("L", "LA", "RGB", "RGBA")
    flatten(from_pil(image))
    for kind in Chunks.FORMATS:
        with contextlib.suppress(OutputError):
            save(image, io.BytesIO(), kind)


class Decoder:
    """The whole way of a file: `info`, `decompress`, and what is done with the picture."""

    memory, patience = 256 << 20, HANG

    def __init__(self) -> None:
        import torch

        import hdcodec

        from .corpus import coded_files

        torch.set_num_threads(1)
        self.codec = hdcodec.Codec(device="cpu")
        self.seeds = coded_files(self.codec)

    def mutant(self, random: Random) -> bytes:
        return mutate.mutant(self.seeds, random, calm=0.8)

    def __call__(self, data: bytes) -> str:
        import hdcodec

        with _refused() as outcome:
            facts = hdcodec.info(data, max_pixels=PIXELS)
            image = self.codec.decompress(data, max_pixels=PIXELS)
            used(image, (facts["width"], facts["height"]))
        return outcome[0]


class Pictures:
    """`images.load`, which reads what is to be compressed."""

    memory, patience = 64 << 20, HANG

    def __init__(self) -> None:
        from PIL import Image

        from .corpus import picture_files

        Image.MAX_IMAGE_PIXELS = PIXELS // 2
        self.seeds = picture_files()

    def mutant(self, random: Random) -> bytes:
        data = random.choice(self.seeds)
        if random.random() < 0.1:
            return spliced(data, random.choice(self.seeds), random)
        if data.startswith(PNG_SIGNATURE) and random.random() < 0.8:
            return _damaged_png(data, random)
        for _ in range(random.choice((1, 1, 2, 5))):
            data = damaged(data, random)
        return data

    def __call__(self, data: bytes) -> str:
        from hdcodec.images import load

        with _refused() as outcome:
            picture = load(io.BytesIO(data))
            assert picture.rgb.width * picture.rgb.height <= PIXELS
        return outcome[0]


def _damaged_png(data: bytes, random: Random) -> bytes:
    parts = sections(data)
    place = random.randrange(len(parts))
    if parts[place].kind in (b"iCCP", b"zTXt") and random.random() < 0.5:
        return mutate.alpha(data, random)
    body = damaged(parts[place].body, random)
    parts[place] = type(parts[place])(parts[place].kind, body)
    return png_of(parts)


@contextlib.contextmanager
def _refused() -> Iterator[list[str]]:
    """A list that in the end holds what became of the file; warnings are left to the program."""
    outcome = [ACCEPTED]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield outcome
        except HdcError as error:
            assert "\n" not in str(error)
            outcome[0] = type(error).__name__


def _accepts(data: bytes, limits: dict[str, int]) -> bool:
    try:
        unpack(data, **limits)
    except HdcError:
        return False
    return True


TARGETS: dict[str, type[Target]] = {
    "parser": Parser,
    "chunks": Chunks,
    "decoder": Decoder,
    "pictures": Pictures,
}
