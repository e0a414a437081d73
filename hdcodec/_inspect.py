"""What an .hdc file says, without its pixels and without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._errors import CorruptError
from ._inputs import bytes_of
from .entropy.coder import Coder, Decoder, Echo
from .format import ALPHA, CHUNK_NAMES, MAX_PIXELS, MODELS, Container, pack, unpack
from .models import open_model

if TYPE_CHECKING:
    from ._inputs import Data
    from .models.family import Symbols


BEGINNING = 16
"""A beginning of a file claims at most so many times the pixels that a whole file can."""


def read_symbols(box: Container, coder: Coder | None = None) -> Symbols:
    """The symbols of a file, read by `coder` (a Decoder unless given; a PrefixDecoder for a
    beginning of a file).

    Raises WeightsError, MissingWeightsError, CorruptError.
    """
    header = box.header.coded
    family = open_model(header.model)
    family.settings(header.parameters)
    least = family.least_payload(*header.size) // (BEGINNING if box.partial else 1)
    if len(box.payload) < least:
        raise CorruptError(
            f"a range stream of {len(box.payload)} bytes cannot hold "
            f"{header.width} x {header.height} pixels"
        )
    return family.symbols(header, coder or Decoder(box.payload))


def verify(data: Data, *, max_pixels: int = MAX_PIXELS) -> str:
    """The hash of the symbols of a file that is, byte for byte, what coding them again gives.

    `data` is the file's bytes or its path. Raises every kind of HdcError that a damaged or hostile
    file can cause; CorruptError also for a file that would decode, but that no encoder writes.
    """
    box = unpack(bytes_of(data), max_pixels=max_pixels)
    echo = Echo(box.payload)
    symbols = read_symbols(box, echo)
    if ALPHA in box.chunks:
        from .images.alpha import decode_alpha

        decode_alpha(box.chunks[ALPHA], box.header.size)
    least = open_model(box.header.model).least_payload(*box.header.coded_size)
    if pack(box.header, echo.finish(least), box.chunks) != box.data:
        raise CorruptError("the file is not what an encoder makes of its symbols")
    return symbols.sha256()


def info(data: Data, *, max_pixels: int = MAX_PIXELS) -> dict[str, Any]:
    """What an .hdc file says: header fields, bytes per section, bits per pixel, symbol hash.

    `data` is the file's bytes or its path. Loads the integer networks, but neither torch nor the
    others. `quality` is 0..100, all sizes are in bytes, `chunks` maps names to sizes; `coded_width`
    and `coded_height` are there where the picture is coded at a smaller size; the family of the
    model adds facts of its own. Raises every kind of HdcError that a damaged or hostile file
    can cause.
    """
    box = unpack(bytes_of(data), max_pixels=max_pixels)
    header, symbols = box.header, read_symbols(box)
    facts = open_model(header.model).facts(header.parameters, symbols, len(box.payload))
    return {
        "format": "hdc",
        "version": header.version,
        "model": MODELS[header.model].family,
        "model_id": header.model,
        "width": header.width,
        "height": header.height,
        **header.coded_facts,
        "bytes": len(box.data),
        "bpp": box.bpp,
        "header_bytes": box.header_bytes,
        "chunk_bytes": box.chunk_bytes,
        **facts,
        "chunks": {CHUNK_NAMES.get(k, str(k)): len(v) for k, v in box.chunks.items()},
        "symbols_sha256": symbols.sha256(),
    }
