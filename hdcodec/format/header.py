"""The fields of the header, written and read."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hdcodec._errors import CorruptError, UnknownModelError
from hdcodec.format._bytes import Reader, pack_varint, parse_varint
from hdcodec.format.registry import MODELS

MAGIC = b"\xabH"
PLAIN, EXTENDED = 1, 2
VERSIONS = (PLAIN, EXTENDED)
"""The second has one byte more in its header, flags and scale, of which one at least is not 0."""

MAX_SIDE = 65_535
MAX_PIXELS = 178_956_970
LAST_MODEL = 126
MAX_SCALE = 31
MAX_FLAGS = 7


@dataclass(frozen=True)
class Header:
    """What the decoder must know before the first symbol.

    width, height: pixels, 1..65535. model: a key of MODELS. parameters: what its family has to
    say, as many numbers as MODELS tells; the first 0..15, the others 0..255. scale: 0..31, how much
    smaller than that the picture is coded, see `scaled`. flags: 0..7, more from the family.
    """

    width: int
    height: int
    model: int
    parameters: bytes
    scale: int = 0
    flags: int = 0

    @property
    def version(self) -> int:
        """1, or 2 where there is a scale or a flag."""
        return EXTENDED if self.scale or self.flags else PLAIN

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.width, self.height

    @property
    def coded_size(self) -> tuple[int, int]:
        """Width and height of the picture that is coded."""
        return coded_size(self.size, self.scale)

    @property
    def coded_facts(self) -> dict[str, int]:
        """`coded_width` and `coded_height` for reports, where they are other than the size."""
        if self.coded_size == self.size:
            return {}
        return dict(zip(("coded_width", "coded_height"), self.coded_size, strict=True))

    @property
    def coded(self) -> Header:
        """The header of the picture that is coded, which is all that a family knows of."""
        width, height = self.coded_size
        return replace(self, width=width, height=height, scale=0)


def coded_size(size: tuple[int, int], scale: int) -> tuple[int, int]:
    """Width and height in pixels of a picture coded at a scale 0..31."""
    return scaled(size[0], scale), scaled(size[1], scale)


def scaled(side: int, scale: int) -> int:
    """The side in pixels of a picture coded at a scale 0..31: of four steps each halves it.

    side x 2^(-scale / 4), rounded to the nearest, at least 1; in whole numbers, so that
    all machines agree: 55109, 46341 and 38968 over 65536 are the quarter steps.
    """
    octave, quarter = divmod(scale, 4)
    part = (65536, 55109, 46341, 38968)[quarter]
    unit = 65536 << octave
    return max(1, (side * part + unit // 2) // unit)


def pack_header(header: Header, has_chunks: bool) -> bytes:
    """Write magic and fields. Raises CorruptError or UnknownModelError as parse_header would."""
    _check("width", header.width, 1, MAX_SIDE)
    _check("height", header.height, 1, MAX_SIDE)
    _check("scale", header.scale, 0, MAX_SCALE)
    _check("flags", header.flags, 0, MAX_FLAGS)
    count = _count(header.model)
    _check("number of parameters", len(header.parameters), count, count)
    first, others = header.parameters[0], header.parameters[1:]
    _check("first parameter", first, 0, 15)
    return (
        MAGIC
        + bytes([header.version << 4 | first, header.model << 1 | has_chunks])
        + pack_varint(header.width)
        + pack_varint(header.height)
        + others
        + bytes([header.flags << 5 | header.scale] * (header.version == EXTENDED))
    )


def parse_header(reader: Reader) -> tuple[Header, bool]:
    """Read magic and fields; return the header and whether chunks follow.

    Raises TruncatedError, CorruptError (a field out of its range), UnknownModelError.
    """
    reader.take(len(MAGIC), "magic")
    version, first = divmod(reader.byte("header"), 16)
    model, has_chunks = divmod(reader.byte("header"), 2)
    width, height = parse_varint(reader, "width"), parse_varint(reader, "height")
    _check("version", version, PLAIN, EXTENDED)
    _check("width", width, 1, MAX_SIDE)
    _check("height", height, 1, MAX_SIDE)
    parameters = bytes([first]) + reader.take(_count(model) - 1, "header")
    flags, scale = divmod(reader.byte("header") if version == EXTENDED else 0, 32)
    if version == EXTENDED and not flags and not scale:
        raise CorruptError("the extension of the header says nothing")
    return Header(width, height, model, parameters, scale, flags), bool(has_chunks)


def _count(model: int) -> int:
    """How many parameters the header of a model's files has."""
    _check("model", model, 0, LAST_MODEL)
    if model not in MODELS:
        raise UnknownModelError(f"model {model} is not known to this release")
    return MODELS[model].parameters


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise CorruptError(f"the {name} is {value}, outside {low}..{high}")
