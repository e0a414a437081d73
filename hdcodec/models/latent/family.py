"""What families have in common whose files hold latents and whose networks are graphs: their
weights, loaded when they are needed. Imports nothing heavy by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hdcodec import weights
from hdcodec._errors import DeviceError, WeightsError
from hdcodec.models.devices import ONNX, TORCH, choose_backend, chosen_bfloat16, set_backend
from hdcodec.models.start import starting_torch

from .qualities import least_payload
from .sizes import Sizes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hdcodec.models.graphs import Graphs

    from .networks import LatentNetworks

CoderT = TypeVar("CoderT")
NetworksT = TypeVar("NetworksT", bound="LatentNetworks")
SizesT = TypeVar("SizesT", bound=Sizes)


class LatentFamily(ABC, Generic[SizesT, CoderT, NetworksT]):
    """One set of weights of a family. Raises WeightsError, MissingWeightsError."""

    sizes: type[SizesT]
    """The sizes of its networks, which the manifest holds."""

    precise: tuple[str, ...] = ()

    def __init__(self, model_id: int) -> None:
        self.model_id = model_id
        self.weights = weights.find(model_id)
        self.config = self._config()
        self._loading = Lock()

    @abstractmethod
    def coder_of(self, tensors: dict[str, NDArray[Any]]) -> CoderT:
        """The integer networks out of the tensors of `entropy.safetensors`; raises WeightsError."""

    @abstractmethod
    def networks_of(self, graphs: Graphs) -> NetworksT:
        """The networks that so work, whatever computes them."""

    @abstractmethod
    def torch_graphs(self, device: str, precision: str) -> Graphs:
        """The graphs in torch, which this imports; raises WeightsError, DeviceError."""

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change whenever the weights do."""
        return self.weights.fingerprint

    def least_payload(self, width: int, height: int) -> int:
        """One byte per 16,384 pixels."""
        return least_payload(width, height)

    @property
    def symbol_codec(self) -> CoderT:
        """The integer networks, loaded at first use; raises WeightsError."""
        with self._loading:
            return self._symbol_codec

    @cached_property
    def _symbol_codec(self) -> CoderT:
        return self.coder_of(self.weights.arrays("entropy.safetensors"))

    def _config(self) -> SizesT:
        """Sizes of the networks; raises WeightsError."""
        try:
            return self.sizes.from_dict(self.weights.manifest["config"])
        except (TypeError, ValueError) as error:
            raise WeightsError(f"manifest.json does not fit the model: {error}") from error

    def load(
        self,
        device: str,
        precision: str = "auto",
        backend: str = "auto",
        pixels: int | None = None,
    ) -> NetworksT:
        """The networks on a device; raises WeightsError, DeviceError."""
        networks = self.networks_of(self._graphs(device, precision, backend, pixels))
        networks.asked = precision
        return networks

    def _graphs(self, device: str, precision: str, backend: str, pixels: int | None) -> Graphs:
        if self._backend(device, precision, backend, pixels) == ONNX:
            from hdcodec.models.onnx_graphs import OnnxGraphs

            try:
                return OnnxGraphs(self.weights)
            except DeviceError:
                if backend != "auto" or set_backend() or not find_spec("torch"):
                    raise  # else torch takes the place of an onnxruntime that does not work
        with starting_torch():
            return self.torch_graphs(device, precision)

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
