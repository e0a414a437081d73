"""The range coder in Python, which takes the place of constriction's where there is no wheel."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import hdcodec
from hdcodec import Codec
from hdcodec.conformance import suite
from hdcodec.entropy import coder, range_coder

Tables = NDArray[np.int64]
Message = tuple[NDArray[np.int32], Tables]

TOTAL = 1 << 24
SMALL = [TOTAL - (1 << 22) - 1, 1 << 22, 1]
FILES = ["kept-15", "chequered", "mapped", "sprdiff-noise"]


@pytest.fixture(scope="module")
def constricted() -> ModuleType:
    pytest.importorskip("constriction", reason="constriction has no wheel for this system")
    from hdcodec.entropy import constricted

    return constricted


@pytest.fixture
def in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coder, "ENCODER", range_coder.RangeEncoder)
    monkeypatch.setattr(coder, "DECODER", range_coder.RangeDecoder)


@pytest.mark.parametrize(
    ("symbols", "words"),
    [
        ([], []),
        ([0], [0]),
        ([0, 1, 2, 0, 1], [0xBFFFFE2B]),
        ([2] * 4, [0xFFFFFFFF, 0xFE000000, 0xFFFFFFFF, 0x00010000]),
        ([1, 1, 0, 0, 0, 2, 1, 0, 0, 1, 0, 2, 0, 0, 1, 1], [0xF6BFFEA4, 0x2FDC11D1]),
    ],
)
def test_golden_words(symbols: list[int], words: list[int]) -> None:
    encoder, tables = range_coder.RangeEncoder(), np.array([SMALL] * len(symbols), np.int64)
    encoder.encode(np.array(symbols, np.int32), tables.reshape(-1, 3))
    assert encoder.compressed().tolist() == words


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Symbols and their tables, all of as many symbols; some are all but impossible, so that
    carries go through many words."""
    count, columns = draw(st.integers(1, 60)), draw(st.integers(2, 5))
    cut = st.integers(1, TOTAL - 1) | st.integers(1, 40) | st.integers(TOTAL - 40, TOTAL - 1)
    cuts = st.sets(cut, min_size=columns - 1, max_size=columns - 1)
    edges = [[0, *sorted(draw(cuts)), TOTAL] for _ in range(count)]
    symbol = st.integers(0, columns - 1) | st.just(columns - 1)
    symbols = draw(st.lists(symbol, min_size=count, max_size=count))
    return np.array(symbols, np.int32), np.diff(np.array(edges, np.int64))


@given(messages())
def test_words_are_those_of_constriction(constricted: ModuleType, message: Message) -> None:
    """At every symbol, ends of the stream included."""
    symbols, tables = message
    ours, theirs = range_coder.RangeEncoder(), constricted.QueueEncoder()
    for k in range(len(symbols)):
        for encoder in (ours, theirs):
            encoder.encode(symbols[k : k + 1], tables[k : k + 1])
        assert ours.compressed().tolist() == theirs.compressed().tolist()
    decoder = range_coder.RangeDecoder(ours.compressed())
    assert decoder.decode(tables).tolist() == symbols.tolist()


WORD = st.sampled_from([0, 2**32 - 1]) | st.integers(0, 2**32 - 1)


@given(messages(), st.lists(WORD, max_size=12))
def test_symbols_of_any_words_are_those_of_constriction(
    constricted: ModuleType, message: Message, words: list[int]
) -> None:
    """Or none, at the same symbol."""
    _, tables = message
    stream = np.array(words, np.uint32)
    ours, theirs = range_coder.RangeDecoder(stream), constricted.QueueDecoder(stream)
    for k in range(len(tables)):
        try:
            wanted = theirs.clone().decode(tables[k : k + 1]).tolist()
        except ValueError:
            with pytest.raises(ValueError, match="outside of all symbols"):
                ours.decode(tables[k : k + 1])
            return
        assert ours.clone().decode(tables[k : k + 1]).tolist() == wanted
        ours.decode(tables[k : k + 1])
        theirs.decode(tables[k : k + 1])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.usefixtures("in_python")
def test_files_are_read_and_written_again(name: str) -> None:
    wanted = suite.expected()["files"][name]["symbols_sha256"]
    assert hdcodec.verify(suite.read(name)) == wanted


def test_beginnings_and_new_files_are_the_same(
    codec: Codec, small_cat: Image.Image, request: pytest.FixtureRequest
) -> None:
    data = codec.compress(small_cat, quality=30, verify=False)
    cuts = [data[: len(data) * k // 7] for k in range(3, 7)]
    before = [codec.decompress(cut, partial=True).info["share"] for cut in cuts]
    request.getfixturevalue("in_python")
    assert [codec.decompress(cut, partial=True).info["share"] for cut in cuts] == before
    assert codec.compress(small_cat, quality=30) == data


def test_constriction_may_be_missing(tmp_path: Path, small_cat: Image.Image) -> None:
    small_cat.save(tmp_path / "cat.png")
    script = (
        "import sys\nsys.modules['constriction'] = None\nfrom hdcodec.__main__ import run\nrun()\n"
    )
    command = [sys.executable, "-c", script, "compress", "cat.png", "cat.hdc", "--device", "cpu"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    hdcodec.verify(tmp_path / "cat.hdc")
