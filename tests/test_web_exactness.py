"""Of the decoder in JavaScript: range decoder, tables and integer networks, number by number."""

import hashlib
import itertools
import json
import struct
import zlib
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import reference
from javascript import Answer, Request, ask, given, needs_node
from numpy.typing import NDArray
from reference import HIGH, LOW
from safetensors.numpy import save

from hdcodec import CorruptError, weights
from hdcodec.entropy.coder import Decoder, Encoder
from hdcodec.entropy.tables import TOTAL, exp_table, softmax_frequencies

pytestmark = needs_node

Tensors = dict[str, NDArray[Any]]
SMALL = [2**24 - 2**22 - 1, 2**22, 1]
NETWORKS = ["hyper_in", "hyper", "parts.0", "parts.1", "parts.2", "parts.3", "prior"]


@pytest.fixture(scope="module")
def shipped() -> Tensors:
    return weights.find(1).arrays("entropy.safetensors")


# ---- hashes ----


def test_hashes_are_those_of_zlib_and_hashlib() -> None:
    random = Random(1)
    texts = [random.randbytes(size) for size in (*range(130), 1000, 100_003)]
    found = [answer.found for answer in ask([{"what": "hashes", **given(text)} for text in texts])]
    assert found == [[hashlib.sha256(text).hexdigest(), zlib.crc32(text)] for text in texts]


# ---- the range stream ----


@pytest.mark.parametrize(
    ("symbols", "stream"),
    [
        ([], ""),
        ([0], ""),
        ([0, 1, 2, 0, 1], "bf ff fe 2b"),
        ([2] * 4, "ff ff ff ff fe 00 00 00 ff ff ff ff 00 01"),
        ([1, 1, 0, 0, 0, 2, 1, 0, 0, 1, 0, 2, 0, 0, 1, 1], "f6 bf fe a4 2f dc 11 d1"),
    ],
)
def test_golden_streams(symbols: list[int], stream: str) -> None:
    tables = [SMALL] * len(symbols)
    (answer,) = ask([{"what": "range", **given(bytes.fromhex(stream)), "tables": tables}])
    assert answer.found["symbols"] == symbols


def table(random: Random) -> list[int]:
    """Up to seven frequencies, some of them 1 or nearly all."""
    ends = random.randrange(1, TOTAL), random.randrange(1, 40), TOTAL - random.randrange(1, 40)
    cuts = {random.choice(ends) for _ in range(random.randrange(1, 7))}
    return [b - a for a, b in itertools.pairwise([0, *sorted(cuts), TOTAL])]


def by_python(stream: bytes, tables: list[list[int]]) -> Answer:
    coder = Decoder(stream)
    try:
        read = [int(coder.code(None, np.array([row], np.int64))[0]) for row in tables]
    except CorruptError as fault:
        return Answer(None, "CorruptError", str(fault))
    return Answer({"symbols": read, "units": round(256 * coder.bits)})


def test_streams_are_read_as_in_python() -> None:
    """What an encoder wrote, and bytes that none did; with what the symbols carry."""
    random, asked, wanted = Random(2), [], []
    for number in range(600):
        tables = [table(random) for _ in range(random.randrange(80))]
        coder = Encoder()
        for row in tables:
            coder.code(np.array([random.randrange(len(row))], np.int32), np.array([row], np.int64))
        made = random.choice((random.randbytes, lambda n: b"\xff" * n))
        stream = made(random.randrange(50)) if number % 2 else coder.finish()
        asked.append({"what": "range", "checked": True, **given(stream), "tables": tables})
        wanted.append(by_python(stream, tables))
    assert [answer.outcome for answer in ask(asked)] == [answer.outcome for answer in wanted]
    said = {answer.message for answer in wanted}
    assert said == {
        None,
        "the range stream is corrupt",
        "the range stream ends before its last symbol",
    }


# ---- tables ----


def test_frequencies_of_indices_are_those_of_python(shipped: Tensors) -> None:
    rng, asked, wanted = np.random.default_rng(3), [], []
    for number in range(24):
        codes = int(rng.choice([1, 2, 7, 512, 600]))
        logits = rng.integers(LOW, HIGH + 1, (6, codes)) >> number % 9
        tensors = {"exp": exp_table() if number % 2 else shipped["exp"]}
        request = {"what": "softmax", "codes": codes, "logits": logits.ravel().tolist()}
        asked.append(request | given(save(tensors)))
        rows = softmax_frequencies(logits.astype(np.float64), tensors["exp"])
        sums = np.cumsum(rows, 1) - rows
        wanted.append([[int(row.max()), own.tolist()] for row, own in zip(rows, sums, strict=True)])
    assert [answer.found for answer in ask(asked)] == wanted


def test_levels_are_their_definition(shipped: Tensors) -> None:
    rows = np.random.default_rng(4).integers(-(2**31), 2**31, (9, 5)).astype(np.int32)
    tables = [rows, shipped["quality"], shipped["z_log_scale"]]
    qualities = list(range(201))
    request = {"what": "levels", "qualities": qualities}
    found = ask([request | given(save({"levels": np.asarray(own)})) for own in tables])
    for answer, own in zip(found, tables, strict=True):
        wanted = [reference.level(own.astype(np.int64), quality) for quality in qualities]
        np.testing.assert_array_equal(answer.found, wanted)


# ---- integer networks ----


def extreme(rng: np.random.Generator, low: int, high: int, *shape: int) -> NDArray[np.int64]:
    """Random integers low..high, most of them at an end of the range, at 0 or beside it."""
    ends = rng.choice(np.array([low, low + 1, -1, 0, 1, high - 1, high]), shape)
    return np.where(rng.random(shape) < 0.7, ends, rng.integers(low, high + 1, shape))


def network(rng: np.random.Generator, channels: int) -> Tensors:
    """Up to four layers with weights and biases at the extremes."""
    tensors: Tensors = {}
    for number in range(rng.integers(1, 5)):
        kind = str(rng.choice(["pw", "dw", "up"] if channels % 4 == 0 else ["pw", "dw"]))
        relu = ".relu" if kind != "up" and rng.random() < 0.5 else ""
        wider = int(rng.choice([1, 4, 5, 8, 20]))
        outputs = {"pw": wider, "dw": channels, "up": channels // 4}[kind]
        shape = {"pw": (channels, wider), "dw": (9, channels), "up": (1,)}[kind]
        stem = f"net.{number}.{kind}{relu}"
        tensors[f"{stem}.weight"] = extreme(rng, -HIGH, HIGH, *shape).astype(np.int16)
        count = 1 if kind == "up" else outputs
        tensors[f"{stem}.bias"] = extreme(rng, -(2**31), 2**31 - 1, count).astype(np.int32)
        channels = outputs
    return tensors


def run(tensors: Tensors, x: NDArray[np.int64]) -> Request:
    height, width, channels = x.shape
    size = {"height": height, "width": width, "channels": channels}
    return {"what": "network", "input": x.ravel().tolist(), **size, **given(save(tensors))}


def test_networks_are_their_definition(shipped: Tensors) -> None:
    """Random ones, and the shipped ones, at the ends of the range of 16 bits."""
    rng = np.random.default_rng(5)
    cases = []
    for _ in range(80):
        channels = int(rng.choice([3, 4, 8, 12]))
        x = extreme(rng, LOW, HIGH, *rng.integers(1, 6, 2), channels)
        cases.append((network(rng, channels), x))
    for name in NETWORKS:
        own = {
            f"net.{key.removeprefix(f'{name}.')}": value
            for key, value in shipped.items()
            if key.startswith(f"{name}.")
        }
        first = own[next(key for key in own if key.startswith("net.0.") and "weight" in key)]
        channels = first.shape[1] if len(first) == 9 else first.shape[0]
        cases += [(own, extreme(rng, LOW, HIGH, *size, channels)) for size in ((1, 1), (3, 2))]
    found = ask([run(tensors, x) for tensors, x in cases])
    for answer, (tensors, x) in zip(found, cases, strict=True):
        np.testing.assert_array_equal(answer.found, reference.network(tensors, "net", x).ravel())


def test_the_widest_layer_is_exact_at_the_extremes() -> None:
    rng = np.random.default_rng(6)
    weight = rng.choice([-HIGH, HIGH], (384, 384)).astype(np.int16)
    tensors = {"net.0.pw.weight": weight, "net.0.pw.bias": np.zeros(384, np.int32)}
    x = rng.choice([LOW, HIGH], (3, 3, 384))
    (answer,) = ask([run(tensors, x)])
    np.testing.assert_array_equal(answer.found, reference.network(tensors, "net", x).ravel())


def test_networks_that_do_not_fit_are_refused() -> None:
    rows = np.ones((4, 4), np.int16)
    bias = np.zeros(4, np.int32)
    huge = np.full((1024, 4), -(2**31), np.int32)
    cases: list[tuple[Tensors, int, str]] = [
        ({"other.0.pw.weight": rows, "other.0.pw.bias": bias}, 4, "lack 'net'"),
        ({"net.0.pw.weight": rows}, 4, "lacks '0.pw.bias'"),
        ({"net.0.pw.weight": rows, "net.0.pw.bias": bias}, 5, "another layer"),
        ({"net.0.pw.weight": rows, "net.0.pw.bias": bias[:3]}, 4, "another layer"),
        ({"net.0.dw.weight": rows, "net.0.dw.bias": bias}, 4, "another layer"),
        ({"net.0.fc.weight": rows, "net.0.fc.bias": bias}, 4, "another layer"),
        ({"net.0.pw.weight": huge, "net.0.pw.bias": bias}, 1024, "layer 0 could overflow"),
        ({"net.0.up.weight": bias[:1], "net.0.up.bias": bias[:1]}, 6, "another layer"),
    ]
    found = ask([run(own, np.zeros((1, 1, channels), np.int64)) for own, channels, _ in cases])
    for answer, (_, _, words) in zip(found, cases, strict=True):
        assert answer.error == "WeightsError" and words in str(answer.message), words


# ---- files of tensors ----


def stored(header: Any, content: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


def entry(shape: Any, place: Any, kind: object = "I16") -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": place}


def test_tensors_are_read() -> None:
    rng = np.random.default_rng(7)
    tensors = {
        "a": rng.integers(LOW, HIGH + 1, (3, 2)).astype(np.int16),
        "b": rng.integers(-(2**31), 2**31, 7).astype(np.int32),
        "empty": np.zeros((0, 4), np.int32),
    }
    odd = stored({"__metadata__": {"x": "y"}, "c": entry([1], [0, 2])} | {" ": entry([0], [2, 2])})
    found = ask([{"what": "tensors", **given(data)} for data in (save(tensors), odd + b"\1\2")])
    read = {name: (shape, values) for name, shape, values in found[0].found}
    assert read == {name: (list(t.shape), t.ravel().tolist()) for name, t in tensors.items()}
    assert found[1].found == [["c", [1], [513]], [" ", [0], []]]


HOSTILE_TENSORS = {
    "nothing": b"",
    "a length alone": bytes(7),
    "a header beyond the end": struct.pack("<Q", 2**63) + b"{}",
    "no JSON": stored(b"nul"),
    "no text": stored(b'{"\xff": 1}'),
    "deep JSON": stored(b"[" * 200_000),
    "a list": stored([]),
    "a number for a tensor": stored({"a": 1}),
    "another type": stored({"a": entry([1], [0, 2], "F16")}, b"12"),
    "no type": stored({"a": entry([1], [0, 2], None)}, b"12"),
    "a shape that is none": stored({"a": entry("1", [0, 2])}, b"12"),
    "a negative side": stored({"a": entry([-1, -1], [0, 2])}, b"12"),
    "half a side": stored({"a": entry([0.5, 2], [0, 2])}, b"12"),
    "a huge shape": stored({"a": entry([2**40, 2**40], [0, 2])}, b"12"),
    "a huge shape of nothing": stored({"a": entry([2**52] * 30 + [0], [0, 2])}, b"12"),
    "bytes beyond the end": stored({"a": entry([2**40], [0, 2**41])}, b"12"),
    "an end before the beginning": stored({"a": entry([1], [2, 0])}, b"12"),
    "three places": stored({"a": entry([1], [0, 2, 2])}, b"12"),
    "bytes twice": stored({"a": entry([1], [0, 2]), "b": entry([1], [0, 2])}, b"12"),
    "a gap": stored({"a": entry([1], [0, 2]), "b": entry([1], [4, 6])}, b"123456"),
    "more bytes": stored({"a": entry([1], [0, 2])}, b"123"),
}


def test_hostile_files_of_tensors_are_one_error() -> None:
    found = ask([{"what": "tensors", **given(data)} for data in HOSTILE_TENSORS.values()])
    for name, answer in zip(HOSTILE_TENSORS, found, strict=True):
        assert answer.error == "WeightsError", name
        assert str(answer.message).startswith("x cannot be parsed: "), name


def test_what_is_shipped_is_read_as_it_is(shipped: Tensors) -> None:
    path = Path(weights.find(1).folder / "entropy.safetensors")
    (answer,) = ask([{"what": "tensors", "path": str(path)}])
    read = {name: (shape, values) for name, shape, values in answer.found}
    assert read == {name: (list(t.shape), t.ravel().tolist()) for name, t in shipped.items()}
