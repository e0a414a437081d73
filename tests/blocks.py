"""A model family of a few lines: the mean colour of blocks of 16 x 16 pixels, in so many steps.

Importing this module registers it. Nothing outside this module knows it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hdcodec._errors import CorruptError
from hdcodec.format import MODELS, Header, Model
from hdcodec.models import FAMILIES
from hdcodec.models.budget import highest
from hdcodec.models.family import Rate, Stream
from hdcodec.models.options import Options, option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hdcodec.entropy.coder import Coder

NAME, MODEL_ID, SIDE, FINEST = "blocks", 99, 16, 7


@dataclass(frozen=True)
class BlocksEncoding(Options):
    brighter: int = option(0, "Levels to add to every pixel.", low=0, high=255)


@dataclass(frozen=True)
class BlocksDecoding(Options):
    fidelity: float = option(
        0.75, "0 looks most natural, 1 is closest to the original.", low=0, high=1
    )
    border: int = option(0, "Pixels of black around each block.", low=0, high=SIDE)


@dataclass
class BlocksSymbols:
    levels: NDArray[np.int32]

    def sha256(self) -> str:
        return hashlib.sha256(self.levels.tobytes()).hexdigest()


class Blocks:
    """The parameters are 0 and the number of bits of a colour, 1 to 8, less 1."""

    Encoding, Decoding = BlocksEncoding, BlocksDecoding
    scaled_below = large_below = 40.0
    precise = ()
    fingerprint = "1"

    def __init__(self, model_id: int) -> None:
        self.model_id = model_id

    def settings(self, parameters: bytes) -> dict[str, Any]:
        if parameters[0] or parameters[1] > FINEST:
            raise CorruptError(f"blocks have no {parameters[1] + 1} bits")
        return {"quality": 100 * parameters[1] / FINEST}

    def parameters(self, quality: float, options: BlocksEncoding) -> bytes:
        return bytes([0, round(quality / 100 * FINEST)])

    def facts(self, parameters: bytes, symbols: BlocksSymbols, payload: int) -> dict[str, Any]:
        return self.settings(parameters) | {"blocks": len(symbols.levels) // 3}

    def least_payload(self, width: int, height: int) -> int:
        return count(width, height) // 1024

    def symbols(self, header: Header, coder: Coder) -> BlocksSymbols:
        return BlocksSymbols(coded(coder, count(*header.size), header.parameters[1], None))

    def load(
        self,
        device: str,
        precision: str = "auto",
        backend: str = "auto",
        pixels: int | None = None,
    ) -> Painter:
        return Painter()


def count(width: int, height: int) -> int:
    return 3 * -(-width // SIDE) * -(-height // SIDE)


def coded(coder: Coder, length: int, step: int, levels: Any) -> NDArray[np.int32]:
    """Uniform symbols of step + 1 bits."""
    import numpy as np

    table = np.full((length, 2 << step), (1 << 24) // (2 << step), np.int64)
    return coder.code(levels, table)


class Painter:
    """The `networks`, of which there are none."""

    device, precision, backend = "cpu", "float32", "onnx"

    def encode(self, pixels: NDArray[np.uint8], rate: Rate, options: BlocksEncoding) -> Stream:
        import numpy as np

        from hdcodec.entropy.coder import Encoder

        height, width, _ = pixels.shape
        padded = np.pad(pixels, ((0, -height % SIDE), (0, -width % SIDE), (0, 0)), "edge")
        grid = padded.reshape(-(-height // SIDE), SIDE, -(-width // SIDE), SIDE, 3)
        means = np.minimum(grid.mean((1, 3)) + options.brighter, 255).astype(np.int32).ravel()

        def stream(step: int) -> Stream:
            coder = Encoder()
            levels = coded(coder, means.size, step, means >> (FINEST - step))
            least = Blocks(MODEL_ID).least_payload(width, height)
            return Stream(bytes([0, step]), coder.finish(least), BlocksSymbols(levels))

        if rate.budget is None:
            return stream(round(rate.quality / 100 * FINEST))
        return highest(stream, FINEST, rate.budget, round(rate.quality / 100 * FINEST))[1]

    def prepare(self, header: Header, options: BlocksDecoding) -> None:
        """Nothing: there is nothing to load."""

    def decode(
        self, header: Header, symbols: BlocksSymbols, options: BlocksDecoding
    ) -> NDArray[np.uint8]:
        import numpy as np

        rows = -(-header.height // SIDE)
        shift = FINEST - header.parameters[1]
        means = (symbols.levels << shift | (1 << shift >> 1)).astype(np.uint8)
        grid = means.reshape(rows, -1, 3).repeat(SIDE, 0).repeat(SIDE, 1)
        for edge in range(options.border):
            grid[edge::SIDE], grid[:, edge::SIDE] = 0, 0
        return np.ascontiguousarray(grid[: header.height, : header.width])


Family = Blocks
MODELS[MODEL_ID] = Model(NAME, 2, "tests")
FAMILIES[NAME] = __name__
