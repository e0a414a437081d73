"""hdcodec: a learned image codec for very low bit rates.

Importing this package loads nothing heavy; the names below load what they need on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hdcodec._errors import (
    ChecksumError,
    CorruptError,
    DeviceError,
    ExistsError,
    HdcError,
    ImageError,
    MissingWeightsError,
    NotHdcError,
    OutputError,
    RegionError,
    TargetError,
    TooLargeError,
    TruncatedError,
    UnknownModelError,
    UnsupportedVersionError,
    WeightsError,
)

if TYPE_CHECKING:
    from hdcodec._inspect import info, verify
    from hdcodec.codec import Codec, compress, decompress
    from hdcodec.pillow_plugin import register

__version__ = "0.1.0"

__all__ = [
    "ChecksumError",
    "Codec",
    "CorruptError",
    "DeviceError",
    "ExistsError",
    "HdcError",
    "ImageError",
    "MissingWeightsError",
    "NotHdcError",
    "OutputError",
    "RegionError",
    "TargetError",
    "TooLargeError",
    "TruncatedError",
    "UnknownModelError",
    "UnsupportedVersionError",
    "WeightsError",
    "__version__",
    "compress",
    "decompress",
    "info",
    "register",
    "verify",
]

_LAZY = {
    "Codec": "hdcodec.codec",
    "compress": "hdcodec.codec",
    "decompress": "hdcodec.codec",
    "info": "hdcodec._inspect",
    "register": "hdcodec.pillow_plugin",
    "verify": "hdcodec._inspect",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY))
