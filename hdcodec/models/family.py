"""What a model family offers to everything else. To add one:

1. a package beside `hdc` with a class that fulfils `Family`, and one of networks that fulfils
   `Networks`;
2. its name and place in `hdcodec.models.FAMILIES`, its id in `hdcodec.format.MODELS`;
3. its weights in `weights/NAME/`, with a manifest that holds the id.

Commands, batches, `info`, `verify`, `eval`, Pillow and the conformance suite then know it. What a
family's files hold is its own: the parameters of the header and the symbols of the range stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from .options import Options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hdcodec.entropy.coder import Coder
    from hdcodec.format import Header

    from .regions import Regions

    Pixels = NDArray[np.uint8]


class Symbols(Protocol):
    """What a range stream says, exactly: the same on every machine."""

    def sha256(self) -> str:
        """A hash of all symbols, for comparing decoders."""
        ...


@dataclass(frozen=True)
class Rate:
    """How large a file is to be: of a quality 0..100, or, with `budget`, of the best quality whose
    range stream has at most so many bytes (it may be below 0: nothing then is small enough), which
    may lie near `quality`.

    `regions`: where it is to be better or worse than that.
    """

    quality: float = 50.0
    budget: int | None = None
    regions: Regions | None = None


@dataclass(frozen=True)
class Stream:
    """An encoded picture: parameters and flags for the header, the range stream, and its
    symbols."""

    parameters: bytes
    payload: bytes
    symbols: Symbols
    flags: int = 0


class Networks(Protocol):
    """The float networks of a family on one device."""

    @property
    def backend(self) -> str:
        """ "onnx" or "torch": what computes them."""
        ...

    @property
    def device(self) -> str:
        """As torch names it."""
        ...

    @property
    def precision(self) -> str:
        """ "float32" or "bfloat16"; it decides pixels, not symbols."""
        ...

    def encode(self, pixels: Pixels, rate: Rate, options: Any) -> Stream:
        """H x W x 3, sRGB, any size -> stream. Where no quality fits the budget, the smallest.

        `options` is the family's `Encoding`. Raises WeightsError, DeviceError where the device has
        not enough memory.
        """
        ...

    def prepare(self, header: Header, options: Any) -> None:
        """Begin what `decode` will take with these options, in another thread while the symbols are
        read, where that saves time; what goes wrong is for `decode` to say."""
        ...

    def decode(self, header: Header, symbols: Any, options: Any) -> Pixels:
        """Symbols -> H x W x 3 of the header's size; `options` is the family's `Decoding`.

        Raises DeviceError where the device has not enough memory.
        """
        ...


class Family(Protocol):
    """One set of weights of one kind of networks; made from a model id.

    Making one reads no large file; raises WeightsError, MissingWeightsError.
    """

    Encoding: type[Options]
    """The options of compressing that are this family's."""

    Decoding: type[Options]
    """The options of decompressing that are this family's."""

    scaled_below: float
    """The quality, 0..100, that a budget has to allow a picture at its own size; where it allows
    less the picture is coded smaller. `python benchmarks/scales.py` shows what is best."""

    large_below: float
    """The same of pictures of more pixels than people look at, `hdcodec._scales.VIEWED`."""

    precise: tuple[str, ...]
    """Beginnings of the names of weights that pictures need in more than 8 bits."""

    model_id: int

    def __init__(self, model_id: int) -> None: ...

    @property
    def fingerprint(self) -> str:
        """A text that changes whenever the weights do."""
        ...

    def settings(self, parameters: bytes) -> dict[str, Any]:
        """What a header's parameters mean: `quality`, 0..100, and options of `Encoding`, which
        give these parameters again. Raises CorruptError for what no file may say."""
        ...

    def parameters(self, quality: float, options: Any) -> bytes:
        """The inverse: the parameters of a file of a quality 0..100; `options` is `Encoding`."""
        ...

    def facts(self, parameters: bytes, symbols: Any, payload: int) -> dict[str, Any]:
        """What `info` tells of a file: `quality` 0..100 and whatever else there is to know.

        `symbols` are those of its range stream of `payload` bytes.
        """
        ...

    def least_payload(self, width: int, height: int) -> int:
        """The fewest bytes that a range stream for so many pixels may have, so that a few bytes
        cannot claim a picture that takes minutes to decode."""
        ...

    def symbols(self, header: Header, coder: Coder) -> Symbols:
        """The symbols that `coder` reads, without torch. Raises CorruptError, WeightsError."""
        ...

    def load(
        self,
        device: str,
        precision: str = "auto",
        backend: str = "auto",
        pixels: int | None = None,
    ) -> Networks:
        """The networks on "auto", "cpu" or "cuda[:n]", computed in "float32", "bfloat16" or what is
        fastest there, by the backend "onnx", "torch" or, with "auto", what is fastest for so many
        `pixels` (`devices.choose_backend`). Raises WeightsError, DeviceError."""
        ...
