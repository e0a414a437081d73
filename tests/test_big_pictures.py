"""Pictures in tiles and bands, pictures of extreme shape, and files that only claim to be big."""

import copy
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from headers import header
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import hdcodec
from hdcodec import Codec, CorruptError, DeviceError, TooLargeError
from hdcodec._inspect import read_symbols
from hdcodec.entropy import bands
from hdcodec.entropy.coder import Encoder
from hdcodec.format import pack, unpack
from hdcodec.models.hdc.config import Config
from hdcodec.models.hdc.family import Hdc
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.hdc.symbols import HdcSymbols, Source
from hdcodec.models.latent.picture_coder import pad
from hdcodec.models.tiles import AREA, GRID, HALO, LEAST_AREA, tiles
from hdcodec.train.export import export

SMALL = LEAST_AREA
"""Cuts a picture of 512 x 512 into four tiles."""


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(device="cpu", backend="torch")


def of_area(codec: Codec, area: int) -> Codec:
    """The codec with networks that see at most so many pixels at a time."""
    other = copy.copy(codec)
    other.networks = copy.copy(codec.networks)
    other.networks.area = area
    return other


def array(image: Image.Image) -> NDArray[np.float64]:
    return np.asarray(image).astype(np.float64)


# ---- where tiles lie ----

SIDES = st.integers(1, 60).map(lambda n: 64 * n)


@given(SIDES, SIDES, st.sampled_from([0, LEAST_AREA, 300_000, 512 * 512, AREA]))
def test_tiles_make_up_the_picture(height: int, width: int, area: int) -> None:
    times = np.zeros((height // 64, width // 64), int)
    for tile in tiles(height, width, area):
        seen = tile.cut(times, 64)
        tile.paste(times, seen + 1, 64)
        assert 64 * 64 * seen.size <= max(area, LEAST_AREA)
        for span, length in ((tile.rows, height), (tile.columns, width)):
            assert span.start % GRID == span.low % GRID == 0
            assert span.start - span.low == min(HALO, span.start)
            assert span.high - span.stop == min(HALO, length - span.stop)
    assert (times == 1).all()


@given(SIDES, SIDES)
def test_a_picture_that_fits_is_one_tile(height: int, width: int) -> None:
    (tile,) = tiles(height, width, height * width)
    assert tile.cut(np.zeros((height, width)), 1).shape == (height, width)


# ---- float networks on tiles ----

WORST, MEAN = 6, 0.15
"""Of 255: how far a picture decoded in the smallest tiles may be from the one decoded whole.
Rounding in bfloat16 alone makes a mean of 0.1 where quality is low."""


@pytest.mark.parametrize(
    ("quality", "kept", "fidelity"), [(5, 11, 0.5), (40, 4, 0.0), (80, None, 1.0)]
)
def test_seams_are_invisible(
    codec: Codec, astronaut: Image.Image, quality: int, kept: int | None, fidelity: float
) -> None:
    assert len(tiles(512, 512, SMALL)) == 4
    data = codec.compress(astronaut, quality=quality, kept=kept, verify=False, protect="none")
    whole = array(codec.decompress(data, fidelity=fidelity))
    gap = np.abs(array(of_area(codec, SMALL).decompress(data, fidelity=fidelity)) - whole)
    assert gap.max() <= WORST
    assert gap.mean() <= MEAN


def test_an_encoder_in_tiles_finds_the_same_latents(codec: Codec, coffee: Image.Image) -> None:
    pixels, parts = pad(np.asarray(coffee)), of_area(codec, SMALL).networks
    whole, tiled = codec.networks.analyse(pixels), parts.analyse(pixels)
    np.testing.assert_allclose(tiled.latents, whole.latents, atol=1e-4)
    q = np.full((pixels.shape[0] // 64, pixels.shape[1] // 64), 80)
    y, z = codec.networks.gained(whole, q)
    for found, wanted in zip(parts.gained(whole, q), (y, z), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    latent = np.rint(1024 * y).astype(np.int16)
    same = parts.indices(whole, latent, q) == codec.networks.indices(whole, latent, q)
    assert same.mean() > 0.99


def test_a_picture_encoded_in_tiles(codec: Codec, coffee: Image.Image) -> None:
    data = of_area(codec, SMALL).compress(coffee, quality=40, kept=5)
    whole = codec.compress(coffee, quality=40, kept=5)
    assert len(data) == pytest.approx(len(whole), rel=0.01)
    gap = np.abs(array(codec.decompress(data)) - array(codec.decompress(whole)))
    assert gap.mean() < 0.5


# ---- integer networks on bands ----


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how many positions a band has at least."""
    return lambda positions: monkeypatch.setattr(bands, "POSITIONS", positions)


def equal(one: HdcSymbols, other: HdcSymbols) -> bool:
    names = ("z", "y", "latent", "kept", "indices")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


@pytest.mark.parametrize(("kept", "by_scale"), [(0, False), (6, False), (15, False), (15, True)])
def test_bands_change_no_symbol_and_no_byte(
    narrow: Callable[[int], None], kept: int, by_scale: bool
) -> None:
    rng, codec = np.random.default_rng(kept), Hdc(1).symbol_codec
    codec.context.by_scale = by_scale
    y = rng.laplace(0, 2, (36, 20, 96)).astype(np.float32)
    z = rng.normal(0, 2, (9, 5, 32)).astype(np.float32)
    indices = rng.integers(0, 512, (36, 20))
    coded = []
    for positions in (1, 200, 1 << 20):
        narrow(positions)
        coder = Encoder()
        symbols = codec.code(coder, (9, 5), 90, kept, Source(y, z, lambda latent: indices))
        coded.append((coder.finish(), symbols))
    for stream, symbols in coded[1:]:
        assert stream == coded[0][0]
        assert equal(symbols, coded[0][1])


def test_bands_read_what_was_written_whole(
    codec: Codec, cat: Image.Image, narrow: Callable[[int], None]
) -> None:
    box = unpack(codec.compress(cat, quality=70, kept=8))
    whole = read_symbols(box)
    assert whole.latent.shape[0] * whole.latent.shape[1] < bands.POSITIONS
    narrow(1)
    assert equal(read_symbols(box), whole)


# ---- shapes ----


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1)])
def test_a_line_of_pixels(codec: Codec, coffee: Image.Image, size: tuple[int, int]) -> None:
    data = codec.compress(coffee.resize(size), quality=20)
    assert codec.decompress(data).size == size


@pytest.fixture
def tiny(own_weights: Path, tiny_config: Config) -> Codec:
    """A codec of untrained networks at a fraction of their size."""
    torch.manual_seed(0)
    export(HdcModel(tiny_config), own_weights, {"ladder": [4] * 201}, 1)
    return Codec(device="cpu")


def test_the_longest_side(tiny: Codec, coffee: Image.Image) -> None:
    data = tiny.compress(coffee.resize((65_535, 16)), quality=20)
    assert tiny.decompress(data).size == (65_535, 16)


@pytest.mark.parametrize("size", [(65_536, 1), (1, 65_536)])
def test_longer_sides_are_refused(codec: Codec, size: tuple[int, int]) -> None:
    with pytest.raises(TooLargeError, match="65535") as refused:
        codec.compress(Image.new("RGB", size))
    assert "\n" not in str(refused.value)


def test_a_large_picture_needs_the_callers_leave(codec: Codec) -> None:
    data = pack(header(16_384, 16_384, quality=40, kept=0), bytes(1 << 16))
    for read in (hdcodec.info, codec.decompress):
        with pytest.raises(TooLargeError, match="pixels"):
            read(data)
        with pytest.raises(CorruptError):
            read(data, max_pixels=1 << 28)


# ---- files that claim to be big ----


class Counter:
    """A hook that counts the runs of a network."""

    def __init__(self, network: nn.Module) -> None:
        self.runs = 0
        self.handle = network.register_forward_pre_hook(self)

    def __call__(self, network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.runs += 1


LIMIT = 256 << 20
"""Bytes that numpy may take to refuse a file of 16 megapixels and 1 KiB."""


@pytest.mark.parametrize("quality", [0, 60, 200])
@pytest.mark.parametrize("kept", [0, 15])
@pytest.mark.parametrize("filling", ["zeros", "ones", "noise"])
def test_a_short_file_of_a_big_picture_is_refused_early(
    codec: Codec, quality: int, kept: int, filling: str
) -> None:
    noise = np.random.default_rng(quality + kept).bytes(1024)
    payload = {"zeros": bytes(1024), "ones": b"\xff" * 1024, "noise": noise}[filling]
    data = pack(header(8192, 2048, quality=quality, kept=kept), payload)
    counter = Counter(codec.networks.graphs.model.lic.synthesis)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptError):
            codec.decompress(data)
        assert tracemalloc.get_traced_memory()[1] < LIMIT
    finally:
        tracemalloc.stop()
        counter.handle.remove()
    assert counter.runs == 0


# ---- memory that runs out ----


class Shortage(Counter):
    """A hook that lets a network run out of memory on inputs of more than so many positions."""

    def __init__(self, network: nn.Module, positions: int) -> None:
        super().__init__(network)
        self.positions = positions

    def __call__(self, network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        super().__call__(network, inputs)
        if inputs[0].shape[2] * inputs[0].shape[3] > self.positions:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")


def on_device(name: str) -> Codec:
    """A codec of its own whose networks run on a device."""
    codec = Codec(device="cpu", backend="torch")
    codec.networks = codec.family.load(name, backend="torch")
    return codec


def test_short_memory_makes_smaller_tiles(codec: Codec, astronaut: Image.Image) -> None:
    data = codec.compress(astronaut, quality=30, kept=6)
    short = on_device("cpu")
    Shortage(short.networks.graphs.model.lic.analysis, 400 * 400)
    counter = Shortage(short.networks.graphs.model.lic.synthesis, 400 * 400 // 256)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = short.decompress(data)
        made = short.compress(astronaut, quality=30, kept=6)
    assert counter.runs == 2 * (1 + 4)  # once in vain, and then the tiles, each way
    small = of_area(codec, SMALL)
    assert np.array_equal(array(picture), array(small.decompress(data)))
    assert made == small.compress(astronaut, quality=30, kept=6)


def test_without_memory_the_cpu_does_it_with_a_notice(
    codec: Codec, small_astronaut: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HDC_BACKEND", "torch")
    short = on_device("cpu:0")  # the CPU too, but by another name
    lic = short.networks.graphs.model.lic
    for network in (lic.analysis, lic.synthesis):
        Shortage(network, 0)
    with pytest.warns(UserWarning, match="not enough memory.*CPU") as notices:
        data = short.compress(small_astronaut, quality=30, kept=6)
        picture = short.decompress(data)
    assert len(notices) == 2
    assert data == codec.compress(small_astronaut, quality=30, kept=6)
    assert np.array_equal(array(picture), array(codec.decompress(data)))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_cpu_does_it_in_the_precision_that_was_asked_for(precision: str) -> None:
    assert Codec(device="cpu:0", precision=precision)._spare.precision == precision


def test_a_cpu_without_memory_is_an_error(codec: Codec, small_astronaut: Image.Image) -> None:
    data = codec.compress(small_astronaut, quality=30)
    short = on_device("cpu")
    Shortage(short.networks.graphs.model.lic.synthesis, 0)
    with pytest.raises(DeviceError, match="not enough memory"):
        short.decompress(data)
