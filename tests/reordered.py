"""Files with their latents in the order of falling scale, as later weights may ask for."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from hdcodec._inspect import read_symbols
from hdcodec.entropy.coder import Encoder
from hdcodec.entropy.order import BY_SCALE
from hdcodec.format import pack, unpack
from hdcodec.models.hdc.options import Parameters
from hdcodec.models.hdc.symbols import HdcSymbols, Source, SymbolCodec

ORDERED = {BY_SCALE: np.ones(1, np.int16)}


def by_scale(data: bytes, tensors: dict[str, NDArray[Any]]) -> tuple[bytes, str]:
    """A file of the latents in `data`, one of model 1 whose `tensors` of entropy coding these are,
    and the hash of its symbols."""
    box, coder = unpack(data), Encoder()
    found = cast("HdcSymbols", read_symbols(box))
    source = Source(
        (found.latent / 1024).astype(np.float32),
        found.z.astype(np.float32),
        lambda latent: found.indices,
        offsets=found.offsets,
    )
    settings = Parameters.parse(box.header.parameters)
    again = SymbolCodec(tensors | ORDERED).code(
        coder,
        found.z.shape[:2],
        settings.qindex,
        settings.kept,
        source,
        found.offsets is not None,
    )
    return pack(box.header, coder.finish(len(box.payload)), box.chunks), again.sha256()
