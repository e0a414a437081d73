"""Hyper-latents and latents of a picture in stream order, each coded by one function for both
directions, for any family that codes such. Without torch.

The map of qualities, if there is one, hyper-latents z, then latents y in four parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
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
from hdcodec.entropy.tables import scale_index

from .qualities import QINDEX_PER_OFFSET, QUALITIES, chart

Map = NDArray[np.int64]
"""Quality indices 0..200 of tiles, h x w."""

_ONE = 1 << FRACTION_BITS


@dataclass
class LatentSource:
    """What an encoder codes: gained latents and hyper-latents, float32 h x w x C, and the offsets
    of the map of qualities (h x w), where the file is to have one."""

    y: NDArray[np.float32]
    z: NDArray[np.float32]
    offsets: Offsets | None = field(default=None, kw_only=True)


@dataclass
class LatentSymbols:
    """What a file says of latents, exactly: the same on every machine.

    `qindex` quality indices 0..200 of the tiles of 64 x 64 pixels, `offsets` the map that makes
    them differ, if there is one; `z` and `y` h x w x C symbols; `latent` decoded latents in units
    of 2**-10, as `y`.
    """

    qindex: Map
    offsets: Offsets | None
    z: Symbols
    y: NDArray[np.int8]
    latent: Stored

    @property
    def shown(self) -> dict[str, list[str]]:
        """The map of qualities, if there is one, as `info` shows it."""
        return {} if self.offsets is None else {"quality_map": chart(self.qindex)}

    def sha256(self) -> str:
        """A hash of all symbols, for comparing decoders."""
        digest = hashlib.sha256()
        for row in self.rows():
            digest.update(row.astype("<i4").tobytes())
        return digest.hexdigest()

    def rows(self) -> Iterator[NDArray[Any]]:
        """All symbols, in pieces, in stream order."""
        offsets: Iterable[NDArray[Any]] = () if self.offsets is None else self.offsets
        return chain[NDArray[Any]](offsets, self.z, self.y)


class LatentCoder:
    """The integer networks and tables of one set of weights, by `cells` x `cells` latents for each
    hyper-latent position, an even number."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]], cells: int) -> None:
        self.gaussians: NDArray[np.int32] = stored(tensors, "gaussians")
        self.quality = stored(tensors, "quality").astype(np.int64)
        self.z_log_scale = stored(tensors, "z_log_scale").astype(np.int64)
        self.hyper_in, self.hyper = IntNet.load(tensors, "hyper_in"), IntNet.load(tensors, "hyper")
        parts = [IntNet.load(tensors, f"parts.{p}") for p in range(PARTS)]
        reach = max(net.reach for net in (self.hyper, *parts))
        self.cells = cells
        self.reach = reach + reach % 2
        """Rows beyond a band that any network may see; even, as the pattern of the parts is."""
        self.context = FourParts(
            parts, self.gaussians, cells, self.reach, by_scale=BY_SCALE in tensors
        )

    def code_latents(
        self,
        coder: Coder,
        size: tuple[int, int],
        qindex: int,
        source: LatentSource | None = None,
        mapped: bool = False,
    ) -> tuple[LatentSymbols, Stored]:
        """Code the latents of one picture; also what the hyper-latents say of them, h x w x F on
        their grid.

        `size` = (rows, columns) of hyper-latents, `source` when encoding, `mapped` whether there is
        a map of qualities. Raises CorruptError on an impossible stream.
        """
        given = None if source is None else source.offsets
        offsets = code_offsets(coder, size, given) if mapped else None
        q = qindex_map(qindex, size, offsets)
        z = self._code_z(coder, q, source)
        hyper = self._hyper_features(z, q)
        y, latent = self.context.code(coder, hyper, None if source is None else source.y)
        return LatentSymbols(q, offsets, z, y, latent), hyper

    def _code_z(self, coder: Coder, qindex: Map, source: LatentSource | None) -> Symbols:
        tables = scale_index(interpolate(self.z_log_scale, qindex).astype(np.float64))
        values = None if source is None else np.rint(source.z).astype(np.float64)
        z = code_gaussian(coder, values, tables, self.gaussians)
        if coder.ended:
            raise TruncatedError("the data ends inside the hyper-latents, before any picture")
        return z

    def _hyper_features(self, z: Symbols, qindex: Map) -> Stored:
        def entered(rows: slice) -> Fixed:
            level = interpolate(self.quality, qindex[rows])
            h = self.hyper_in(z[rows].astype(np.float64) * _ONE) + level
            return np.clip(h, 0, 32767)

        return np.concatenate(
            [
                run(self.hyper, self.reach, rows, len(z), entered).astype(np.int16)
                for rows in bands(len(z), self.cells**2 * z.shape[1], 1)
            ]
        )


def stored(tensors: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    """A tensor by its name; raises WeightsError."""
    try:
        return tensors[name]
    except KeyError as error:
        raise WeightsError(f"the entropy networks lack {error}") from error


def qindex_map(qindex: int, size: tuple[int, int], offsets: Offsets | None = None) -> Map:
    """Quality indices of tiles: the picture's, and by how much a tile's offset changes it. `size` =
    (rows, columns)."""
    if offsets is None:
        return np.full(size, qindex)
    return np.clip(qindex + QINDEX_PER_OFFSET * offsets.astype(np.int64), 0, QUALITIES - 1)


def interpolate(levels: NDArray[np.int64], qindex: Map) -> NDArray[np.int64]:
    """The rows of `levels` (L x C) at quality indices 0..200 (h x w): h x w x C, linear, rounded
    down."""
    step = (QUALITIES - 1) // (len(levels) - 1)
    low = np.minimum(qindex // step, len(levels) - 2)
    part = (qindex - low * step)[..., None]
    rows: NDArray[np.int64] = (levels[low] * (step - part) + levels[low + 1] * part) // step
    return rows
