"""Graphs computed by onnxruntime: on the CPU, in float32, ready a tenth of a second after start.

The files hold no weights: these come out of the safetensors file beside them, in float16 as they
are stored there, and both are the ones that the manifest names.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from functools import cached_property
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np

from hdcodec._errors import DeviceError, HdcError, WeightsError, lacks_memory
from hdcodec.weights import NETWORKS

from .devices import ONNX, usable_threads
from .graphs import Array

if TYPE_CHECKING:
    from hdcodec.weights import Weights

LARGE = 1 << 20
"""Pixels from which on it pays to let onnxruntime optimise a graph for this processor: that takes a
quarter of a second once, and saves a sixth of the time of each picture."""

CPU, VARIABLE = "CPUExecutionProvider", "HDC_PROVIDERS"
"""The execution provider that is used, and the variable of the environment that names others to be
tried before it, between commas; none of them has been tried."""

LEAST_VERSION = (1, 20)
"""Of onnxruntime: the oldest that has been tried."""

IN_MEMORY = "add_external_initializers_from_files_in_memory"
"""What options of sessions give weights by, from onnxruntime 1.24 on; the last for Python 3.10 is
1.23."""

TELEMETRY = "ORT_DISABLE_TELEMETRY"
"""What onnxruntime reads when it is imported; without it some of its builds keep a device id and
notes of each use in the home folder, to be sent."""

_importing = Lock()
"""One thread sets the variable above and takes it away again; the others wait."""

_loaded: WeakSet[OnnxGraphs] = WeakSet()
"""All graphs of this process."""


class OnnxGraphs:
    """The graphs that lie beside a family's weights; each is loaded at its first use."""

    backend, device, precision = ONNX, "cpu", "float32"

    def __init__(self, weights: Weights) -> None:
        self._weights, self._optimised, self._lock = weights, False, Lock()
        self._tensors: bytes | None = None
        with _meanwhile(self._read):  # to read them and check their hash takes as long
            self._onnxruntime = import_onnxruntime()
        self._providers = _providers(self._onnxruntime.get_available_providers())
        self._sessions: dict[str, Any] = {}
        _loaded.add(self)

    def sized(self, pixels: int) -> OnnxGraphs:
        """These graphs for a picture of so many pixels."""
        return self._for_large if pixels >= LARGE else self

    @cached_property
    def _for_large(self) -> OnnxGraphs:
        graphs = copy(self)
        graphs._optimised, graphs._sessions, graphs._lock = True, {}, Lock()
        _loaded.add(graphs)
        return graphs

    def __call__(self, name: str, *inputs: Array) -> list[Array]:
        """The outputs of a graph. Raises WeightsError, MemoryError."""
        session = self._session(name)
        names = [found.name for found in session.get_inputs()]
        if len(names) != len(inputs):
            raise WeightsError(f"{name}.onnx is another graph: it takes {', '.join(names)}")
        given = dict(zip(names, map(np.ascontiguousarray, inputs), strict=True))
        try:
            outputs: list[Array] = session.run(None, given)
        except Exception as error:
            if lacks_memory(RuntimeError(str(error))):
                raise MemoryError from error
            raise
        return outputs

    def prepare(self, name: str) -> None:
        """Load a graph in another thread, beside other work; its first use waits for it."""
        if name not in self._sessions:
            Thread(target=_quietly, args=(lambda: self._session(name),)).start()

    def _read(self) -> bytes:
        """All weights; raises WeightsError."""
        if self._tensors is None:
            self._tensors = self._weights.read(NETWORKS)
        return self._tensors

    def _session(self, name: str) -> Any:
        with self._lock:
            if name not in self._sessions:
                self._sessions[name] = self._load(name)
            return self._sessions[name]

    def _load(self, name: str) -> Any:
        graph: bytes | str = self._weights.read(f"{name}.onnx")
        tensors = self._read()
        options = session_options(self._onnxruntime)
        levels = self._onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = (
            levels.ORT_ENABLE_ALL if self._optimised else levels.ORT_DISABLE_ALL
        )
        if hasattr(options, IN_MEMORY):
            getattr(options, IN_MEMORY)([NETWORKS], [tensors], [len(tensors)])
        else:  # it reads both files again, by the graph's name
            graph = str(self._weights.folder / f"{name}.onnx")
        try:
            session = self._onnxruntime.InferenceSession(graph, options, providers=self._providers)
        except Exception as error:
            if lacks_memory(RuntimeError(str(error))):
                raise MemoryError from error
            version = self._onnxruntime.__version__
            raise WeightsError(f"onnxruntime {version} cannot load {name}.onnx: {error}") from error
        if session.get_modelmeta().custom_metadata_map.get("weights") != self._weights.content:
            raise WeightsError(f"{name}.onnx was made for other weights than networks.safetensors")
        return session


def session_options(onnxruntime: Any) -> Any:
    """Of a session that says nothing, with threads that do not spin while they wait, which would
    make every other process of a busy machine slow."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


@contextmanager
def _meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Another thread does `work`; what it raises is dropped, and comes again where it is needed."""
    thread = Thread(target=_quietly, args=(work,))
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _quietly(work: Callable[[], object]) -> None:
    with suppress(HdcError, MemoryError):
        work()


def import_onnxruntime() -> Any:
    """onnxruntime, with its telemetry switched off where this is its first import; raises
    DeviceError where it is missing, broken or too old."""
    try:
        with _importing, _quiet_start():
            import onnxruntime

        version = str(onnxruntime.__version__)
    except (ImportError, OSError, AttributeError) as error:
        if lacks_memory(error) or "bad_alloc" in str(error):
            raise MemoryError from error
        raise DeviceError(f"the backend onnx needs onnxruntime: {error}") from error
    numbers = [int(part) for part in version.split(".")[:2] if part.isdecimal()]
    if tuple(numbers) < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        raise DeviceError(f"the backend onnx needs onnxruntime {least} or later, not {version}")
    return onnxruntime


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Wrap a first import of onnxruntime: without telemetry, the environment as before after it."""
    if "onnxruntime" in sys.modules:
        yield
        return
    before = os.environ.get(TELEMETRY)
    os.environ[TELEMETRY] = "1"
    try:
        yield
    finally:
        del os.environ[TELEMETRY]
        os.environ.update({} if before is None else {TELEMETRY: before})


def leave(sessions: Iterable[Any]) -> None:
    """Sessions have threads that are not in a forked process: to take them apart would be to wait
    for these for ever. So they stay, and the process makes its own."""
    from ctypes import py_object, pythonapi

    for session in sessions:
        for part in (session, session._sess):
            pythonapi.Py_IncRef(py_object(part))


def _leave_graphs() -> None:
    global _importing
    _importing = Lock()
    for graphs in list(_loaded):
        leave(graphs._sessions.values())
        graphs._sessions, graphs._lock = {}, Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_graphs)


def _providers(available: list[str]) -> list[str]:
    """The execution providers to use; raises DeviceError for one that is not there."""
    asked = [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
    for name in asked:
        if name not in available:
            known = ", ".join(available)
            raise DeviceError(f"onnxruntime has no provider {name!r} here; it has {known}")
    return [*asked, *(() if CPU in asked else (CPU,))]
