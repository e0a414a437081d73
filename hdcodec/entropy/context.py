"""Latents coded in four parts, each with what the parts before it say (four-part context).

Everything that decides a table is integer arithmetic on symbols already coded. Networks run on
bands of rows, and what they make of a band is coded before the next. The order of the parts is
that of DCVC-FM's and GLC's context models; see `order`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from .bands import bands, run
from .coder import Coder, Symbols, code_blocks
from .fixedpoint import FRACTION_BITS, SYMBOL_MAX
from .intnet import Fixed, IntNet, Stored
from .order import PARTS, part_mask
from .tables import scale_index

_ONE = 1 << FRACTION_BITS
_LIMIT = SYMBOL_MAX * _ONE

Latents = NDArray[np.float32]


class FourParts:
    """Codes latents h x w x C, given features h x w x F that the decoder knows already.

    parts: one network per part, from the features and, from the second part on, the latents known
    so far (0 where unknown), F [+ C] -> 2 C: means and log-scales. gaussians: tables x symbols, as
    `tables.gaussian_tables` makes them. unit: bands have a multiple of so many rows, an even
    number. reach: rows beyond a band that any network sees, at most; even.
    """

    def __init__(
        self, parts: Sequence[IntNet], gaussians: NDArray[np.int32], unit: int, reach: int
    ) -> None:
        self.parts, self.gaussians, self.unit, self.reach = parts, gaussians, unit, reach
        self.channels = parts[0].layers[-1].weight.shape[1] // 2

    def code(
        self, coder: Coder, features: Stored, latents: Latents | None
    ) -> tuple[NDArray[np.int8], Stored]:
        """Symbols, and what they decode to in units of 2**-10; `latents` when encoding."""
        height, width, _ = features.shape
        decoded = np.zeros((height, width, self.channels), np.int16)
        symbols = np.zeros(decoded.shape, np.int8)
        for part, rows in product(range(PARTS), bands(height, width, self.unit)):
            mask, mean, tables = self._predict(part, rows, features, decoded)
            given = None if latents is None else np.rint(latents[rows][mask] - mean / _ONE)
            coded = code_gaussian(coder, given, tables, self.gaussians)
            symbols[rows][mask] = coded
            decoded[rows][mask] = np.clip(coded * float(_ONE) + mean, -_LIMIT, _LIMIT)
        return symbols, decoded

    def _predict(
        self, part: int, rows: slice, features: Stored, decoded: Stored
    ) -> tuple[NDArray[np.bool_], Fixed, NDArray[np.intp]]:
        """Which latents of a band `part` holds, their means and table numbers."""
        height, width, channels = decoded.shape

        def known(seen: slice) -> Fixed:
            if not part:
                return features[seen].astype(np.float64)
            own = _mask(part, channels, seen.stop - seen.start, width)
            earlier = np.where(own, 0, decoded[seen])  # the band above has this part already
            return np.concatenate([features[seen], earlier], 2, dtype=np.float64)

        out = run(self.parts[part], self.reach, rows, height, known)
        mask = _mask(part, channels, rows.stop - rows.start, width)
        return mask, out[:, :, :channels][mask], scale_index(out[:, :, channels:][mask])


def code_gaussian(
    coder: Coder, values: Fixed | None, tables: NDArray[np.intp], gaussians: NDArray[np.int32]
) -> Symbols:
    """Zero-mean symbols by table number; under the narrowest, 0, they are 0 and not coded.

    `values` are whole numbers of the shape of `tables` when encoding, clipped to what a symbol can
    be.
    """
    coded = tables > 0
    given = None
    if values is not None:
        given = (np.clip(values[coded], -SYMBOL_MAX, SYMBOL_MAX) + SYMBOL_MAX).astype(np.int32)
    read = code_blocks(coder, given, tables[coded], gaussians)
    symbols = np.zeros(tables.shape, np.int32)
    symbols[coded] = read - SYMBOL_MAX
    return symbols


def _mask(part: int, channels: int, height: int, width: int) -> NDArray[np.bool_]:
    return part_mask(part, channels, height, width).transpose(1, 2, 0)
