"""Weights in half the bytes, for what is fetched through a network: docs/web.md.

The file is eight bytes, the length of what describes it, as in a safetensors file; that in JSON:
`head`, how many of the next bytes are the beginning of the safetensors file, up to its tensors, and
for each tensor in their order its number of `rows`, 0 where it is kept as it is, and of `numbers`;
then all of these: a tensor that is not kept as a float32 for each row, and its numbers as int8, in
units of it.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

LEVELS = 127
LEAST = 1024
"""Numbers of a tensor that is worth it."""

_WORD = struct.Struct("<Q")


def packed(data: bytes, kept: tuple[str, ...] = ()) -> tuple[bytes, bytes]:
    """A safetensors file of float16 in 8 bits, and the safetensors file that this stands for.

    Tensors whose names begin with one of `kept` are kept as they are."""
    (size,) = _WORD.unpack(data[:8])
    start = 8 + size
    head: dict[str, Any] = json.loads(data[8:start])
    head.pop("__metadata__", None)
    parts, whole = [data[:start]], [data[:start]]
    tensors = []
    for name, entry in sorted(head.items(), key=lambda item: item[1]["data_offsets"]):
        first, end = (start + offset for offset in entry["data_offsets"])
        count, shape = (end - first) // 2, entry["shape"]
        small = len(shape) < 2 or count < LEAST or name.startswith(kept)
        rows = 0 if small else shape[0]
        tensors.append([rows, count])
        if not rows:
            parts.append(data[first:end])
            whole.append(data[first:end])
            continue
        numbers = np.frombuffer(data[first:end], np.float16).astype(np.float32).reshape(rows, -1)
        step = np.maximum(np.abs(numbers).max(1, keepdims=True) / LEVELS, 1e-8).astype("<f4")
        levels = np.round(numbers / step).astype(np.int8)
        parts += [step.tobytes(), levels.tobytes()]
        whole.append((levels.astype(np.float32) * step).astype("<f2").tobytes())
    told = json.dumps({"head": start, "tensors": tensors}).encode()
    return b"".join([_WORD.pack(len(told)), told, *parts]), b"".join(whole)
