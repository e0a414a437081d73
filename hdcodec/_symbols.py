"""From a parsed file to its symbols, without torch."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from . import weights
from ._errors import CorruptError
from .entropy.coder import Coder, Decoder, Echo
from .entropy.latents import SymbolCodec, Symbolic
from .format import ALPHA, MAX_PIXELS, Container, Header, kept_fraction, pack, unpack
from .models.hdc.config import STRIDE

CHUNK_NAMES = {1: "alpha", 2: "exif", 3: "xmp", 4: "gray"}


@lru_cache(maxsize=2)
def symbol_codec(model: int) -> SymbolCodec:
    """The integer networks of a model id; raises UnknownModelError, WeightsError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    from ._errors import WeightsError

    data = weights.find(model).read("entropy.safetensors")
    try:
        return SymbolCodec(load(data))
    except SafetensorError as error:
        raise WeightsError(
            f"entropy.safetensors of model {model} cannot be parsed: {error}"
        ) from error


def hyper_size(header: Header) -> tuple[int, int]:
    """Rows and columns of hyper-latents."""
    return -(-header.height // STRIDE), -(-header.width // STRIDE)


def least_payload(header: Header) -> int:
    """The fewest bytes a range stream may have: one per 4 hyper-latent positions (16,384 pixels).

    So a few bytes cannot claim a picture that takes minutes to decode. That they are not mere
    filling is what `Decoder` sees to.
    """
    rows, columns = hyper_size(header)
    return rows * columns // 4


def keep_fraction(kept: int) -> tuple[int, int]:
    """The kept fraction of a kept code 0..15 as numerator and denominator."""
    return kept * kept, 225


def read_symbols(box: Container, coder: Coder | None = None) -> Symbolic:
    """The symbols of a file, read by `coder` (a Decoder unless given).

    Raises UnknownModelError, WeightsError, CorruptError.
    """
    header = box.header
    if len(box.payload) < least_payload(header):
        raise CorruptError(
            f"a range stream of {len(box.payload)} bytes cannot hold "
            f"{header.width} x {header.height} pixels"
        )
    return symbol_codec(header.model).code(
        coder or Decoder(box.payload),
        hyper_size(header),
        header.quality,
        keep_fraction(header.kept),
        None,
    )


def verify(data: bytes, *, max_pixels: int = MAX_PIXELS) -> str:
    """The hash of the symbols of a file that is, byte for byte, what coding them again gives.

    Raises every kind of HdcError that a damaged or hostile file can cause; CorruptError also for a
    file that would decode, but that no encoder writes.
    """
    box = unpack(data, max_pixels=max_pixels)
    echo = Echo(box.payload)
    symbols = read_symbols(box, echo)
    if ALPHA in box.chunks:
        from .images.alpha import decode_alpha

        decode_alpha(box.chunks[ALPHA], (box.header.width, box.header.height))
    if pack(box.header, echo.finish(least_payload(box.header)), box.chunks) != data:
        raise CorruptError("the file is not what an encoder makes of its symbols")
    return symbols.sha256()


def info(data: bytes, *, max_pixels: int = MAX_PIXELS) -> dict[str, Any]:
    """What an .hdc file says: header fields, bytes per section, bits per pixel, symbol hash.

    Loads the entropy networks, but neither torch nor the others. `quality` is 0..100,
    `kept_fraction` 0..1, all sizes are in bytes, `chunks` maps names to sizes. Raises every kind of
    HdcError that a damaged or hostile file can cause.
    """
    box = unpack(data, max_pixels=max_pixels)
    header, symbols = box.header, read_symbols(box)
    bits = symbols.lic_bits + symbols.vq_bits
    lic = round(len(box.payload) * symbols.lic_bits / bits) if bits else len(box.payload)
    return {
        "format": "hdc",
        "version": header.version,
        "model": weights.family_of(header.model)[1],
        "model_id": header.model,
        "width": header.width,
        "height": header.height,
        "quality": header.quality / 2,
        "kept_fraction": round(kept_fraction(header.kept), 4),
        "kept_indices": int(symbols.kept.sum()),
        "bytes": len(data),
        "bpp": round(8 * len(data) / (header.width * header.height), 5),
        "header_bytes": box.header_bytes,
        "chunk_bytes": box.chunk_bytes,
        "lic_bytes": lic,
        "vq_bytes": len(box.payload) - lic,
        "chunks": {CHUNK_NAMES.get(k, str(k)): len(v) for k, v in box.chunks.items()},
        "symbols_sha256": symbols.sha256(),
    }
