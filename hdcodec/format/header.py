"""The fields of the header, written and read."""

from __future__ import annotations

from dataclasses import dataclass

from hdcodec._errors import CorruptError, UnknownModelError
from hdcodec.format._bytes import Reader, pack_varint, parse_varint
from hdcodec.format.registry import MODELS

MAGIC = b"\xabH"
VERSION = 1
MAX_SIDE = 65_535
MAX_PIXELS = 178_956_970
LAST_MODEL = 126


@dataclass(frozen=True)
class Header:
    """What the decoder must know before the first symbol.

    width, height: pixels, 1..65535. model: a key of MODELS. parameters: what its family has to
    say, as many numbers as MODELS tells; the first 0..15, the others 0..255.
    """

    width: int
    height: int
    model: int
    parameters: bytes
    version: int = VERSION

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.width, self.height


def pack_header(header: Header, has_chunks: bool) -> bytes:
    """Write magic and fields. Raises CorruptError or UnknownModelError as parse_header would."""
    _check("version", header.version, VERSION, VERSION)
    _check("width", header.width, 1, MAX_SIDE)
    _check("height", header.height, 1, MAX_SIDE)
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
    )


def parse_header(reader: Reader) -> tuple[Header, bool]:
    """Read magic and fields; return the header and whether chunks follow.

    Raises TruncatedError, CorruptError (a field out of its range), UnknownModelError.
    """
    reader.take(len(MAGIC), "magic")
    version, first = divmod(reader.byte("header"), 16)
    model, has_chunks = divmod(reader.byte("header"), 2)
    width, height = parse_varint(reader, "width"), parse_varint(reader, "height")
    _check("version", version, VERSION, VERSION)
    _check("width", width, 1, MAX_SIDE)
    _check("height", height, 1, MAX_SIDE)
    others = reader.take(_count(model) - 1, "header")
    return Header(width, height, model, bytes([first]) + others, version), bool(has_chunks)


def _count(model: int) -> int:
    """How many parameters the header of a model's files has."""
    _check("model", model, 0, LAST_MODEL)
    if model not in MODELS:
        raise UnknownModelError(f"model {model} is not known to this release")
    return MODELS[model].parameters


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise CorruptError(f"the {name} is {value}, outside {low}..{high}")
