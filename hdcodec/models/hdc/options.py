"""The options of the `hdc` family, and what the parameters of its files mean."""

from __future__ import annotations

from dataclasses import dataclass

from hdcodec.models.latent.qualities import QINDEX_PER_QUALITY, checked_qindex
from hdcodec.models.options import Options, Searching, option

KEPT_STEPS = 15


@dataclass(frozen=True)
class Encoding(Searching):
    """Options of compressing. `kept`, 0..15, sets the share of VQ indices that are sent, else the
    quality decides."""

    kept: int | None = option(
        None, "Code of the kept share of indices.", low=0, high=KEPT_STEPS, public=False
    )


@dataclass(frozen=True)
class Decoding(Options):
    """Options of decompressing. `denoising_steps` is how often the DRVs are denoised."""

    fidelity: float = option(
        0.75, "0 looks most natural, 1 is closest to the original.", low=0, high=1
    )
    denoising_steps: int | None = option(None, "Denoising steps of the DRVs.", low=1, public=False)


@dataclass(frozen=True)
class Parameters:
    """The parameters of a header: qindex 0..200, twice the quality; kept 0..15, the share of the
    VQ indices that are sent, see `keep_fraction`."""

    qindex: int
    kept: int

    @property
    def quality(self) -> float:
        """0..100."""
        return self.qindex / QINDEX_PER_QUALITY

    def pack(self) -> bytes:
        """As the header holds them."""
        return bytes([self.kept, self.qindex])

    @classmethod
    def parse(cls, packed: bytes) -> Parameters:
        """The inverse of `pack`; raises CorruptError."""
        kept, qindex = packed
        return cls(checked_qindex(qindex), kept)


def keep_fraction(kept: int) -> tuple[int, int]:
    """The kept share of a code 0..15, its square over 225, as numerator and denominator."""
    return kept * kept, KEPT_STEPS * KEPT_STEPS
