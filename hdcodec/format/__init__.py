"""The .hdc file: header, chunks, range stream, checksum. Specified in docs/format.md."""

from __future__ import annotations

from hdcodec.format.container import (
    ALPHA,
    CHUNK_NAMES,
    EXIF,
    GRAY,
    MAX_FILE_BYTES,
    MAX_METADATA_BYTES,
    XMP,
    Container,
    pack,
    unpack,
)
from hdcodec.format.header import (
    MAGIC,
    MAX_PIXELS,
    MAX_SIDE,
    VERSIONS,
    Header,
)
from hdcodec.format.registry import MODELS, Model

__all__ = [
    "ALPHA",
    "CHUNK_NAMES",
    "EXIF",
    "GRAY",
    "MAGIC",
    "MAX_FILE_BYTES",
    "MAX_METADATA_BYTES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "MODELS",
    "VERSIONS",
    "XMP",
    "Container",
    "Header",
    "Model",
    "pack",
    "unpack",
]
