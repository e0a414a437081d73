"""Graphs for onnxruntime out of landed weights: `python -m hdcodec.train graphs FOLDER`.

A graph holds no weights. Each of its initializers names bytes of `networks.safetensors`, float16 as
they are stored there, and is cast to float32 as the graph runs. It is optimised here, in ways that
suit every processor, so that loading it takes no time for that.
"""

from __future__ import annotations

import io
import json
import struct
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch

from hdcodec._atomic import write_bytes
from hdcodec.models.onnx_graphs import import_onnxruntime
from hdcodec.weights import NETWORKS, read_folder

from .export import entry
from .interfaces import Described, described

OPSET = 17


def write_graphs(folder: Path) -> None:
    """Make the graphs of a folder of weights and list them in its manifest."""
    weights = read_folder(folder)
    places = tensor_places(weights.read(NETWORKS))
    made = {
        f"{name}.onnx": graph_of(graph, places, weights.content)
        for name, graph in described(weights).items()
    }
    manifest = weights.manifest | {"graphs": {name: entry(data) for name, data in made.items()}}
    for name, data in made.items():
        write_bytes(folder / name, data, force=True)
        (folder / name).chmod(0o644)
    text = json.dumps(manifest, indent=1) + "\n"
    write_bytes(folder / "manifest.json", text.encode(), force=True)


def graph_of(graph: Described, places: dict[str, tuple[int, int]], content: str) -> bytes:
    """The file of a graph, for weights of this `content`; `places` are those of
    `tensor_places`."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, on sizes that are not fixed
        torch.onnx.export(
            graph.module,
            graph.example,
            buffer,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            do_constant_folding=False,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_axes={k: v for k, v in (graph.inputs | graph.outputs).items() if v},
        )
    return _without_weights(buffer.getvalue(), places, content)


def tensor_places(safetensors: bytes) -> dict[str, tuple[int, int]]:
    """Where each tensor of a safetensors file lies in it: first byte and number of bytes."""
    (size,) = struct.unpack("<Q", safetensors[:8])
    head: dict[str, Any] = json.loads(safetensors[8 : 8 + size])
    head.pop("__metadata__", None)
    spans = {name: found["data_offsets"] for name, found in head.items()}
    return {name: (8 + size + first, end - first) for name, (first, end) in spans.items()}


def _without_weights(exported: bytes, places: dict[str, tuple[int, int]], content: str) -> bytes:
    """A graph whose weights are elsewhere, optimised while they are inputs, which no optimiser
    folds into anything."""
    from onnx import TensorProto, helper, load_from_string

    model = load_from_string(exported)
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    del model.graph.initializer[:]
    for weight, shape in shapes.items():
        model.graph.input.append(helper.make_tensor_value_info(weight, TensorProto.FLOAT, shape))
    model = load_from_string(_optimised(model.SerializeToString()))
    graph = model.graph
    casts = []
    for weight, shape in shapes.items():
        stored = weight.removeprefix("model.")
        graph.initializer.append(_external(stored, shape, *places[stored]))
        casts.append(helper.make_node("Cast", [stored], [weight], to=TensorProto.FLOAT))
    inputs = [found for found in graph.input if found.name not in shapes]
    nodes = [*casts, *graph.node]
    for field, kept in ((graph.input, inputs), (graph.node, nodes), (graph.value_info, [])):
        del field[:]
        field.extend(kept)
    _shorten(graph)
    model.producer_name, model.producer_version = "hdcodec", ""
    helper.set_model_props(model, {"weights": content})
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _external(name: str, shape: list[int], first: int, size: int) -> Any:
    from onnx import StringStringEntryProto, TensorProto

    tensor = TensorProto(
        name=name, data_type=TensorProto.FLOAT16, dims=shape, data_location=TensorProto.EXTERNAL
    )
    place = {"location": NETWORKS, "offset": str(first), "length": str(size)}
    tensor.external_data.extend(StringStringEntryProto(key=k, value=v) for k, v in place.items())
    return tensor


def _optimised(graph: bytes) -> bytes:
    """By onnxruntime's own optimiser, as far as it does the same for all processors."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        return path.read_bytes()


def _shorten(graph: Any) -> None:
    """Numbers for the names of what lies between inputs and outputs, none for nodes: they are most
    of the file."""
    kept = [x.name for x in (*graph.input, *graph.output)]
    kept += [x.name for x in graph.initializer if x.external_data]
    short = {name: name for name in ("", *kept)}
    for node in graph.node:
        node.name = node.doc_string = ""
        for names in (node.input, node.output):
            for at, name in enumerate(names):
                names[at] = short.setdefault(name, str(len(short)))
    for tensor in graph.initializer:
        tensor.name = short[tensor.name]
