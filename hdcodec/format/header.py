"""The fields of the header. LAYOUT is the one description that both packs and parses them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from hdcodec._errors import CorruptError, UnknownModelError
from hdcodec.format._bytes import Reader, pack_varint, parse_varint

MAGIC = b"\xabH"
VERSION = 1
MODELS = {1: "hdc"}
MAX_SIDE = 65_535
MAX_PIXELS = 178_956_970
KEPT_STEPS = 15


@dataclass(frozen=True)
class Header:
    """What the decoder must know before the first symbol.

    width, height: pixels, 1..65535. quality: 0..200, half points of the 0..100 scale.
    kept: 0..15, see kept_fraction. model: a key of MODELS.
    """

    width: int
    height: int
    quality: int
    kept: int
    model: int = 1
    version: int = VERSION


def kept_fraction(kept: int) -> float:
    """The share of indices, 0..1, that the code `kept` (0..15) keeps: its square over 225."""
    return kept * kept / (KEPT_STEPS * KEPT_STEPS)


@dataclass(frozen=True)
class Field:
    """One number of the header and the values that it may take."""

    name: str
    low: int
    high: int


@dataclass(frozen=True)
class Packed:
    """Fields that share one byte, the first in the high bits; `widths` are in bits."""

    widths: tuple[int, ...]
    fields: tuple[Field, ...]

    def pack(self, values: Mapping[str, int]) -> bytes:
        """The fields' values in one byte, the first one highest."""
        byte = 0
        for width, field in zip(self.widths, self.fields, strict=True):
            byte = byte << width | values[field.name]
        return bytes([byte])

    def parse(self, reader: Reader) -> dict[str, int]:
        """The fields' values from the next byte; raises TruncatedError."""
        byte = reader.byte("header")
        values = {}
        for width, field in zip(reversed(self.widths), reversed(self.fields), strict=True):
            values[field.name] = byte & (1 << width) - 1
            byte >>= width
        return values


@dataclass(frozen=True)
class Varint:
    """A field in as many bytes as it needs."""

    field: Field

    @property
    def fields(self) -> tuple[Field, ...]:
        """The one field."""
        return (self.field,)

    def pack(self, values: Mapping[str, int]) -> bytes:
        """The field's value, seven bits a byte."""
        return pack_varint(values[self.field.name])

    def parse(self, reader: Reader) -> dict[str, int]:
        """The field's value from the next bytes; raises TruncatedError, CorruptError."""
        return {self.field.name: parse_varint(reader, self.field.name)}


LAYOUT: tuple[Packed | Varint, ...] = (
    Packed((4, 4), (Field("version", VERSION, VERSION), Field("kept", 0, KEPT_STEPS))),
    Packed((7, 1), (Field("model", 0, 126), Field("has_chunks", 0, 1))),
    Varint(Field("width", 1, MAX_SIDE)),
    Varint(Field("height", 1, MAX_SIDE)),
    Packed((8,), (Field("quality", 0, 200),)),
)


def pack_header(header: Header, has_chunks: bool) -> bytes:
    """Write magic and fields. Raises CorruptError or UnknownModelError as parse_header would."""
    values = asdict(header) | {"has_chunks": int(has_chunks)}
    _check(values)
    return MAGIC + b"".join(unit.pack(values) for unit in LAYOUT)


def parse_header(reader: Reader) -> tuple[Header, bool]:
    """Read magic and fields; return the header and whether chunks follow.

    Raises TruncatedError, CorruptError (a field out of its range), UnknownModelError.
    """
    reader.take(len(MAGIC), "magic")
    values: dict[str, int] = {}
    for unit in LAYOUT:
        values |= unit.parse(reader)
    _check(values)
    has_chunks = bool(values.pop("has_chunks"))
    return Header(**values), has_chunks


def _check(values: Mapping[str, int]) -> None:
    for unit in LAYOUT:
        for field in unit.fields:
            value = values[field.name]
            if not field.low <= value <= field.high:
                raise CorruptError(
                    f"the {field.name} is {value}, outside {field.low}..{field.high}"
                )
    if values["model"] not in MODELS:
        raise UnknownModelError(f"model {values['model']} is not known to this release")
