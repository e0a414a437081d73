"""The same symbols and the same pictures whatever runs, wherever, and whoever calls.

The files are those of the conformance suite, whose symbols are known.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from reference import HIGH, LOW
from reordered import ORDERED, by_scale
from safetensors.numpy import load
from torch import Tensor
from torch.nn import functional as F

from hdcodec import Codec, weights
from hdcodec.conformance import suite
from hdcodec.entropy.coder import Decoder
from hdcodec.entropy.intnet import Fixed, IntLayer, IntNet
from hdcodec.entropy.tables import softmax_frequencies
from hdcodec.format import unpack
from hdcodec.models.hdc.family import Hdc

NAMES = suite.names()
TELLING = ["kept-15", "chequered", "noise", "lowest-symbols", "senseless-50", "large"]
"""Many symbols, extreme ones, and rows enough for BLAS to share out its work."""

NETWORKS = ["hyper_in", "hyper", "parts.0", "parts.1", "parts.2", "parts.3", "prior"]


@pytest.fixture(scope="module")
def tensors() -> dict[str, NDArray[Any]]:
    """The integer networks and tables of hdc that are shipped."""
    return dict(load(weights.find(1).read("entropy.safetensors")))


def wanted(name: str) -> str:
    return str(suite.expected()["files"][name]["symbols_sha256"])


# ---- the definition ----


@pytest.mark.parametrize("name", NAMES)
def test_symbols_are_those_of_the_specification(name: str) -> None:
    data = suite.read(name)
    tensors = load(weights.find(unpack(data).header.model).read("entropy.safetensors"))
    assert reference.Symbols(tensors, data).sha256() == wanted(name)


@pytest.mark.parametrize("name", ["kept-15", "mapped", "chequered"])
def test_symbols_by_scale_are_those_of_the_specification(
    tensors: dict[str, Any], name: str
) -> None:
    data, symbols = by_scale(suite.read(name), tensors)
    assert data != suite.read(name)
    assert reference.Symbols(tensors | ORDERED, data).sha256() == symbols


@pytest.mark.parametrize("name", NETWORKS)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**32))
@settings(max_examples=15)
def test_shipped_networks_are_their_definition(
    tensors: dict[str, Any], name: str, height: int, width: int, seed: int
) -> None:
    rng, net = np.random.default_rng(seed), IntNet.load(tensors, name)
    ends = rng.choice([LOW, LOW + 1, -1, 0, 1, HIGH], (height, width, channels(net)))
    anything = rng.integers(LOW, HIGH + 1, ends.shape)
    x = np.where(rng.random(ends.shape) < 0.7, ends, anything)
    found = net(x.astype(np.float64))
    np.testing.assert_array_equal(found, reference.network(tensors, name, x))


def channels(net: IntNet) -> int:
    return net.layers[0].weight.shape[net.layers[0].kind == "dw"]


@given(st.integers(1, 4), st.integers(1, 600), st.integers(0, 2**32))
def test_index_tables_are_their_definition(rows: int, codes: int, seed: int) -> None:
    exp = load(weights.find(1).read("entropy.safetensors"))["exp"]
    logits = np.random.default_rng(seed).integers(LOW, HIGH + 1, (rows, codes)) >> seed % 9
    found = softmax_frequencies(logits.astype(np.float64), exp)
    wanted = reference.index_frequencies(exp.astype(np.int64), logits)
    np.testing.assert_array_equal(found, wanted)


# ---- other ways to the same sums ----


Product = Callable[[Fixed, Fixed], Fixed]


def backwards(x: Fixed, weight: Fixed) -> Fixed:
    return x[..., ::-1] @ weight[::-1]


def in_pieces(x: Fixed, weight: Fixed) -> Fixed:
    """Blocks of 7 inputs, their products summed from the last to the first."""
    pieces = [x[..., k : k + 7] @ weight[k : k + 7] for k in range(0, len(weight), 7)]
    return np.sum(pieces[::-1], axis=0)


def by_columns(x: Fixed, weight: Fixed) -> Fixed:
    return np.stack([x @ column for column in weight.T], -1)


def strided(x: Fixed, weight: Fixed) -> Fixed:
    """Operands whose elements do not lie beside each other."""
    return np.repeat(x, 2, 2)[..., ::2] @ np.asfortranarray(np.repeat(weight, 2, 1))[:, ::2]


def one_by_one(x: Fixed, weight: Fixed) -> Fixed:
    """A row at a time, as a batch of one would be."""
    return np.stack([[position @ weight for position in row] for row in x])


def without_blas(x: Fixed, weight: Fixed) -> Fixed:
    return np.einsum("hwc,cd->hwd", x, weight)


def longer(x: Fixed, weight: Fixed) -> Fixed:
    """In extended precision, so that rounding, were there any, would differ."""
    return (x.astype(np.longdouble) @ weight.astype(np.longdouble)).astype(np.float64)


class Otherwise:
    """An integer network whose products are computed by `product`."""

    def __init__(self, net: IntNet, product: Product) -> None:
        self.layers, self.reach, self.product = net.layers, net.reach, product

    def __call__(self, x: Fixed) -> Fixed:
        for layer in self.layers:
            x = self._pointwise(layer, x) if layer.kind == "pw" else layer(x)
        return x

    def _pointwise(self, layer: IntLayer, x: Fixed) -> Fixed:
        total = np.floor((self.product(x, layer.weight) + layer.bias + 2048) / 4096)
        return np.clip(total, 0 if layer.relu else LOW, HIGH)


def symbols_by(data: bytes, replace: Callable[[IntNet], Any]) -> str:
    """The hash of a file's symbols, its tables predicted by what replaces the networks."""
    box = unpack(data)
    family = Hdc(box.header.model)
    codec = family.symbol_codec
    for name in ("hyper_in", "hyper", "prior"):
        setattr(codec, name, replace(getattr(codec, name)))
    codec.context.parts = [replace(net) for net in codec.context.parts]
    return family.symbols(box.header, Decoder(box.payload)).sha256()


@pytest.mark.parametrize("name", [name for name in TELLING if name != "large"])
@pytest.mark.parametrize(
    "product", [backwards, in_pieces, by_columns, strided, one_by_one, without_blas, longer]
)
def test_symbols_do_not_depend_on_the_order_of_summation(name: str, product: Product) -> None:
    assert symbols_by(suite.read(name), lambda net: Otherwise(net, product)) == wanted(name)


ENVIRONMENTS: dict[str, dict[str, str]] = {
    "as it is": {},
    "2 threads": {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"},
    "4 threads": {"OPENBLAS_NUM_THREADS": "4", "OMP_NUM_THREADS": "4", "MKL_NUM_THREADS": "4"},
    "SSE": {"OPENBLAS_CORETYPE": "Prescott"},
    "AVX2": {"OPENBLAS_CORETYPE": "Haswell"},
    "plain loops": {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512_SKX"},
}


@pytest.mark.parametrize("changes", ENVIRONMENTS.values(), ids=list(ENVIRONMENTS))
def test_symbols_do_not_depend_on_threads_and_processor(changes: dict[str, str]) -> None:
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-W", "ignore", "-m", "hdcodec.conformance", "--symbols", "--json"]
    own = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    environment = own | threads | changes
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    found = {file["file"]: file["symbols_sha256"] for file in json.loads(run.stdout)["files"]}
    assert found == {name: wanted(name) for name in NAMES}


# ---- another library ----


class Convolved:
    """An integer network run by torch in float64, as one of `batch` inputs stacked together."""

    def __init__(self, net: IntNet, batch: int, device: str) -> None:
        self.layers, self.reach, self.batch, self.device = net.layers, net.reach, batch, device

    def __call__(self, x: Fixed) -> Fixed:
        noise = np.random.default_rng(0).integers(-32768, 32768, (self.batch - 1, *x.shape))
        stacked = torch.from_numpy(np.concatenate([noise, x[None]])).to(self.device)
        y = stacked.permute(0, 3, 1, 2)
        for layer in self.layers:
            y = self._layer(layer, y)
        out: Fixed = y[-1].permute(1, 2, 0).cpu().numpy()
        return out

    def _layer(self, layer: IntLayer, x: Tensor) -> Tensor:
        if layer.kind == "up":
            return F.pixel_shuffle(x, 2)
        weight = torch.from_numpy(layer.weight.T.copy()).to(x.device)
        bias = torch.from_numpy(layer.bias).to(x.device)
        if layer.kind == "pw":
            y = F.conv2d(x, weight[:, :, None, None], bias)
        else:
            kernel = weight.reshape(-1, 1, 3, 3)
            y = F.conv2d(x, kernel, bias, padding=1, groups=len(weight))
        return ((y + 2048) / 4096).floor().clamp(0 if layer.relu else -32768, 32767)


@contextmanager
def held(get: Callable[[], Any], put: Callable[[Any], object], value: Any) -> Iterator[None]:
    """A global setting of torch, put back afterwards."""
    before = get()
    put(value)
    try:
        yield
    finally:
        put(before)


def threads(count: int) -> AbstractContextManager[None]:
    return held(torch.get_num_threads, torch.set_num_threads, count)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextmanager
def without_onednn() -> Iterator[None]:
    torch.backends.mkldnn.set_flags(False)
    try:
        yield
    finally:
        torch.backends.mkldnn.set_flags(True)


WAYS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "1 thread": lambda: threads(1),
    "2 threads": lambda: threads(2),
    "4 threads": lambda: threads(4),
    "deterministic": deterministic,
    "without oneDNN": without_onednn,
}


@pytest.mark.parametrize("name", ["kept-15", "senseless-50"])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("way", WAYS)
def test_symbols_are_the_same_by_torch(name: str, batch: int, way: str) -> None:
    with WAYS[way]():
        found = symbols_by(suite.read(name), lambda net: Convolved(net, batch, "cpu"))
    assert found == wanted(name)


# ---- pictures ----


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(device="cpu")


def pixels(image: Image.Image) -> NDArray[np.int64]:
    return np.asarray(image).astype(np.int64)


def default_dtype(dtype: torch.dtype) -> AbstractContextManager[None]:
    return held(torch.get_default_dtype, torch.set_default_dtype, dtype)


@contextmanager
def seeded() -> Iterator[None]:
    torch.manual_seed(1)
    np.random.seed(1)
    yield


CALLERS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "seeds": seeded,
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "meta device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "no gradients": torch.no_grad,
    "gradients": torch.enable_grad,
    "inference": torch.inference_mode,
    "deterministic": deterministic,
}


def callers_state() -> tuple[Any, ...]:
    """What belongs to whoever calls."""
    generator = np.random.get_state()
    return (
        torch.get_rng_state().tolist(),
        generator[1].tolist(),
        generator[2:],
        torch.get_default_dtype(),
        torch.empty(0).device,
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
    )


@pytest.mark.parametrize("caller", CALLERS)
def test_the_codec_and_its_caller_do_not_see_each_other(codec: Codec, caller: str) -> None:
    data = suite.read("kept-06")
    image = codec.decompress(data)
    again, searched = (codec.compress(image, quality=30, kept=5, effort=n) for n in (0, 1))
    with CALLERS[caller]():
        before = callers_state()
        for other in (codec, Codec(device="cpu")):
            assert other.decompress(data).tobytes() == image.tobytes()
            assert other.compress(image, quality=30, kept=5) == again
            assert other.compress(image, quality=30, kept=5, effort=1) == searched
        assert callers_state() == before


@pytest.mark.parametrize("way", WAYS)
def test_pictures_are_alike(codec: Codec, way: str) -> None:
    with WAYS[way]():
        assert suite.check("kept-06", lambda _: codec).error is None


def test_threads_of_the_moment_decide_alone(codec: Codec) -> None:
    data, found = suite.read("large"), []
    for count in (1, 2, 1, 2):
        with threads(count):
            found.append(pixels(codec.decompress(data)))
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[1], found[3])
    assert np.abs(found[0] - found[1]).mean() < 0.1


# ---- CUDA ----

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")


@cuda
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("name", TELLING)
def test_symbols_are_the_same_on_cuda(name: str, batch: int) -> None:
    found = symbols_by(suite.read(name), lambda net: Convolved(net, batch, "cuda"))
    assert found == wanted(name)


@cuda
@pytest.mark.parametrize(
    "settings", [[], ["tf32", "cudnn-benchmark"], ["deterministic"]], ids=lambda s: "+".join(s)
)
def test_the_suite_on_cuda(settings: list[str], tmp_path: Path) -> None:
    options = [word for setting in settings for word in ("--with", setting)]
    run = subprocess.run(
        [sys.executable, "-m", "hdcodec.conformance", "--device", "cuda", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


@cuda
def test_files_made_on_cuda_decode_on_the_cpu(codec: Codec) -> None:
    other, image = Codec(device="cuda"), codec.decompress(suite.read("tiles-5x4"))
    made = other.compress(image, quality=40, kept=7)
    gap = np.abs(pixels(codec.decompress(made)) - pixels(other.decompress(made)))
    assert gap.mean() < 0.5
