"""The symbols of a picture in stream order, each coded by one function for both directions.

The map of qualities, if there is one, hyper-latents z, latents y in four parts, then the kept VQ
indices. Without torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdcodec._errors import TruncatedError, WeightsError
from hdcodec.entropy.bands import bands, run
from hdcodec.entropy.coder import Coder, Symbols
from hdcodec.entropy.context import FourParts, code_gaussian
from hdcodec.entropy.fixedpoint import FRACTION_BITS
from hdcodec.entropy.intnet import Fixed, IntNet, Stored
from hdcodec.entropy.offsets import Offsets, code_offsets
from hdcodec.entropy.order import BY_SCALE, PARTS
from hdcodec.entropy.tables import scale_index, softmax_frequencies

from .config import HYPER_STRIDE, QUALITIES
from .options import QINDEX_PER_OFFSET, keep_fraction

_ONE = 1 << FRACTION_BITS
_ROWS = 4096



@dataclass
class Source:
    """What an encoder codes: gained latents and hyper-latents (float32, h x w x C), a function from
    the decoded latents to the VQ indices (h x w), called only where some are kept, and the offsets
    of the map of qualities (h x w), where the file is to have one."""

    y: NDArray[np.float32]
    z: NDArray[np.float32]
    indices: Callable[[Stored], NDArray[np.int64]]
    offsets: Offsets | None = None


@dataclass
class HdcSymbols:
    """What a file says, exactly: the same on every machine.

    `qindex` quality indices 0..200 of the tiles of 64 x 64 pixels, `offsets` the map that makes
    them differ, if there is one; `z` and `y` h x w x C symbols; `latent` decoded latents in units
    of 2**-10, as `y`; `kept` bool h x w; `indices` int32 h x w, -1 where the index was not sent.
    """

    qindex: NDArray[np.int64]
    offsets: Offsets | None
    z: Symbols
    y: NDArray[np.int8]
    latent: Stored
    kept: NDArray[np.bool_]
    indices: Symbols
    lic_bits: float
    vq_bits: float

    def sha256(self) -> str:
        """A hash of all symbols, for comparing decoders."""
        digest = hashlib.sha256()
        offsets: Iterable[NDArray[Any]] = () if self.offsets is None else self.offsets
        for row in chain[NDArray[Any]](offsets, self.z, self.y, self.indices):
            digest.update(row.astype("<i4").tobytes())
        return digest.hexdigest()


class SymbolCodec:
    """The integer networks and tables of one set of weights."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        try:
            self.gaussians: NDArray[np.int32] = tensors["gaussians"]
            self.exp: NDArray[np.int32] = tensors["exp"]
            self.quality = tensors["quality"].astype(np.int64)
            self.z_log_scale = tensors["z_log_scale"].astype(np.int64)
        except KeyError as error:
            raise WeightsError(f"the entropy networks lack {error}") from error
        self.hyper_in, self.hyper = IntNet.load(tensors, "hyper_in"), IntNet.load(tensors, "hyper")
        self.prior = IntNet.load(tensors, "prior")
        parts = [IntNet.load(tensors, f"parts.{p}") for p in range(PARTS)]
        reach = max(net.reach for net in (self.hyper, *parts, self.prior))
        self.reach = reach + reach % 2
        """Rows beyond a band that any network may see; even, as the pattern of the parts is."""
        self.context = FourParts(
            parts, self.gaussians, HYPER_STRIDE, self.reach, by_scale=BY_SCALE in tensors
        )

    def code(
        self,
        coder: Coder,
        size: tuple[int, int],
        qindex: int,
        kept: int,
        source: Source | None = None,
        mapped: bool = False,
    ) -> HdcSymbols:
        """Code one picture; `size` = (rows, columns) of hyper-latents, `kept` the code of the kept
        fraction, `source` when encoding, `mapped` whether there is a map of qualities. Raises
        CorruptError on an impossible stream."""
        given = None if source is None else source.offsets
        offsets = code_offsets(coder, size, given) if mapped else None
        q = qindex_map(qindex, size, offsets)
        z = self._code_z(coder, q, source)
        hyper = self._hyper_features(z, q)
        y, latent = self.context.code(coder, hyper, None if source is None else source.y)
        lic_bits = coder.bits
        sent, indices = self._code_indices(coder, latent, hyper, keep_fraction(kept), source)
        vq_bits = coder.bits - lic_bits
        return HdcSymbols(q, offsets, z, y, latent, sent, indices, lic_bits, vq_bits)

    def _code_z(self, coder: Coder, qindex: NDArray[np.int64], source: Source | None) -> Symbols:
        tables = scale_index(interpolate(self.z_log_scale, qindex).astype(np.float64))
        values = None if source is None else np.rint(source.z).astype(np.float64)
        z = code_gaussian(coder, values, tables, self.gaussians)
        if coder.ended:
            raise TruncatedError("the data ends inside the hyper-latents, before any picture")
        return z

    def _hyper_features(self, z: Symbols, qindex: NDArray[np.int64]) -> Stored:
        def entered(rows: slice) -> Fixed:
            level = interpolate(self.quality, qindex[rows])
            h = self.hyper_in(z[rows].astype(np.float64) * _ONE) + level
            return np.clip(h, 0, 32767)

        return np.concatenate(
            [
                run(self.hyper, self.reach, rows, len(z), entered).astype(np.int16)
                for rows in bands(len(z), HYPER_STRIDE**2 * z.shape[1], 1)
            ]
        )

    def _code_indices(
        self,
        coder: Coder,
        latent: Stored,
        hyper: Stored,
        keep: tuple[int, int],
        source: Source | None,
    ) -> tuple[NDArray[np.bool_], Symbols]:
        height, width, _ = latent.shape
        kept = np.zeros((height, width), bool)
        indices = np.full((height, width), -1, np.int32)
        if not keep[0]:
            return kept, indices

        def both(seen: slice) -> Fixed:
            return np.concatenate([latent[seen], hyper[seen]], 2, dtype=np.float64)

        @lru_cache(maxsize=1)  # a picture of one band is computed once
        def logits(start: int, stop: int) -> Fixed:
            return run(self.prior, self.reach, slice(start, stop), height, both)

        parts = bands(height, width, HYPER_STRIDE)
        top = np.concatenate([self.likeliest(logits(b.start, b.stop)) for b in parts])
        kept = most_uncertain(top.ravel(), keep).reshape(height, width)
        given = None if source is None else source.indices(latent)
        for rows in parts:
            if (own := kept[rows]).any():
                wanted = None if given is None else given[rows][own]
                found = self._code_rows(coder, logits(rows.start, rows.stop)[own], wanted)
                indices[rows][own] = found
        return kept, indices

    def likeliest(self, logits: Fixed) -> NDArray[np.int64]:
        """The largest frequency at each position of logits h x w x codes: h x w."""
        flat = logits.reshape(-1, logits.shape[2])
        top = [
            softmax_frequencies(flat[k : k + _ROWS], self.exp).max(1)
            for k in range(0, len(flat), _ROWS)
        ]
        return np.concatenate(top).reshape(logits.shape[:2])

    def _code_rows(self, coder: Coder, logits: Fixed, given: NDArray[np.int64] | None) -> Symbols:
        parts = [
            coder.code(
                None if given is None else given[k : k + _ROWS].astype(np.int32),
                softmax_frequencies(logits[k : k + _ROWS], self.exp),
            )
            for k in range(0, len(logits), _ROWS)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.int32)


def most_uncertain(top: NDArray[np.int64], keep: tuple[int, int]) -> NDArray[np.bool_]:
    """Which of n positions keep their index: those whose likeliest code is least likely.

    `top` n the frequency of that code, `keep` = (numerator, denominator); ties go to the earlier
    position. bool n.
    """
    count = (2 * keep[0] * len(top) + keep[1]) // (2 * keep[1])
    kept = np.zeros(len(top), bool)
    kept[np.argsort(top, kind="stable")[:count]] = True
    return kept


def qindex_map(
    qindex: int, size: tuple[int, int], offsets: Offsets | None = None
) -> NDArray[np.int64]:
    """Quality indices of `size` rows and columns of tiles, of each the picture's and its offset."""
    if offsets is None:
        return np.full(size, qindex)
    return np.clip(qindex + QINDEX_PER_OFFSET * offsets.astype(np.int64), 0, QUALITIES - 1)


def interpolate(levels: NDArray[np.int64], qindex: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of `levels` (L x C) at quality indices 0..200 (h x w): h x w x C, linear, rounded
    down."""
    step = (QUALITIES - 1) // (len(levels) - 1)
    low = np.minimum(qindex // step, len(levels) - 2)
    part = (qindex - low * step)[..., None]
    rows: NDArray[np.int64] = (levels[low] * (step - part) + levels[low + 1] * part) // step
    return rows
