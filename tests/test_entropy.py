"""Exact entropy coding: integer networks, tables, the range stream, and the order of symbols."""

import itertools
import math
import zlib
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import HIGH, LOW, Ints

from hdcodec import CorruptError, WeightsError
from hdcodec.entropy.coder import Decoder, Encoder, PrefixDecoder, code_blocks
from hdcodec.entropy.context import code_gaussian
from hdcodec.entropy.fixedpoint import LOG_SCALE_MIN, SCALE_STEP, SCALES, SYMBOL_MAX
from hdcodec.entropy.intnet import IntLayer, IntNet
from hdcodec.entropy.order import PARTS, part_mask
from hdcodec.entropy.tables import (
    EXP_RANGE,
    TOTAL,
    exp_table,
    gaussian_tables,
    scale_index,
    softmax_frequencies,
)
from hdcodec.models.hdc.config import Config
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.hdc.symbols import (
    HdcSymbols,
    Source,
    SymbolCodec,
    most_uncertain,
)
from hdcodec.models.latent.fixed import FixedNet
from hdcodec.models.latent.symbols import interpolate
from hdcodec.train.export import entropy_tensors

Tensors = dict[str, NDArray[Any]]

CHANNELS, HYPER, CONTEXT, CODES = 8, 4, 6, 16
Shapes = list[tuple[str, int, int, bool]]


# ---- integer networks against plain int64 ----


def extreme(rng: np.random.Generator, low: int, high: int, *shape: int) -> Ints:
    """Random integers low..high, most of them at an end of the range, at 0 or beside it."""
    ends = rng.choice(np.array([low, low + 1, -1, 0, 1, high - 1, high]), shape)
    anything = rng.integers(low, high + 1, shape)
    return np.where(rng.random(shape) < 0.7, ends, anything)


def network(rng: np.random.Generator, name: str, shapes: Shapes) -> Tensors:
    """Tensors of a network whose weights and biases lie at the extremes."""
    tensors: Tensors = {}
    for k, (kind, cin, cout, relu) in enumerate(shapes):
        stem = f"{name}.{k}.{kind}" + (".relu" if relu else "")
        size = {"pw": (cin, cout), "dw": (9, cin), "up": (1,)}[kind]
        tensors[f"{stem}.weight"] = extreme(rng, -HIGH, HIGH, *size).astype(np.int16)
        count = 1 if kind == "up" else cout
        tensors[f"{stem}.bias"] = extreme(rng, -(2**31), 2**31 - 1, count).astype(np.int32)
    return tensors


@st.composite
def chains(draw: st.DrawFn) -> tuple[int, Shapes]:
    """Channels of the input and up to 4 layers that fit one another."""
    channels = cin = draw(st.sampled_from([4, 8, 12]))
    shapes: Shapes = []
    for kind in draw(st.lists(st.sampled_from(["pw", "dw", "up"]), min_size=1, max_size=4)):
        if kind == "up" and cin % 4:
            kind = "dw"
        wider = draw(st.sampled_from([1, 4, 8, 20]))
        cout = {"pw": wider, "dw": cin, "up": cin // 4}[kind]
        shapes.append((kind, cin, cout, kind != "up" and draw(st.booleans())))
        cin = cout
    return channels, shapes


@given(chains(), st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32))
def test_integer_networks_are_their_definition(
    chain: tuple[int, Shapes], height: int, width: int, seed: int
) -> None:
    channels, shapes = chain
    rng = np.random.default_rng(seed)
    tensors = network(rng, "net", shapes)
    x = extreme(rng, LOW, HIGH, height, width, channels)
    found = IntNet.load(tensors, "net")(x.astype(np.float64))
    np.testing.assert_array_equal(found, reference.network(tensors, "net", x))


@pytest.mark.parametrize("kind", ["pw", "dw"])
def test_the_widest_layers_are_exact_at_the_extremes(kind: str) -> None:
    rng = np.random.default_rng(1)
    shapes = [(kind, 384, 384, False)]
    tensors = network(rng, "net", shapes)
    stem = f"net.0.{kind}"
    tensors[f"{stem}.weight"] = rng.choice([-HIGH, HIGH], tensors[f"{stem}.weight"].shape)
    x = rng.choice([LOW, HIGH], (3, 4, 384))
    found = IntNet.load(tensors, "net")(x.astype(np.float64))
    np.testing.assert_array_equal(found, reference.network(tensors, "net", x))


@given(st.sampled_from(["pw", "dw"]), st.integers(0, 2**32))
def test_no_accumulator_passes_the_proven_bound(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tensors = network(rng, "net", [(kind, 6, 6, False)])
    weight, bias = tensors[f"net.0.{kind}.weight"], tensors[f"net.0.{kind}.bias"]
    (layer,) = IntNet.load(tensors, "net").layers
    worst = np.where(weight[:, :1].T < 0, LOW, HIGH)  # the input that drives output 0 highest
    x = np.zeros((3, 3, 6), np.int64) + (worst if kind == "pw" else 0)
    if kind == "dw":
        x[:, :, 0] = worst.reshape(3, 3)
    reached = np.abs(reference.sums(kind, x, weight.astype(np.int64)) + bias) + 2048
    assert reached.max() <= layer.bound()


def layer_of(weight: float, bias: float = 0.0) -> IntLayer:
    return IntLayer("pw", False, np.array([[weight]]), np.array([bias]))


@pytest.mark.parametrize(
    ("weight", "bias"),
    [(2.0**38, 0.0), (-(2.0**38), 0.0), (1.0, 2.0**53), (math.inf, 0.0), (math.nan, 0.0)],
)
def test_weights_that_could_overflow_are_refused(weight: float, bias: float) -> None:
    with pytest.raises(WeightsError, match="layer 1"):
        IntNet([layer_of(1.0), layer_of(weight, bias)])


def test_the_largest_weight_within_the_proof_is_exact() -> None:
    weight = 2**38 - 1
    found = IntNet([layer_of(float(weight))])(np.array([[[-32768.0], [-1.0], [0.0]]]))
    assert found.ravel().tolist() == [LOW, max(LOW, -weight + 2048 >> 12), 0]


@pytest.mark.parametrize(("weight", "bias"), [(0.5, 0.0), (1.0, 0.25)])
def test_weights_that_are_no_integers_are_refused(weight: float, bias: float) -> None:
    with pytest.raises(WeightsError, match="integers"):
        IntNet([layer_of(weight, bias)])


def test_a_network_that_is_missing_or_cut_is_named() -> None:
    tensors = network(np.random.default_rng(0), "net", [("pw", 4, 4, True)])
    with pytest.raises(WeightsError, match="'other'"):
        IntNet.load(tensors, "other")
    del tensors["net.0.pw.relu.bias"]
    with pytest.raises(WeightsError, match="'net'"):
        IntNet.load(tensors, "net")


# ---- float twins ----


def test_float_twins_agree_with_the_exported_networks(tiny_config: Config) -> None:
    torch.manual_seed(3)
    model = HdcModel(tiny_config)
    tensors = entropy_tensors(model)
    twins = model.lic.entropy
    nets: dict[str, torch.nn.Module] = {"hyper_in": twins.hyper_in, "hyper": twins.hyper}
    nets |= {f"parts.{p}": net for p, net in enumerate(twins.parts)}
    rng = np.random.default_rng(3)
    for name, net in (nets | {"prior": model.prior.net}).items():
        assert isinstance(net, FixedNet)
        x = rng.integers(-8 * 1024, 8 * 1024, (5, 7, net.layers[0].cin)).astype(np.float64)
        twin = net.double()(torch.from_numpy(x / 1024).permute(2, 0, 1)[None])
        expected = twin[0].permute(1, 2, 0).detach().numpy()
        found = IntNet.load(tensors, name)(x) / 1024
        assert np.abs(expected).max() > 0.1, name
        np.testing.assert_allclose(found, expected, atol=0.02, err_msg=name)


def test_level_tables_agree_with_the_float_interpolation() -> None:
    from hdcodec.models.latent.coding import interpolate as twin

    levels = np.random.default_rng(0).integers(-4000, 4000, (9, 5))
    qualities = np.arange(201).reshape(3, 67)
    twins = twin(torch.from_numpy(levels).double(), torch.from_numpy(qualities)[None])[0]
    wanted = np.floor(twins.permute(1, 2, 0).numpy() + 1e-9)
    np.testing.assert_array_equal(interpolate(levels, qualities), wanted)


# ---- tables ----


def test_gaussian_tables_are_probabilities_of_gaussians() -> None:
    tables = gaussian_tables()
    assert tables.shape == (SCALES, 2 * SYMBOL_MAX + 1)
    assert (tables.sum(1) == TOTAL).all()
    assert tables.min() >= 1
    for k in range(0, SCALES, 7):
        normal = NormalDist(0, math.exp((LOG_SCALE_MIN + k * SCALE_STEP) / 1024))
        inner = range(-SYMBOL_MAX + 1, SYMBOL_MAX)
        wanted = [normal.cdf(s + 0.5) - normal.cdf(s - 0.5) for s in inner]
        np.testing.assert_allclose(tables[k, 1:-1] / TOTAL, wanted, atol=60 / TOTAL)


def test_scales_go_to_the_nearest_table() -> None:
    exact = LOG_SCALE_MIN + SCALE_STEP * np.arange(SCALES, dtype=np.float64)
    for offset in (-SCALE_STEP // 2, 0, SCALE_STEP // 2 - 1):
        np.testing.assert_array_equal(scale_index(exact + offset), np.arange(SCALES))
    assert scale_index(np.array([LOW, HIGH], dtype=np.float64)).tolist() == [0, SCALES - 1]


@given(st.integers(1, 9), st.integers(2, 600), st.integers(0, 2**32))
def test_index_tables_are_probabilities(rows: int, codes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = extreme(rng, LOW, HIGH, rows, codes) // rng.choice([1, 8, 64])
    table = softmax_frequencies(logits.astype(np.float64), exp_table())
    assert (table.sum(1) == TOTAL).all()
    assert table.min() >= 1
    assert (table.argmax(1) == logits.argmax(1)).all()
    for row, logit in zip(table, logits, strict=True):
        others = np.delete(row, row.argmax())[np.delete(logit, row.argmax()).argsort()]
        assert (np.diff(others) >= 0).all(), "a likelier code has a smaller frequency"


def test_index_tables_are_a_softmax() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (20, 512))
    table = softmax_frequencies(np.rint(logits * 1024), exp_table())
    wanted = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(table / TOTAL, wanted, rtol=0.01, atol=1e-4)


def test_the_exponential_table_covers_16_nats() -> None:
    table = exp_table()
    assert len(table) == EXP_RANGE + 1
    assert (table[0], table[1024], table[-1]) == (1 << 20, round((1 << 20) / math.e), 0)


# ---- the range stream ----


def decoded_by_definition(stream: bytes, tables: list[list[int]]) -> list[int]:
    reader = reference.RangeReader(stream)
    return [reader.symbol(table) for table in tables]


def encoded(symbols: list[int], tables: list[list[int]]) -> bytes:
    coder = Encoder()
    for symbol, table in zip(symbols, tables, strict=True):
        coder.code(np.array([symbol], np.int32), np.array([table], np.int64))
    return coder.finish()


SMALL = [2**24 - 2**22 - 1, 2**22, 1]


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
    assert encoded(symbols, [SMALL] * len(symbols)).hex(" ") == stream


@st.composite
def messages(draw: st.DrawFn) -> tuple[list[int], list[list[int]]]:
    """Symbols, each with a table of its own, some of them of frequency 1 or nearly certain."""
    symbols, tables = [], []
    for _ in range(draw(st.integers(0, 60))):
        cuts = st.integers(1, TOTAL - 1) | st.integers(1, 40) | st.integers(TOTAL - 40, TOTAL - 1)
        edges = [0, *sorted(draw(st.sets(cuts, min_size=1, max_size=6))), TOTAL]
        tables.append([b - a for a, b in itertools.pairwise(edges)])
        symbols.append(draw(st.integers(0, len(tables[-1]) - 1)))
    return symbols, tables


@given(messages())
def test_streams_follow_the_definition(message: tuple[list[int], list[list[int]]]) -> None:
    symbols, tables = message
    stream = encoded(symbols, tables)
    bits = sum(math.log2(TOTAL / t[s]) for s, t in zip(symbols, tables, strict=True))
    assert 8 * len(stream.rstrip(b"\0")) <= 8 * len(stream) <= bits + 72
    assert not stream.endswith(b"\0") or 8 * len(stream) < bits - 64 + 8
    assert decoded_by_definition(stream, tables) == symbols
    coder = Decoder(stream)
    read = [coder.code(None, np.array([table], np.int64))[0] for table in tables]
    assert read == symbols


def test_a_stream_may_be_filled_up_with_zeros() -> None:
    rng = np.random.default_rng(0)
    rows, table = rng.integers(0, SCALES, 50), gaussian_tables()
    symbols = rng.integers(20, 29, 50).astype(np.int32)
    coder = Encoder()
    code_blocks(coder, symbols, rows, table)
    filled = coder.finish(200)
    assert len(filled) == 200
    np.testing.assert_array_equal(code_blocks(Decoder(filled), None, rows, table), symbols)


@pytest.mark.parametrize("frequency", [1, 1 << 12, TOTAL - 1])
def test_a_stream_of_nothing_but_zeros_says_how_much_it_holds(frequency: int) -> None:
    """The first symbol again and again is all zeros, however many there are."""
    tables = [[frequency, TOTAL - frequency]] * 100
    stream = encoded([0] * 100, tables)
    assert not stream.strip(b"\0")
    read = Decoder(stream).code(None, np.array(tables, np.int64))
    assert not read.any()
    if frequency == 1:
        with pytest.raises(CorruptError, match="ends"):
            Decoder(stream[:-2]).code(None, np.array(tables, np.int64))


@given(st.binary(max_size=40))
def test_no_stream_holds_more_than_its_bytes(stream: bytes) -> None:
    coder, table = Decoder(stream), np.full((1, 64), TOTAL // 64)
    read = 0
    with pytest.raises(CorruptError) as refused:
        while 6 * read <= 8 * len(stream) + 72:
            coder.code(None, table)
            read += 1
    if "ends" in str(refused.value):
        assert 6 * read > 8 * len(stream)


def test_blocks_do_not_change_the_stream() -> None:
    rng = np.random.default_rng(0)
    rows, table = rng.integers(30, SCALES, 70_000), gaussian_tables()
    symbols = rng.integers(0, 49, len(rows)).astype(np.int32)
    whole, blocks = Encoder(), Encoder()
    whole.code(symbols, table[rows].astype(np.int64))
    code_blocks(blocks, symbols, rows, table)
    assert blocks.finish() == whole.finish()


# ---- all symbols of a picture ----


def small_tensors(seed: int) -> Tensors:
    """A family of small random integer networks of the shape that SymbolCodec expects."""
    rng = np.random.default_rng(seed)

    def net(name: str, *shapes: tuple[str, int, int, bool]) -> Tensors:
        tensors = network(rng, name, list(shapes))
        for key, tensor in tensors.items():
            spread = 3000 * 4096 if key.endswith("bias") else 2500
            tensors[key] = rng.integers(-spread, spread, tensor.shape).astype(tensor.dtype)
        return tensors

    up = [("up", 16, 4, False), ("dw", 4, 4, False), ("pw", 4, 4 * CONTEXT, True)]
    tensors = net("hyper_in", ("pw", HYPER, 12, False))
    tensors |= net(
        "hyper", ("dw", 12, 12, False), ("pw", 12, 16, True), *up, ("up", 4 * CONTEXT, 6, False)
    )
    for p in range(PARTS):
        cin = CONTEXT + (CHANNELS if p else 0)
        tensors |= net(
            f"parts.{p}",
            *[("pw", cin, 10, True), ("dw", 10, 10, False), ("pw", 10, 2 * CHANNELS, False)],
        )
    tensors |= net("prior", ("pw", CHANNELS + CONTEXT, 10, True), ("pw", 10, CODES, False))
    return tensors | {
        "gaussians": gaussian_tables(),
        "exp": exp_table(),
        "quality": rng.integers(-2000, 2000, (9, 12)).astype(np.int32),
        "z_log_scale": rng.integers(-2500, 3000, (9, HYPER)).astype(np.int32),
    }


def random_source(rows: int, columns: int, seed: int) -> Source:
    rng = np.random.default_rng(seed)
    y = rng.normal(0, 6, (4 * rows, 4 * columns, CHANNELS)).astype(np.float32)
    z = rng.normal(0, 3, (rows, columns, HYPER)).astype(np.float32)
    indices = rng.integers(0, CODES, (4 * rows, 4 * columns))
    return Source(y, z, lambda latent: indices)


def coded(
    codec: SymbolCodec, source: Source, quality: int, kept: int, least: int = 0
) -> tuple[bytes, float, HdcSymbols]:
    coder, size = Encoder(), source.z.shape[:2]
    symbols = codec.code(coder, size, quality, kept, source)
    return coder.finish(least), coder.bits, symbols


def read_back(
    codec: SymbolCodec, stream: bytes, like: HdcSymbols, quality: int, k: int
) -> HdcSymbols:
    rows, columns = like.z.shape[:2]
    return codec.code(Decoder(stream), (rows, columns), quality, k)


@pytest.fixture(params=[False, True], ids=["by place", "by scale"])
def ordered(request: pytest.FixtureRequest) -> Tensors:
    """What weights have whose latents come by scale, and those that have none of it."""
    return {"by_scale": np.ones(1, np.int16)} if request.param else {}


@pytest.mark.parametrize("kept", range(16))
@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_symbols_come_back(size: tuple[int, int], kept: int, ordered: Tensors) -> None:
    codec, quality = SymbolCodec(small_tensors(kept) | ordered), 13 * kept
    stream, bits, symbols = coded(codec, random_source(*size, seed=kept), quality, kept)
    again = read_back(codec, stream, symbols, quality, kept)
    for name in ("z", "y", "latent", "kept", "indices"):
        np.testing.assert_array_equal(getattr(again, name), getattr(symbols, name), err_msg=name)
    assert again.sha256() == symbols.sha256()
    assert (again.lic_bits, again.vq_bits) == (symbols.lic_bits, symbols.vq_bits)
    assert symbols.lic_bits + symbols.vq_bits == bits


def scattered(shape: tuple[int, ...], low: int, high: int, salt: int) -> Ints:
    """Integers low..high that look random and are the same everywhere."""
    k = np.arange(math.prod(shape), dtype=np.uint64) + np.uint64(1009 * salt)
    mixed = (k * np.uint64(2654435761) % np.uint64(2**32)) * np.uint64(40503) % np.uint64(2**31)
    return (mixed % np.uint64(high - low + 1)).astype(np.int64).reshape(shape) + low


def golden_tensors() -> Tensors:
    """Integer networks and tables that are the same everywhere."""
    tensors = small_tensors(0)
    for salt, name in enumerate(sorted(set(tensors) - {"gaussians", "exp"})):
        spread = 3000 << 12 if name.endswith("bias") else 2500
        if name == "quality":
            spread = 60_000
        tensors[name] = scattered(tensors[name].shape, -spread, spread, salt)
    distance = np.abs(np.arange(-SYMBOL_MAX, SYMBOL_MAX + 1))
    tables = (30 - distance) * (100 + np.arange(SCALES)[:, None])
    tables[:, SYMBOL_MAX] += TOTAL - tables.sum(1)
    tensors["gaussians"] = tables.astype(np.int32)
    tensors["exp"] = (2**20 >> np.arange(EXP_RANGE + 1) // 700).astype(np.int32)
    return tensors


def golden_source() -> Source:
    y = scattered((8, 12, CHANNELS), -9000, 9000, 1) / 1024
    z = scattered((2, 3, HYPER), -6000, 6000, 2) / 1024
    indices = scattered((8, 12), 0, CODES - 1, 3)
    return Source(y.astype(np.float32), z.astype(np.float32), lambda latent: indices)


def test_golden_symbols_of_a_picture() -> None:
    """The order of all symbols and the arithmetic around the networks, saturation included."""
    stream, _, symbols = coded(SymbolCodec(golden_tensors()), golden_source(), 77, 5)
    assert len(stream) == 908
    assert zlib.crc32(stream) == 2628884700
    assert symbols.sha256()[:16] == "8e1150fcccafe9d2"


def test_golden_symbols_by_scale() -> None:
    """The same symbols in another order, bands or none; equal tables keep the order of places."""
    tensors = golden_tensors() | {"by_scale": np.ones(1, np.int16)}
    stream, _, symbols = coded(SymbolCodec(tensors), golden_source(), 77, 5)
    assert symbols.sha256()[:16] == "8e1150fcccafe9d2"
    assert (len(stream), zlib.crc32(stream)) == (908, 3475847888)


def test_a_beginning_holds_the_latents_of_the_largest_scales() -> None:
    gaussians, coder = gaussian_tables(), Encoder()
    tables = np.random.default_rng(0).integers(1, SCALES, 500)
    values = np.zeros(500)
    values[tables > 40] = 5.0
    code_gaussian(coder, values, tables, gaussians, by_scale=True)
    whole = coder.finish()
    found = code_gaussian(PrefixDecoder(whole[: len(whole) // 2]), None, tables, gaussians, True)
    known = np.flatnonzero(found == values)
    assert set(np.flatnonzero(tables > 55)) <= set(known)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 200), st.integers(0, 15))
@settings(max_examples=25)
def test_every_size_and_quality_comes_back(
    rows: int, columns: int, quality: int, kept: int
) -> None:
    codec = SymbolCodec(small_tensors(quality))
    stream, _, symbols = coded(codec, random_source(rows, columns, kept), quality, kept)
    assert read_back(codec, stream, symbols, quality, kept).sha256() == symbols.sha256()


@pytest.mark.parametrize(("kept", "quality"), [(0, 0), (5, 80), (15, 200)])
def test_a_stream_is_as_long_as_the_model_says(kept: int, quality: int) -> None:
    codec = SymbolCodec(small_tensors(7))
    stream, bits, _ = coded(codec, random_source(6, 7, seed=7), quality, kept)
    assert len(stream) == pytest.approx(bits / 8, rel=0.01, abs=4)


@pytest.mark.parametrize("kept", [0, 1, 7, 14, 15])
def test_the_most_uncertain_indices_are_kept(kept: int) -> None:
    codec, source = SymbolCodec(small_tensors(2)), random_source(3, 3, seed=2)
    _, _, symbols = coded(codec, source, 100, kept)
    assert symbols.kept.sum() == int(kept * kept / 225 * 144 + 0.5)
    indices = source.indices(symbols.latent)
    np.testing.assert_array_equal(symbols.indices, np.where(symbols.kept, indices, -1))
    fewer = [coded(codec, source, 100, k)[2].kept for k in range(kept)]
    assert all((symbols.kept | ~less).all() for less in fewer), "a kept index was dropped"


def test_uncertainty_orders_the_indices_and_ties_go_to_the_first() -> None:
    logits = np.zeros((2, 2, CODES))
    logits[0, 1, 3], logits[1, 1, 3] = 5000, 100
    top = SymbolCodec(small_tensors(0)).likeliest(logits).ravel()
    kept = [most_uncertain(top, (n, 4)).nonzero()[0].tolist() for n in range(5)]
    assert kept == [[], [0], [0, 2], [0, 2, 3], [0, 1, 2, 3]]


def test_indices_are_not_asked_for_when_none_is_kept() -> None:
    def never(latent: NDArray[np.float64]) -> Ints:
        raise AssertionError("no index is kept")

    source = random_source(2, 2, seed=0)
    source.indices = never
    coded(SymbolCodec(small_tensors(0)), source, 100, 0)


def test_latents_out_of_range_are_clipped_not_lost() -> None:
    codec, source = SymbolCodec(small_tensors(4)), random_source(2, 2, seed=4)
    source.y[:], source.z[:] = 1e6, -1e6
    stream, _, symbols = coded(codec, source, 200, 4)
    assert np.abs(symbols.y).max() == np.abs(symbols.z).max() == SYMBOL_MAX
    assert np.abs(symbols.latent).max() <= SYMBOL_MAX * 1024
    assert read_back(codec, stream, symbols, 200, 4).sha256() == symbols.sha256()


def test_decoded_latents_are_within_half_a_step() -> None:
    tensors, source = small_tensors(5), random_source(3, 2, seed=5)
    for p in range(PARTS):  # wide scales, so that every symbol is coded
        tensors[f"parts.{p}.2.pw.weight"][:, CHANNELS:] = 0
        tensors[f"parts.{p}.2.pw.bias"][CHANNELS:] = 3000 << 12
    codec = SymbolCodec(tensors)
    _, _, symbols = coded(codec, source, 150, 0)
    inside = (np.abs(symbols.y) < SYMBOL_MAX) & (np.abs(symbols.latent) < SYMBOL_MAX * 1024)
    error = np.abs(symbols.latent / 1024 - source.y)[inside]
    assert inside.mean() > 0.5
    assert error.max() <= 0.5 + 1e-5


@given(st.binary(max_size=120), st.integers(0, 200), st.integers(0, 15))
@settings(max_examples=40)
def test_any_stream_decodes_or_is_corrupt(stream: bytes, quality: int, kept: int) -> None:
    codec = SymbolCodec(small_tensors(1))
    try:
        symbols = codec.code(Decoder(stream), (2, 2), quality, kept)
    except CorruptError:
        return
    assert np.abs(symbols.latent).max() <= SYMBOL_MAX * 1024
    assert symbols.indices.max() < CODES


def test_a_missing_table_is_named() -> None:
    tensors = small_tensors(0)
    del tensors["exp"]
    with pytest.raises(WeightsError, match="exp"):
        SymbolCodec(tensors)


@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from([4, 8, 96]))
def test_the_four_parts_cover_every_latent_once(height: int, width: int, channels: int) -> None:
    masks = [part_mask(p, channels, height, width) for p in range(PARTS)]
    assert (np.sum(masks, axis=0) == 1).all()
