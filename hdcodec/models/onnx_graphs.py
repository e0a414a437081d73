"""Graphs computed by onnxruntime: on the CPU, in float32, ready a tenth of a second after start.

The files hold no weights: these come out of the safetensors file beside them, in float16 as they
are stored there, and both are the ones that the manifest names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from functools import cached_property
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from hdcodec._errors import DeviceError, HdcError, WeightsError, lacks_memory
from hdcodec.weights import NETWORKS

from .devices import ONNX, usable_threads
from .graphs import Array

if TYPE_CHECKING:
    from hdcodec.weights import Weights

LARGE = 1 << 20
"""Pixels from which on it pays to let onnxruntime optimise a graph for this processor: it takes a
quarter of a second for a sixth of the time that a picture takes."""

CPU, VARIABLE = "CPUExecutionProvider", "HDC_PROVIDERS"
"""The execution provider that is used, and the variable of the environment that names others to be
tried before it, between commas; none of them has been tried."""

LEAST_VERSION = (1, 20)
"""Of onnxruntime, which since then takes weights from memory."""

_left_behind: list[Any] = []
"""Sessions of a process that this one was forked from: to take them apart would be to wait for
threads that are not here."""


class OnnxGraphs:
    """The graphs that lie beside a family's weights; each is loaded at its first use."""

    backend, device, precision = ONNX, "cpu", "float32"

    def __init__(self, weights: Weights) -> None:
        self._weights, self._optimised, self._lock = weights, False, Lock()
        self._tensors: bytes | None = None
        with _meanwhile(self._read):  # to read them and check their hash takes as long
            self._onnxruntime = _imported()
        self._providers = _providers(self._onnxruntime.get_available_providers())
        self._sessions: dict[str, Any] = {}
        self._process = os.getpid()

    def sized(self, pixels: int) -> OnnxGraphs:
        """These graphs for a picture of so many pixels."""
        return self._for_large if pixels >= LARGE else self

    @cached_property
    def _for_large(self) -> OnnxGraphs:
        graphs = copy(self)
        graphs._optimised, graphs._sessions, graphs._lock = True, {}, Lock()
        return graphs

    def __call__(self, name: str, *inputs: Array) -> list[Array]:
        """The outputs of a graph. Raises WeightsError, MemoryError."""
        session = self._session(name)
        names = [found.name for found in session.get_inputs()]
        given = dict(zip(names, map(np.ascontiguousarray, inputs), strict=True))
        try:
            outputs: list[Array] = session.run(None, given)
        except Exception as error:
            if lacks_memory(RuntimeError(str(error))):
                raise MemoryError from error
            raise
        return outputs

    def _read(self) -> bytes:
        """All weights; raises WeightsError."""
        if self._tensors is None:
            self._tensors = self._weights.read(NETWORKS)
        return self._tensors

    def _session(self, name: str) -> Any:
        with self._lock:
            if self._process != os.getpid():
                _left_behind.append(self._sessions)
                self._sessions, self._process = {}, os.getpid()
            if name not in self._sessions:
                self._sessions[name] = self._load(name)
            return self._sessions[name]

    def _load(self, name: str) -> Any:
        graph = self._weights.read(f"{name}.onnx")
        tensors = self._read()
        options = self._onnxruntime.SessionOptions()
        options.intra_op_num_threads = usable_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        levels = self._onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = (
            levels.ORT_ENABLE_ALL if self._optimised else levels.ORT_DISABLE_ALL
        )
        # threads that spin while they wait would make every other process of a busy machine slow
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_external_initializers_from_files_in_memory(
            [NETWORKS], [tensors], [len(tensors)]
        )
        try:
            session = self._onnxruntime.InferenceSession(
                graph, options, providers=self._providers
            )
        except Exception as error:
            if lacks_memory(RuntimeError(str(error))):
                raise MemoryError from error
            version = self._onnxruntime.__version__
            raise WeightsError(f"onnxruntime {version} cannot load {name}.onnx: {error}") from error
        if session.get_modelmeta().custom_metadata_map.get("weights") != self._weights.content:
            raise WeightsError(f"{name}.onnx was made for other weights than networks.safetensors")
        return session


@contextmanager
def _meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Another thread does `work`; what it raises is left to who needs its result."""

    def quietly() -> None:
        with suppress(HdcError, MemoryError):
            work()

    thread = Thread(target=quietly)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _imported() -> Any:
    """onnxruntime; raises DeviceError where it is missing or too old."""
    try:
        import onnxruntime
    except ImportError as error:
        raise DeviceError(f"the backend onnx needs onnxruntime: {error}") from error
    version = onnxruntime.__version__
    if tuple(map(int, version.split(".")[:2])) < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        raise DeviceError(f"the backend onnx needs onnxruntime {least} or later, not {version}")
    return onnxruntime


def _providers(available: list[str]) -> list[str]:
    """The execution providers to use; raises DeviceError for one that is not there."""
    asked = [name for name in os.environ.get(VARIABLE, "").split(",") if name]
    for name in asked:
        if name not in available:
            known = ", ".join(available)
            raise DeviceError(f"onnxruntime has no provider {name!r} here; it has {known}")
    return [*asked, *(() if CPU in asked else (CPU,))]
