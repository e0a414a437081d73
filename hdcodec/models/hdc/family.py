"""The `hdc` family as everything else knows it. Imports nothing heavy by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hdcodec import weights
from hdcodec._errors import WeightsError
from hdcodec.models.hdc import options
from hdcodec.models.latent.family import LatentFamily
from hdcodec.models.latent.qualities import QUALITIES, hyper_size, is_mapped, qindex_of

from .config import Config
from .options import KEPT_STEPS, Parameters, keep_fraction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hdcodec.entropy.coder import Coder
    from hdcodec.format import Header
    from hdcodec.models.graphs import Graphs

    from .runtime import HdcNetworks
    from .symbols import HdcSymbols, SymbolCodec


class Hdc(LatentFamily[Config, "SymbolCodec", "HdcNetworks"]):
    """One set of weights of the `hdc` family. Raises WeightsError, MissingWeightsError."""

    Encoding = options.Encoding
    Decoding = options.Decoding
    scaled_below = 5.0
    large_below = 50.0
    sizes = Config

    def __init__(self, model_id: int) -> None:
        super().__init__(model_id)
        self.ladder = _ladder(self.weights)

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
        return {
            "quality": found.quality,
            **symbols.shown,
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

    def symbols(self, header: Header, coder: Coder) -> HdcSymbols:
        """The symbols that `coder` reads. Raises CorruptError, WeightsError."""
        found, mapped = Parameters.parse(header.parameters), is_mapped(header.flags, "hdc")
        size = hyper_size(header.width, header.height)
        return self.symbol_codec.code(coder, size, found.qindex, found.kept, mapped=mapped)

    def coder_of(self, tensors: dict[str, NDArray[Any]]) -> SymbolCodec:
        """The integer networks."""
        from .symbols import SymbolCodec

        return SymbolCodec(tensors)

    def networks_of(self, graphs: Graphs) -> HdcNetworks:
        """The networks."""
        from .runtime import HdcNetworks

        return HdcNetworks(self, graphs)

    def torch_graphs(self, device: str, precision: str) -> Graphs:
        """The graphs in torch."""
        from .graphs import HdcGraphs

        return HdcGraphs.load(self.weights, device, precision)


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
