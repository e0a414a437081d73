"""Latents coded in four parts, each with what the parts before it say (four-part context).

Everything that decides a table is integer arithmetic on symbols already coded. Networks run on
bands of rows, and what they make of a band is coded before the next. The order of the parts is
that of DCVC-FM's and GLC's context models; see `order`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bands import bands, run
from .coder import Coder, Symbols, code_blocks
from .fixedpoint import FRACTION_BITS, SCALES, SYMBOL_MAX
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
    number. reach: rows beyond a band that any network sees, at most; even. by_scale: whether the
    latents of a part come in the order of falling scale, so that a beginning of a file holds those
    that tell most; then all bands of a part are computed before the first is coded.
    """

    def __init__(
        self,
        parts: Sequence[IntNet],
        gaussians: NDArray[np.int32],
        unit: int,
        reach: int,
        by_scale: bool = False,
    ) -> None:
        self.parts, self.gaussians, self.unit, self.reach = parts, gaussians, unit, reach
        self.by_scale = by_scale
        self.channels = parts[0].layers[-1].weight.shape[1] // 2

    def code(
        self, coder: Coder, features: Stored, latents: Latents | None
    ) -> tuple[NDArray[np.int8], Stored]:
        """Symbols, and what they decode to in units of 2**-10; `latents` when encoding."""
        height, width, _ = features.shape
        decoded = np.zeros((height, width, self.channels), np.int16)
        symbols = np.zeros(decoded.shape, np.int8)
        each = [[rows] for rows in bands(height, width, self.unit)]
        together = [[rows for (rows,) in each]] if self.by_scale else each
        for part, group in product(range(PARTS), together):
            predicted = [self._predict(part, rows, features, decoded) for rows in group]
            means, tables = (np.concatenate(values) for values in zip(*predicted, strict=True))
            own = slice(group[0].start, group[-1].stop)
            mask = _mask(part, self.channels, own.stop - own.start, width)
            given = None if latents is None else np.rint(latents[own][mask] - means / _ONE)
            coded = code_gaussian(coder, given, tables, self.gaussians, self.by_scale)
            symbols[own][mask] = coded
            decoded[own][mask] = np.clip(coded * float(_ONE) + means, -_LIMIT, _LIMIT)
        return symbols, decoded

    def _predict(
        self, part: int, rows: slice, features: Stored, decoded: Stored
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """Means and table numbers of the latents of a band that `part` holds."""
        height, width, channels = decoded.shape

        def known(seen: slice) -> Fixed:
            if not part:
                return features[seen].astype(np.float64)
            own = _mask(part, channels, seen.stop - seen.start, width)
            earlier = np.where(own, 0, decoded[seen])  # the band above has this part already
            return np.concatenate([features[seen], earlier], 2, dtype=np.float64)

        out = run(self.parts[part], self.reach, rows, height, known)
        mask = _mask(part, channels, rows.stop - rows.start, width)
        tables = scale_index(out[:, :, channels:][mask])
        return out[:, :, :channels][mask].astype(np.int16), tables.astype(np.uint8)


def code_gaussian(
    coder: Coder,
    values: Fixed | None,
    tables: NDArray[np.integer[Any]],
    gaussians: NDArray[np.int32],
    by_scale: bool = False,
) -> Symbols:
    """Zero-mean symbols by table number; under the narrowest, 0, they are 0 and not coded.

    `values` are whole numbers of the shape of `tables` when encoding, clipped to what a symbol can
    be. With `by_scale` the widest come first, else and among equals those that are first in memory.
    """
    places = np.flatnonzero(tables)
    if by_scale:
        places = places[np.argsort(SCALES - tables.ravel()[places], kind="stable")]
    given = None
    if values is not None:
        wanted = np.clip(values.ravel()[places], -SYMBOL_MAX, SYMBOL_MAX)
        given = (wanted + SYMBOL_MAX).astype(np.int32)
    read = code_blocks(coder, given, tables.ravel()[places], gaussians)
    symbols = np.zeros(tables.shape, np.int32)
    symbols.ravel()[places] = read - SYMBOL_MAX
    return symbols


def _mask(part: int, channels: int, height: int, width: int) -> NDArray[np.bool_]:
    return part_mask(part, channels, height, width).transpose(1, 2, 0)
