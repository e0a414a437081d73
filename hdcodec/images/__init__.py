"""Pictures in and out: any image Pillow opens, brought to upright sRGB, and back to files."""

from __future__ import annotations

from hdcodec.images.alpha import decode_alpha, encode_alpha
from hdcodec.images.chunks import attach, detach
from hdcodec.images.load import from_pil, load
from hdcodec.images.picture import Picture, flatten, resized, to_pil
from hdcodec.images.save import check, save

__all__ = [
    "Picture",
    "attach",
    "check",
    "decode_alpha",
    "detach",
    "encode_alpha",
    "flatten",
    "from_pil",
    "load",
    "resized",
    "save",
    "to_pil",
]
