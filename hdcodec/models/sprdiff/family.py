"""The `sprdiff` family as everything else knows it. Imports nothing heavy by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hdcodec.models.latent.family import LatentFamily
from hdcodec.models.latent.qualities import hyper_size, is_mapped, qindex_of

from .config import CELLS, SprdiffConfig
from .options import SprdiffDecoding, SprdiffEncoding, SprdiffParameters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hdcodec.entropy.coder import Coder
    from hdcodec.format import Header
    from hdcodec.models.graphs import Graphs
    from hdcodec.models.latent.symbols import LatentCoder, LatentSymbols

    from .runtime import SprdiffNetworks


class Sprdiff(LatentFamily[SprdiffConfig, "LatentCoder", "SprdiffNetworks"]):
    """One set of weights of the `sprdiff` family. Raises WeightsError, MissingWeightsError."""

    Encoding = SprdiffEncoding
    Decoding = SprdiffDecoding
    scaled_below = 15.0
    large_below = 95.0
    sizes = SprdiffConfig
    precise = ("codec.reconstruction.enter.", "codec.reconstruction.deep.1.")

    def settings(self, parameters: bytes) -> dict[str, Any]:
        """Quality; raises CorruptError."""
        return {"quality": SprdiffParameters.parse(parameters).quality}

    def parameters(self, quality: float, options: SprdiffEncoding) -> bytes:
        """Of a quality 0..100."""
        return SprdiffParameters(qindex_of(quality)).pack()

    def facts(self, parameters: bytes, symbols: LatentSymbols, payload: int) -> dict[str, Any]:
        """Quality, and its map if there is one."""
        return {**self.settings(parameters), **symbols.shown}

    def symbols(self, header: Header, coder: Coder) -> LatentSymbols:
        """The symbols that `coder` reads. Raises CorruptError, WeightsError."""
        found = SprdiffParameters.parse(header.parameters)
        mapped, size = is_mapped(header.flags, "sprdiff"), hyper_size(*header.size)
        return self.symbol_codec.code_latents(coder, size, found.qindex, mapped=mapped)[0]

    def coder_of(self, tensors: dict[str, NDArray[Any]]) -> LatentCoder:
        """The integer networks."""
        from hdcodec.models.latent.symbols import LatentCoder

        return LatentCoder(tensors, CELLS)

    def networks_of(self, graphs: Graphs) -> SprdiffNetworks:
        """The networks."""
        from .runtime import SprdiffNetworks

        return SprdiffNetworks(self, graphs)

    def torch_graphs(self, device: str, precision: str) -> Graphs:
        """The graphs in torch."""
        from .graphs import SprdiffGraphs

        return SprdiffGraphs.load(self.weights, device, precision)
