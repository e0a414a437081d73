"""The symbols of a picture in stream order, each coded by one function for both directions.

Those of `hdcodec.models.latent.symbols`, then the kept VQ indices. Without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdcodec.entropy.bands import bands, run
from hdcodec.entropy.coder import Coder, Symbols
from hdcodec.entropy.intnet import Fixed, IntNet, Stored
from hdcodec.entropy.tables import softmax_frequencies
from hdcodec.models.latent.symbols import LatentCoder, LatentSource, LatentSymbols, stored

from .config import CELLS
from .options import keep_fraction

_ROWS = 4096


@dataclass
class Source(LatentSource):
    """What an encoder codes: also a function from the decoded latents to the VQ indices (h x w),
    called only where some are kept."""

    indices: Callable[[Stored], NDArray[np.int64]]


@dataclass
class HdcSymbols(LatentSymbols):
    """What a file says, exactly: also `kept` bool h x w; `indices` int32 h x w, -1 where the index
    was not sent; and the bits of latents and of indices."""

    kept: NDArray[np.bool_]
    indices: Symbols
    lic_bits: float
    vq_bits: float

    def rows(self) -> Iterator[NDArray[Any]]:
        """All symbols, in pieces, in stream order."""
        return chain(super().rows(), self.indices)


class SymbolCodec(LatentCoder):
    """The integer networks and tables of one set of weights."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        super().__init__(tensors, CELLS)
        self.exp: NDArray[np.int32] = stored(tensors, "exp")
        self.prior = IntNet.load(tensors, "prior")

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
        found, hyper = self.code_latents(coder, size, qindex, source, mapped)
        lic_bits = coder.bits
        keep = keep_fraction(kept)
        sent, indices = self._code_indices(coder, found.latent, hyper, keep, source)
        vq_bits = coder.bits - lic_bits
        return HdcSymbols(
            **vars(found), kept=sent, indices=indices, lic_bits=lic_bits, vq_bits=vq_bits
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
            return run(self.prior, self.prior.reach, slice(start, stop), height, both)

        parts = bands(height, width, CELLS)
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
