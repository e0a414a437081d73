"""The `hdc` family as everything else knows it. Imports nothing heavy by itself."""

from __future__ import annotations

from functools import cached_property
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any

from hdcodec import weights
from hdcodec._errors import CorruptError, DeviceError, WeightsError
from hdcodec.models.devices import ONNX, TORCH, choose_backend, chosen_bfloat16, set_backend
from hdcodec.models.start import starting_torch

from . import options
from .config import QUALITIES, Config, hyper_size
from .options import KEPT_STEPS, MAPPED, QINDEX_PER_QUALITY, Parameters, keep_fraction, qindex_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hdcodec.entropy.coder import Coder
    from hdcodec.format import Header

    from .runtime import HdcNetworks
    from .symbols import HdcSymbols, SymbolCodec


CHART = 64
"""Signs a side of the map of qualities that `info` shows."""


class Hdc:
    """One set of weights of the `hdc` family. Raises WeightsError, MissingWeightsError."""

    Encoding = options.Encoding
    Decoding = options.Decoding
    scaled_below = 5.0

    def __init__(self, model_id: int) -> None:
        self.model_id = model_id
        self.weights = weights.find(model_id)
        self.ladder = _ladder(self.weights)
        self._loading = Lock()

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change whenever the weights do."""
        return self.weights.fingerprint

    def settings(self, parameters: bytes) -> dict[str, Any]:
        """Quality and kept code; raises CorruptError."""
        found = Parameters.parse(parameters)
        return {"quality": found.quality, "kept": found.kept}

    def facts(self, parameters: bytes, symbols: HdcSymbols, payload: int) -> dict[str, Any]:
        """Quality, its map if there is one, share and number of the indices sent, and how the range
        stream divides."""
        found = Parameters.parse(parameters)
        sent, all_of_them = keep_fraction(found.kept)
        bits = symbols.lic_bits + symbols.vq_bits
        lic = round(payload * symbols.lic_bits / bits) if bits else payload
        chart = {} if symbols.offsets is None else {"quality_map": _chart(symbols.qindex)}
        return {
            "quality": found.quality,
            **chart,
            "kept_fraction": round(sent / all_of_them, 4),
            "kept_indices": int(symbols.kept.sum()),
            "lic_bytes": lic,
            "vq_bytes": payload - lic,
        }

    def parameters(self, quality: float, options: options.Encoding) -> bytes:
        """Of a quality 0..100; the ladder knows the kept code unless the options hold one."""
        return self.at(qindex_of(quality), options.kept).pack()

    def at(self, qindex: int, kept: int | None = None) -> Parameters:
        """The parameters of a quality index 0..200."""
        return Parameters(qindex, self.ladder[qindex] if kept is None else kept)

    def least_payload(self, width: int, height: int) -> int:
        """One byte per 4 hyper-latent positions (16,384 pixels)."""
        rows, columns = hyper_size(width, height)
        return rows * columns // 4

    def symbols(self, header: Header, coder: Coder) -> HdcSymbols:
        """The symbols that `coder` reads. Raises CorruptError, WeightsError."""
        found = Parameters.parse(header.parameters)
        if header.flags & ~MAPPED:
            raise CorruptError(f"the flags are {header.flags}, of which hdc has {MAPPED} alone")
        size, mapped = hyper_size(header.width, header.height), header.flags == MAPPED
        return self.symbol_codec.code(coder, size, found.qindex, found.kept, mapped=mapped)

    @property
    def symbol_codec(self) -> SymbolCodec:
        """The integer networks, loaded at first use; raises WeightsError."""
        with self._loading:
            return self._symbol_codec

    @cached_property
    def _symbol_codec(self) -> SymbolCodec:
        from .symbols import SymbolCodec

        return SymbolCodec(self.weights.arrays("entropy.safetensors"))

    @cached_property
    def config(self) -> Config:
        """Sizes of the networks; raises WeightsError."""
        try:
            return Config.from_dict(self.weights.manifest["config"])
        except (TypeError, ValueError) as error:
            raise WeightsError(f"manifest.json does not fit the model: {error}") from error

    def load(
        self,
        device: str,
        precision: str = "auto",
        backend: str = "auto",
        pixels: int | None = None,
    ) -> HdcNetworks:
        """The networks on a device; raises WeightsError, DeviceError."""
        if self._backend(device, precision, backend, pixels) == ONNX:
            from hdcodec.models.onnx_graphs import OnnxGraphs

            from .runtime import HdcNetworks

            try:
                return HdcNetworks(self, OnnxGraphs(self.weights))
            except DeviceError:
                if backend != "auto" or set_backend() or not find_spec("torch"):
                    raise  # else torch takes the place of an onnxruntime that does not work
        with starting_torch():
            from .graphs import HdcGraphs
            from .runtime import HdcNetworks

            return HdcNetworks(self, HdcGraphs.load(self.weights, device, precision))

    def _backend(self, device: str, precision: str, backend: str, pixels: int | None) -> str:
        free = backend == "auto" and not set_backend()
        if free and (precision == "bfloat16" or not self.weights.graphs):
            return TORCH
        chosen = choose_backend(backend, device, pixels)
        if chosen == ONNX and device not in ("auto", "cpu"):
            raise DeviceError(f"the backend onnx computes on the CPU, not on {device!r}")
        if chosen == ONNX and chosen_bfloat16("none", precision):
            raise DeviceError("the backend onnx computes in float32, not in bfloat16")
        return chosen


def _chart(qindex: NDArray[np.int64]) -> list[str]:
    """The tens of the quality of each tile, 0 to 9, a row of the picture a text; of large pictures
    the best within several tiles."""
    every = -(-max(qindex.shape) // CHART)
    rows, columns = (range(0, side, every) for side in qindex.shape)
    tens = qindex // (10 * QINDEX_PER_QUALITY)
    best = [[tens[r : r + every, c : c + every].max() for c in columns] for r in rows]
    return ["".join(str(min(ten, 9)) for ten in row) for row in best]


def _ladder(found: weights.Weights) -> list[int]:
    """The manifest's kept code 0..15 for each quality index; raises WeightsError."""
    ladder = found.manifest.get("ladder")
    if (
        isinstance(ladder, list)
        and len(ladder) == QUALITIES
        and all(isinstance(kept, int) and 0 <= kept <= KEPT_STEPS for kept in ladder)
    ):
        return ladder
    raise WeightsError(f"{found.folder / 'manifest.json'} has no ladder of {QUALITIES} kept codes")
