"""The options of the `sprdiff` family, and what the parameters of its files mean."""

from __future__ import annotations

from dataclasses import dataclass

from hdcodec._errors import CorruptError
from hdcodec.models.latent.qualities import QINDEX_PER_QUALITY, checked_qindex
from hdcodec.models.options import Options, Searching, option

STEPS = (1, 2, 4)
"""How many steps of the diffusion there are graphs for."""


@dataclass(frozen=True)
class SprdiffEncoding(Searching):
    """Options of compressing."""


@dataclass(frozen=True)
class SprdiffDecoding(Options):
    """Options of decompressing. `seed` chooses another of the pictures that a file may mean."""

    fidelity: float = option(
        0.0, "0 looks most natural, 1 is closest to the original.", low=0, high=1
    )
    steps: int = option(1, "Steps of the diffusion: 1, 2 or 4.", values=STEPS)
    seed: int = option(0, "Of the noise.", low=0, high=255, public=False)


@dataclass(frozen=True)
class SprdiffParameters:
    """The parameters of a header: a zero, and qindex 0..200, twice the quality."""

    qindex: int

    @property
    def quality(self) -> float:
        """0..100."""
        return self.qindex / QINDEX_PER_QUALITY

    def pack(self) -> bytes:
        """As the header holds them."""
        return bytes([0, self.qindex])

    @classmethod
    def parse(cls, packed: bytes) -> SprdiffParameters:
        """The inverse of `pack`; raises CorruptError."""
        unused, qindex = packed
        if unused:
            raise CorruptError(f"the first parameter is {unused}, not 0")
        return cls(checked_qindex(qindex))
