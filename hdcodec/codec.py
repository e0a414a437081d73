"""The path of one image, in both directions.

compress:   picture -> padded pixels -> y, z -> [range stream: z, y -> base -> kept indices] -> .hdc
decompress: .hdc -> checks -> [range stream: z, y, kept indices] -> networks -> cropped pixels
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from PIL import Image

from . import weights
from ._errors import CorruptError, DeviceError, TargetError, UnknownModelError
from ._symbols import hyper_size, keep_fraction, least_payload, read_symbols, symbol_codec
from .entropy.coder import Encoder
from .entropy.latents import Source, Symbolic
from .format import ALPHA, EXIF, GRAY, MAX_PIXELS, XMP, Container, Header, pack, unpack
from .format.header import KEPT_STEPS, MAX_SIDE
from .images import Picture, attach, detach, from_pil
from .models.hdc.config import STRIDE

if TYPE_CHECKING:
    import torch

    from .models.hdc.runtime import Latents, Networks
    from .models.hdc.search import Judgement
    from .perceptual import Judge

T = TypeVar("T")

QUALITY_STEPS = 2
"""Quality indices in the file per step of `quality`."""

MAX_EFFORT = 10
TUNES = PSNR, PERCEPTUAL = ("psnr", "perceptual")
"""What a search is for."""

EFFORT_STEPS = {PSNR: 6, PERCEPTUAL: 12}
"""Steps of a search for better symbols per unit of `effort`."""

TRIALS = 4
"""Quality indices at which the search is tried where a file has a size to keep to."""


class Codec:
    """A loaded model: `compress` and `decompress` any number of pictures.

    `model` is a family name or id, `device` "auto", "cpu" or "cuda[:n]".
    Raises UnknownModelError, WeightsError, DeviceError.
    """

    def __init__(self, model: str | int = "hdc", device: str = "auto") -> None:
        from .models import load_networks

        self.model_id, self.name = weights.family_of(model)
        self.symbols = symbol_codec(self.model_id)
        found = weights.find(self.model_id)
        self.networks: Networks = load_networks(self.name, found, device)
        self.ladder: list[int] = found.manifest["ladder"]

    @property
    def device(self) -> str:
        """The device the networks run on."""
        return str(self.networks.device)

    def compress(
        self,
        image: Image.Image | Picture,
        *,
        quality: float | None = None,
        bpp: float | None = None,
        target_size: int | None = None,
        effort: int = 0,
        tune: str = "psnr",
        metric_weights: str | Path | None = None,
        kept: int | None = None,
        verify: bool = True,
        keep_metadata: bool = False,
    ) -> bytes:
        """An .hdc file of `image`.

        At most one of `quality` (0..100, default 50), `bpp` (bits per pixel of the whole file) and
        `target_size` (bytes); the latter two are caps that are never exceeded. `effort` 0..10 is
        how long to search for better symbols, `tune` by what: "psnr", or "perceptual" for LPIPS and
        DISTS at fidelity 0, whose networks come from the folder `metric_weights`, else from
        installed packages. `kept` 0..15 sets the kept fraction of VQ indices,
        else the quality decides. `verify` decodes the symbols again and compares. Raises
        ImageError, TooLargeError, TargetError, WeightsError, ValueError.
        """
        if sum(given is not None for given in (quality, bpp, target_size)) > 1:
            raise ValueError("give one of quality, bpp and target_size")
        if kept is not None and not 0 <= kept <= KEPT_STEPS:
            raise ValueError(f"kept must lie between 0 and {KEPT_STEPS}")
        if not 0 <= effort <= MAX_EFFORT:
            raise ValueError(f"effort must lie between 0 and {MAX_EFFORT}")
        if tune not in TUNES:
            raise ValueError(f"tune must be one of {', '.join(TUNES)}")
        picture = image if isinstance(image, Picture) else from_pil(image)
        chunks = detach(picture, keep_metadata)
        pixels, size = pad(np.asarray(picture.rgb)), picture.rgb.size
        index = quality_index(50.0 if quality is None else quality)
        capped = bpp is not None or target_size is not None
        limit = _limit(size, bpp, target_size) if capped else None

        def work(networks: Networks) -> tuple[bytes, Symbolic]:
            steps = EFFORT_STEPS[tune] * effort
            judge = None
            if steps and tune == PERCEPTUAL:
                judge = _judge(metric_weights, networks.device, networks.half)
            encode = _Encode(self, networks, networks.analyse(pixels), size, chunks, kept, judge)
            return encode(index, steps) if limit is None else encode.within(limit, steps)

        data, symbols = self._within_memory(work)
        if verify and not _decodes_to(data, symbols):
            raise CorruptError("verification failed: the file would not decode to what was encoded")
        return data

    def decompress(
        self,
        data: bytes,
        *,
        fidelity: float = 0.75,
        steps: int | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> Image.Image:
        """The picture in an .hdc file: mode RGB, RGBA, L or LA.

        `fidelity` 0..1 leans towards realism or towards the original pixels; `steps` is the number
        of denoising steps. The same file gives the same picture on the same device every time.
        Raises every kind of HdcError that a damaged or hostile file can cause.
        """
        if not 0 <= fidelity <= 1:
            raise ValueError("fidelity must lie between 0 and 1")
        if steps is not None and steps < 1:
            raise ValueError("steps must be at least 1")
        box = unpack(data, max_pixels=max_pixels)
        if box.header.model != self.model_id:
            raise UnknownModelError(
                f"the file needs model {box.header.model}, this codec is {self.name}"
            )
        symbols = read_symbols(box)
        pixels = self._within_memory(
            lambda networks: networks.reconstruct(symbols, box.header.quality, fidelity, steps)
        )
        rgb = Image.fromarray(pixels[: box.header.height, : box.header.width])
        return attach(rgb, box.chunks)

    def _within_memory(self, work: Callable[[Networks], T]) -> T:
        """`work` done by the networks, by others on the CPU where the device's memory is short."""
        try:
            return work(self.networks)
        except DeviceError as error:
            if self.device == "cpu":
                raise
            warnings.warn(f"{error}; the CPU does it", stacklevel=3)
        return work(self._spare)

    @cached_property
    def _spare(self) -> Networks:
        from .models import load_networks

        return load_networks(self.name, weights.find(self.model_id), "cpu")


class _Encode:
    """One picture's latents, to be coded at any quality."""

    def __init__(
        self,
        codec: Codec,
        networks: Networks,
        latents: Latents,
        size: tuple[int, int],
        chunks: dict[int, bytes],
        kept: int | None,
        judge: Judgement | None,
    ) -> None:
        self.codec, self.networks, self.latents, self.size = codec, networks, latents, size
        self.chunks, self.kept, self.judge = chunks, kept, judge

    def __call__(self, quality: int, steps: int = 0) -> tuple[bytes, Symbolic]:
        """The file at a quality index, after so many steps of a search for better symbols."""
        kept = self.codec.ladder[quality] if self.kept is None else self.kept
        header = Header(*self.size, quality=quality, kept=kept, model=self.codec.model_id)
        networks, coder = self.networks, Encoder()
        if steps:
            y, z = networks.refine(self.latents, quality, steps, self.judge)
        else:
            y, z = networks.encode(self.latents, quality)
        source = Source(y, z, lambda latent: networks.indices(self.latents, latent, quality))
        symbols = self.codec.symbols.code(
            coder, hyper_size(header), quality, keep_fraction(kept), source
        )
        return pack(header, coder.finish(least_payload(header)), self.chunks), symbols

    def within(self, limit: int, steps: int) -> tuple[bytes, Symbolic]:
        """The highest quality of at most `limit` bytes; raises TargetError if there is none.

        With a search, that of its result: a few qualities above or below are tried for it.
        """
        quality, best = self._highest(limit)
        if not steps:
            return best
        trial = self(quality, steps)
        if len(trial[0]) <= limit:
            return self._climb(quality, limit, steps, trial)
        for lower in range(quality - 1, max(-1, quality - TRIALS), -1):
            trial = self(lower, steps)
            if len(trial[0]) <= limit:
                return trial
        return best

    def _climb(
        self, quality: int, limit: int, steps: int, best: tuple[bytes, Symbolic]
    ) -> tuple[bytes, Symbolic]:
        for higher in range(quality + 1, min(quality + TRIALS, len(self.codec.ladder))):
            trial = self(higher, steps)
            if len(trial[0]) > limit:
                break
            best = trial
        return best

    def _highest(self, limit: int) -> tuple[int, tuple[bytes, Symbolic]]:
        found, best, low, high = 0, self(0), 1, len(self.codec.ladder) - 1
        if len(best[0]) > limit:
            raise TargetError(
                f"the lowest quality takes {len(best[0])} bytes, more than the {limit} allowed"
            )
        while low <= high:
            middle = (low + high) // 2
            trial = self(middle)
            if len(trial[0]) <= limit:
                found, best, low = middle, trial, middle + 1
            else:
                high = middle - 1
        return found, best


@lru_cache(maxsize=1)
def _judge(folder: str | Path | None, device: torch.device, half: bool) -> Judge:
    from .perceptual import load_judge

    return load_judge(folder, device, half)


def _decodes_to(data: bytes, symbols: Symbolic) -> bool:
    try:
        return read_symbols(unpack(data, max_pixels=MAX_SIDE**2)).sha256() == symbols.sha256()
    except CorruptError:
        return False


def quality_index(quality: float) -> int:
    """The file's quality index 0..200 for a quality 0..100; raises ValueError outside."""
    if not 0 <= quality <= 100:
        raise ValueError("quality must lie between 0 and 100")
    return round(quality * QUALITY_STEPS)


def _limit(size: tuple[int, int], bpp: float | None, target_size: int | None) -> int:
    bits = bpp * size[0] * size[1] if bpp is not None else 8 * (target_size or 0)
    if not math.isfinite(bits):
        raise ValueError("bpp must be a finite number")
    limit = int(bits / 8)
    if limit <= 0:
        raise TargetError("the allowed size is less than one byte")
    return limit


def pad(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """H x W x 3 with its last row and column repeated up to multiples of 64."""
    rows, columns = -pixels.shape[0] % STRIDE, -pixels.shape[1] % STRIDE
    return np.pad(pixels, ((0, rows), (0, columns), (0, 0)), mode="edge")


@lru_cache(maxsize=2)
def shared_codec(model_id: int, device: str = "auto") -> Codec:
    """A codec that is loaded once per model id and device."""
    return Codec(model_id, device)


def compress(
    image: Image.Image | Picture, *, model: str | int = "hdc", device: str = "auto", **options: Any
) -> bytes:
    """`Codec.compress` with a codec that is loaded once per model and device and then kept.

    `options` are its keywords. Raises what Codec and Codec.compress do.
    """
    return shared_codec(weights.family_of(model)[0], device).compress(image, **options)


def decompress(data: bytes, *, device: str = "auto", **options: Any) -> Image.Image:
    """`Codec.decompress` with a codec of the model that the file names, loaded once and then kept.

    `options` are its keywords. Raises what Codec and Codec.decompress do.
    """
    model = unpack(data, max_pixels=options.get("max_pixels", MAX_PIXELS)).header.model
    return shared_codec(model, device).decompress(data, **options)


__all__ = [
    "ALPHA",
    "EXIF",
    "GRAY",
    "XMP",
    "Codec",
    "Container",
    "compress",
    "decompress",
    "pad",
    "shared_codec",
]
