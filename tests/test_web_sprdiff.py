"""The family sprdiff in JavaScript against the one in Python, with small networks that no one has
trained: the same facts, symbols and errors, and the same numbers for the graph. The last for hdc,
too."""

import base64
import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from javascript import Answer, Request, ask, expected_info, expected_symbols, given, needs_node
from numpy.typing import NDArray
from PIL import Image
from small_sprdiff import MODEL, MODEL_ID

from hdcodec import Codec
from hdcodec._inspect import read_symbols
from hdcodec.format import Header, pack, unpack
from hdcodec.models.hdc.options import Decoding
from hdcodec.models.hdc.runtime import HdcNetworks
from hdcodec.models.latent.networks import LatentNetworks
from hdcodec.models.latent.qualities import STRIDE
from hdcodec.models.sprdiff.options import SprdiffDecoding
from hdcodec.models.sprdiff.runtime import SprdiffNetworks
from hdcodec.models.tiles import LEAST_AREA

pytestmark = needs_node

Array = NDArray[Any]
SIZES = [(1, 1), (64, 64), (65, 130), (150, 100), (300, 90)]


@pytest.fixture(scope="module")
def own(sprdiff: Path) -> Codec:
    return Codec("sprdiff", "cpu", "float32", backend="onnx")


@pytest.fixture(scope="module")
def files(own: Codec, face: Image.Image) -> list[bytes]:
    """Files with and without maps of qualities, of several sizes, one of them of a smaller
    picture."""
    made = []
    for width, height in SIZES:
        options: list[dict[str, Any]] = [
            {"quality": 0},
            {"quality": 43.5},
            {"quality": 100, "regions": [(0, 0, 40, 40, -60)]},
            {"quality": 60, "regions": [(width // 2, height // 2, 64, 64, 35), (0, 0, 9, 9, -20)]},
            {"quality": 30, "max_side": 130},
        ]
        image = face.resize((width, height))
        made += [own.compress(image, verify=False, protect="none", **chosen) for chosen in options]
    return made


def registration(folder: Path) -> Request:
    return {"what": "register", "id": MODEL_ID, "model": vars(MODEL), "folder": str(folder)}


def answers(folder: Path, requests: Iterable[Request]) -> list[Answer]:
    """Of a decoder that knows the family."""
    first, *others = ask([registration(folder), *requests])
    assert first.error is None, first.message
    return others


def agree(folder: Path, requests: list[Request], wanted: list[Answer]) -> None:
    found = answers(folder, requests)
    assert [answer.outcome for answer in found] == [answer.outcome for answer in wanted]


# ---- symbols ----


def test_files_say_the_same(sprdiff: Path, files: list[bytes]) -> None:
    wanted = [expected_info(data) for data in files]
    facts = [answer.found for answer in wanted]
    assert {fact["quality"] for fact in facts} == {0, 30, 43.5, 60, 100}
    for key in ("quality_map", "coded_width"):
        assert any(key in fact for fact in facts) and not all(key in fact for fact in facts)
    agree(sprdiff, [{"what": "info", **given(data)} for data in files], wanted)


def test_beginnings_say_the_same(sprdiff: Path, files: list[bytes]) -> None:
    random = Random(1)
    cut = [data[: random.randrange(len(data))] for data in files for _ in range(3)]
    cut += [data[: unpack(data).header_bytes + 3] for data in files]
    wanted = [expected_symbols(data) for data in cut]
    assert sum(answer.error is None for answer in wanted) > len(cut) / 4
    assert any("inside the hyper-latents" in str(answer.message) for answer in wanted)
    agree(sprdiff, [{"what": "symbols", "partial": True, **given(d)} for d in cut], wanted)


def test_what_no_encoder_writes_is_the_same_error(sprdiff: Path, files: list[bytes]) -> None:
    """Parameters and flags that there are not, a large picture in few bytes, streams that are cut
    and random ones."""
    random, box = Random(2), unpack(files[-1])
    wrong = [(0, 201, 0), (1, 80, 0), (15, 255, 1), (0, 80, 2), (0, 80, 7), (3, 80, 2)]
    made = [
        pack(replace(box.header, parameters=bytes(parameters), flags=flags), box.payload)
        for *parameters, flags in wrong
    ]
    made += [pack(box.header, box.payload[: len(box.payload) * k // 9]) for k in range(1, 9)]
    made.append(pack(Header(9000, 9000, MODEL_ID, bytes([0, 80])), b"1"))
    for _ in range(40):
        size, flags = (random.randrange(1, 200), random.randrange(1, 200)), random.randrange(2)
        head = Header(*size, MODEL_ID, bytes([0, random.randrange(201)]), flags=flags)
        made.append(pack(head, random.randbytes(random.randrange(900))))
    wanted = [expected_info(data) for data in made]
    said = {str(answer.message) for answer in wanted}
    for words in (
        "the quality is 201, outside 0..200",
        "the first parameter is 1, not 0",
        "of which sprdiff has 1 alone",
        "cannot hold 9000 x 9000 pixels",
        "ends before its last symbol",
        "None",
    ):
        assert any(words in message for message in said), words
    agree(sprdiff, [{"what": "info", **given(data)} for data in made], wanted)


@pytest.mark.parametrize("sizes", [{}, {"vae": 8}, {"vae": {"latent": 0}}, {"latent": 8}, []])
def test_weights_without_sizes_are_refused(sprdiff: Path, tmp_path: Path, sizes: Any) -> None:
    shutil.copy(sprdiff / "entropy.safetensors", tmp_path)
    manifest = json.loads((sprdiff / "manifest.json").read_text()) | {"config": sizes}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (answer,) = ask([registration(tmp_path)])
    assert (answer.error, answer.message) == (
        "WeightsError",
        "manifest.json is not a manifest of weights",
    )


# ---- what the graph takes ----


class Recorder:
    """Graphs that keep what they are given, and draw nothing."""

    backend, device, precision = "none", "cpu", "float32"

    def __init__(self) -> None:
        self.given: list[tuple[str, tuple[Array, ...]]] = []

    def sized(self, pixels: int) -> "Recorder":
        return self

    def prepare(self, name: str) -> None:
        pass

    def __call__(self, name: str, *inputs: Array) -> list[Array]:
        self.given.append((name, inputs))
        rows, columns = inputs[1].shape
        return [np.zeros((STRIDE * rows, STRIDE * columns, 3), np.uint8)]


def fed(networks: LatentNetworks, recorder: Recorder, symbols: Any, how: Any) -> list[Any]:
    """What Python gives to the graph, tile by tile."""
    networks.area = LEAST_AREA
    networks.reconstruct(symbols, how)  # type: ignore[attr-defined]
    assert {name for name, _ in recorder.given} == {"picture"}
    return [inputs for _, inputs in recorder.given]


def arrays(feeds: dict[str, Any]) -> dict[str, Array]:
    """What JavaScript gives to the graph."""
    return {
        name: np.frombuffer(base64.b64decode(numbers), kind).reshape(shape)
        for name, (kind, numbers, shape) in feeds.items()
    }


def check_feeds(found: Answer, names: tuple[str, ...], wanted: list[tuple[Array, ...]]) -> None:
    assert found.error is None and len(found.found) == len(wanted) > 1
    for feeds, inputs in zip(found.found, wanted, strict=True):
        told = arrays(feeds)
        assert set(told) == set(names)
        for name, array in zip(names, inputs, strict=True):
            assert (told[name].dtype, told[name].shape) == (array.dtype, array.shape), name
            assert np.array_equal(told[name], array), name


def test_tiles_are_given_the_same(sprdiff: Path, own: Codec, astronaut: Image.Image) -> None:
    image = astronaut.resize((700, 500))
    data = own.compress(image, quality=50, regions=[(300, 0, 200, 300, 40)], verify=False)
    request = {"what": "feeds", "area": LEAST_AREA, "fidelity": 0.25, **given(data)}
    (found,) = answers(sprdiff, [request])
    family: Any = own.family
    recorder = Recorder()
    networks = SprdiffNetworks(family, recorder)
    wanted = fed(networks, recorder, read_symbols(unpack(data)), SprdiffDecoding(0.25))
    check_feeds(found, ("latent", "qindex", "noise", "fidelity"), wanted)


def test_tiles_of_hdc_are_given_the_same(codec: Codec, astronaut: Image.Image) -> None:
    data = codec.compress(astronaut, quality=40, regions=[(300, 0, 200, 300, 40)], verify=False)
    request = {"what": "feeds", "area": LEAST_AREA, "fidelity": 0.75, **given(data)}
    (found,) = ask([request])
    family: Any = codec.family
    recorder = Recorder()
    networks = HdcNetworks(family, recorder)
    wanted = fed(networks, recorder, read_symbols(unpack(data)), Decoding(0.75))
    check_feeds(found, ("latent", "qindex", "indices", "kept", "noise", "fidelity"), wanted)


@pytest.mark.parametrize("fidelity", [0.0, 0.5, 1.0])
def test_pictures_are_those_of_python(
    sprdiff: Path, own: Codec, files: list[bytes], fidelity: float
) -> None:
    """Of the graph that is fed by JavaScript. At a fidelity of 1 Python has a shorter way."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(sprdiff / "picture.onnx"), options)
    chosen = [data for data in files if not unpack(data).header.scale]
    asked = [
        {"what": "feeds", "area": 1 << 20, "fidelity": fidelity, **given(data)} for data in chosen
    ]
    for data, answer in zip(chosen, answers(sprdiff, asked), strict=True):
        (feeds,) = answer.found
        (pixels,) = session.run(None, arrays(feeds))
        wanted = np.asarray(own.decompress(data, fidelity=fidelity)).astype(int)
        height, width = wanted.shape[:2]
        assert np.abs(pixels[:height, :width] - wanted).max() <= 1
