"""The path of one picture, in both directions.

compress:   picture -> pixels, chunks, regions -> [scale -> family: symbols -> stream] -> .hdc
decompress: .hdc -> header, chunks -> [stream -> symbols -> family: pixels -> scale] -> picture
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image

from . import models
from ._errors import CorruptError, DeviceError, TargetError, UnknownModelError
from ._inputs import bytes_of, picture_of
from ._inspect import read_symbols
from ._scales import Scales, least_scale
from .entropy.coder import PrefixDecoder
from .format import CHUNK_NAMES, MAX_PIXELS, MODELS, Container, Header, pack, unpack
from .format.header import MAX_SIDE
from .images import attach, detach, resized
from .models import DEFAULT, identify, open_model
from .models.family import Rate
from .models.options import check_number

if TYPE_CHECKING:
    from ._inputs import Data, Source
    from ._regions import Mask, Place
    from .detect import Box
    from .models.family import Networks, Pixels, Stream
    from .models.regions import Regions

T = TypeVar("T")


class Codec:
    """A loaded model: `compress` and `decompress` any number of pictures.

    `model` is a family name or model id; `device` "auto", "cpu" or "cuda[:n]"; `precision`
    "float32", "bfloat16" or, with "auto", what is fastest there: it decides pixels in their last
    bits, never symbols; `backend` "onnx" (onnxruntime, on the CPU), "torch" or, with "auto", what
    the environment variable HDC_BACKEND says, else what is fastest for so many `pixels` in all, if
    that is known. One codec may be used by many threads. Raises UnknownModelError, WeightsError,
    DeviceError.
    """

    def __init__(
        self,
        model: str | int = DEFAULT,
        device: str = "auto",
        precision: str = "auto",
        backend: str = "auto",
        pixels: int | None = None,
    ) -> None:
        _check_text(device=device, precision=precision, backend=backend)
        self.family = open_model(model)
        self.model_id = self.family.model_id
        self.name = MODELS[self.model_id].family
        self._precision = precision
        self.networks = self.family.load(device, precision, backend, pixels)

    @property
    def device(self) -> str:
        """The device the networks run on."""
        return self.networks.device

    @property
    def backend(self) -> str:
        """What computes the networks: "onnx" or "torch"."""
        return self.networks.backend

    def compress(self, image: Source, **options: Any) -> bytes:
        """The bytes of an .hdc file of `image`; all else is said of `encode`."""
        return self.encode(image, **options).data

    def decompress(
        self, data: Data, *, max_pixels: int = MAX_PIXELS, partial: bool = False, **options: Any
    ) -> Image.Image:
        """The picture in an .hdc file of at most `max_pixels`, or, with `partial`, in a beginning
        of one; all else is said of `decode`."""
        box = unpack(bytes_of(data), max_pixels=max_pixels, partial=partial)
        return self.decode(box, **options)

    def encode(
        self,
        image: Source,
        *,
        quality: float | None = None,
        bpp: float | None = None,
        target_size: int | None = None,
        max_side: int | None = None,
        verify: bool = True,
        keep_metadata: bool = False,
        regions: Iterable[Place] = (),
        mask: Mask | None = None,
        protect: str | Iterable[Box] = "auto",
        **options: Any,
    ) -> Container:
        """A file of `image`, a Pillow image, a Picture, an array or the path of a picture file.

        At most one of `quality` (0..100, default 50), `bpp` (bits per pixel of the whole file) and
        `target_size` (bytes); the latter two are caps that are never exceeded, and few bytes are
        spent on a smaller picture, which decoding enlarges. `max_side`: pixels that the longer side
        of what is coded may have. `verify` decodes the symbols again and compares.

        `regions`, each (x, y, width, height) in pixels or with an offset of quality, -100..100, are
        better than the rest by that (25 unless given), or worse; so is what is bright or dark in
        `mask`, a gray picture of any size, by up to 25. `protect`: what is looked for and gets more
        quality the smaller it is, "faces", "text", "faces,text", "none", or "auto", faces where
        their detector is installed, or boxes in which something was found already; the result's
        `found` says how many there were.

        Further `options` are the family's `Encoding`. Raises ImageError, TooLargeError,
        RegionError, TargetError, WeightsError, ValueError, TypeError.
        """
        picture, settings = picture_of(image), self.family.Encoding.of(options)
        size, chunks = picture.rgb.size, detach(picture, keep_metadata)
        limit = _limit(size, quality, bpp, target_size)
        places = None
        regions = tuple(regions)
        if regions or mask is not None or protect != "none":
            from ._regions import regions_of

            places = regions_of(picture, regions, mask, protect)
        none = bytes(MODELS[self.model_id].parameters)
        bare = len(pack(Header(*size, self.model_id, none), b"", chunks))
        encode = partial(self._encoded, places)
        scales = Scales(picture.rgb, self.family, encode, least_scale(size, max_side))

        if limit is None:
            scale, rate = scales.first, Rate(50.0 if quality is None else quality)
            stream = scales.stream(scale, rate, settings)
        else:  # a scale or a map take the byte of an extended header
            room = limit - bare
            scale, stream = scales.within(lambda s: room - (s > 0 or places is not None), settings)
        header = Header(*size, self.model_id, stream.parameters, scale, stream.flags)
        box = unpack(pack(header, stream.payload, chunks), max_pixels=MAX_SIDE**2)
        if limit is not None and len(box.data) > limit:
            raise _too_large(box, limit)
        if verify and not _decodes_to(box, stream.symbols.sha256()):
            raise CorruptError("verification failed: the file would not decode to what was encoded")
        return box if places is None else replace(box, found=places.counts)

    def _encoded(self, places: Regions | None, pixels: Pixels, rate: Rate, settings: Any) -> Stream:
        wanted = replace(rate, regions=places)
        return self._within_memory(lambda networks: networks.encode(pixels, wanted, settings))

    def decode(self, box: Container, *, coded_size: bool = False, **options: Any) -> Image.Image:
        """The picture in a parsed file: mode RGB, RGBA, L or LA.

        With `coded_size` it is as large as it was coded, else enlarged to its own size. `options`
        are the family's `Decoding`. The same file gives the same picture on the same device every
        time. Of a beginning of a file the best picture, whose `info["share"]` says how many of its
        symbols were there, 0..1. Raises every kind of HdcError that a damaged or hostile file can
        cause.
        """
        settings = self.family.Decoding.of(options)
        if box.header.model != self.model_id:
            raise UnknownModelError(
                f"the file needs model {box.header.model}, this codec is model {self.model_id}"
            )
        prefix = PrefixDecoder(box.payload) if box.partial else None
        self.networks.prepare(box.header.coded, settings)
        symbols = read_symbols(box, prefix)
        pixels = self._within_memory(
            lambda networks: networks.decode(box.header.coded, symbols, settings)
        )
        rgb = Image.fromarray(pixels)
        size = box.header.size
        picture = attach(rgb if coded_size else resized(rgb, size), box.chunks, size)
        if prefix is not None:
            picture.info["share"] = prefix.share
        return picture

    def _within_memory(self, work: Callable[[Networks], T]) -> T:
        """`work` done by the networks, by others on the CPU where the device's memory is short."""
        try:
            return work(self.networks)
        except DeviceError as error:
            if self.device == "cpu":
                raise
            warnings.warn(f"{error}; the CPU does it", stacklevel=4)
        return work(self._spare)

    @cached_property
    def _spare(self) -> Networks:
        return self.family.load("cpu", self._precision)


def compress(
    image: Source,
    *,
    model: str | int = DEFAULT,
    device: str = "auto",
    backend: str = "auto",
    **options: Any,
) -> bytes:
    """`Codec.compress` with a codec that is loaded once per model, device and backend, then kept.

    `options` are its keywords. Raises what Codec and Codec.compress do.
    """
    return shared_codec(model, device, backend).compress(image, **options)


def decompress(
    data: Data,
    *,
    device: str = "auto",
    backend: str = "auto",
    max_pixels: int = MAX_PIXELS,
    partial: bool = False,
    **options: Any,
) -> Image.Image:
    """`Codec.decompress` with a codec of the model that the file names, loaded once and then kept.

    `options` are its keywords. Raises what Codec and Codec.decompress do.
    """
    box = unpack(bytes_of(data), max_pixels=max_pixels, partial=partial)
    return shared_codec(box.header.model, device, backend).decode(box, **options)


_loading = RLock()


def shared_codec(model: str | int, device: str = "auto", backend: str = "auto") -> Codec:
    """A codec that is loaded once per model, device and backend, whichever thread comes first."""
    _check_text(device=device, backend=backend)
    with _loading:
        return _shared(identify(model), device, backend)


@lru_cache(maxsize=4)
def _shared(model_id: int, device: str, backend: str) -> Codec:
    return Codec(model_id, device, backend=backend)


def _check_text(**values: object) -> None:
    for name, value in values.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} is text, not {type(value).__name__}")


def forget() -> None:
    """Let go of all models that were loaded and kept."""
    with _loading:
        _shared.cache_clear()
        models.forget()


def _decodes_to(box: Container, sha256: str) -> bool:
    try:
        return read_symbols(box).sha256() == sha256
    except CorruptError:
        return False


def _limit(
    size: tuple[int, int], quality: float | None, bpp: float | None, target_size: int | None
) -> int | None:
    """The most bytes that a file may have, if there is such a cap."""
    if sum(given is not None for given in (quality, bpp, target_size)) > 1:
        raise ValueError("give one of quality, bpp and target_size")
    for name, given in (("quality", quality), ("bpp", bpp), ("target_size", target_size)):
        if given is not None:
            check_number(name, given)
    if quality is not None and not 0 <= quality <= 100:
        raise ValueError("quality must lie between 0 and 100")
    if bpp is None and target_size is None:
        return None
    bits = 8 * (target_size or 0) if bpp is None else bpp * size[0] * size[1]
    if not math.isfinite(bits):
        raise ValueError("bpp must be a finite number")
    limit = math.floor(bits / 8 * (1 + 1e-12))  # bpp may be a number of bytes, rounded down
    if limit <= 0:
        raise TargetError("the allowed size is less than one byte")
    return limit


def _too_large(box: Container, limit: int) -> TargetError:
    """Says why a file of the lowest quality is larger than it may be."""
    size, chunks = len(box.data), box.chunks
    parts = [f"{len(chunks[k])} {name}" for k, name in CHUNK_NAMES.items() if chunks.get(k)]
    if not parts:
        return TargetError(f"the lowest quality takes {size} bytes, more than the {limit} allowed")
    return TargetError(
        f"the lowest quality takes {size} bytes, more than the {limit} allowed; "
        f"of these {' and '.join(parts)}, which can be left out"
    )
