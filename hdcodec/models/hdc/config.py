"""Sizes of the `hdc` model family: everything a checkpoint's shapes follow from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

STRIDE = 64
"""Pixels per hyper-latent position: pictures are padded to multiples of this."""

HYPER_STRIDE = 4
"""Latents per hyper-latent along a side."""

QUALITIES = 201
"""Quality indices 0..200 in the file; the quality that users know is half of that."""

MAX_SIZE = 4096


@dataclass(frozen=True)
class Config:
    """Channel counts and depths; `latent` at 1/16, `hyper` at 1/64 of the picture's side.

    `textures` is at how many scales noise enters the VQ decoder: 1/4, and 1/8."""

    latent: int = 96
    hyper: int = 32
    context: int = 128
    levels: int = 9
    analysis_width: int = 128
    analysis_depth: int = 4
    synthesis_width: int = 256
    synthesis_depth: int = 6
    detail_width: int = 160
    detail_depth: int = 9
    head_depth: int = 2
    codes: int = 512
    code_dim: int = 32
    vq_width: int = 128
    vq_depth: int = 3
    drv: int = 64
    denoiser_width: int = 128
    predictor_width: int = 192
    predictor_depth: int = 4
    decoder_width: int = 224
    decoder_depth: int = 5
    decoder_detail: int = 144
    decoder_detail_depth: int = 7
    textures: int = 2

    def to_dict(self) -> dict[str, int]:
        """All sizes by name."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        """A configuration from `to_dict`'s result; raises ValueError on anything else.

        The first weights are older than noise at 1/8, which they do not name.
        """
        values = {"textures": 1} | values
        known = {f.name for f in fields(cls)}
        if unknown := set(values) - known:
            raise ValueError(f"unknown model size: {', '.join(sorted(unknown))}")
        for name, size in values.items():
            if type(size) is not int or not 0 < size <= MAX_SIZE:
                raise ValueError(f"the model size {name} is {size!r}")
        return cls(**values)


def hyper_size(width: int, height: int) -> tuple[int, int]:
    """Rows and columns of hyper-latents of a picture, and of its tiles of 64 x 64 pixels."""
    return -(-height // STRIDE), -(-width // STRIDE)
