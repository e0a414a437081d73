"""A file that is cut anywhere still makes a picture, a better one the more of it there is."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from command import Hdc
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import hdcodec
from hdcodec import Codec, CorruptError, HdcError, TruncatedError, weights
from hdcodec.entropy.coder import Decoder, Encoder, PrefixDecoder
from hdcodec.format import pack, unpack
from hdcodec.models import identify


@pytest.fixture(scope="module")
def picture(photo_files: dict[str, Path]) -> Image.Image:
    with Image.open(photo_files["astronaut"]) as file:
        return file.convert("RGB").crop((160, 20, 288, 148))


@pytest.fixture(scope="module")
def data(codec: Codec, picture: Image.Image) -> bytes:
    return codec.compress(picture, quality=40)


def error(image: Image.Image, picture: Image.Image) -> float:
    gap = np.asarray(image).astype(float) - np.asarray(picture)
    return float((gap**2).mean())


def test_every_cut_makes_a_picture_or_says_why(
    codec: Codec, data: bytes, picture: Image.Image
) -> None:
    shares, errors = [], []
    for cut in range(len(data)):
        try:
            image = codec.decompress(data[:cut], partial=True)
        except HdcError as fault:
            assert not shares, f"{cut}: {fault}"
            continue
        assert image.size == picture.size
        shares.append(image.info["share"])
        errors.append(error(image, picture))
    assert len(shares) > 0.7 * len(data)  # header and hyper-latents take the rest
    assert shares == sorted(shares) and shares[0] > 0 and shares[-1] < 1
    whole = error(codec.decompress(data), picture)
    thirds = [np.mean(part) for part in np.array_split(errors, 5)]
    assert thirds == sorted(thirds, reverse=True) and thirds[-1] > whole
    assert errors[0] > 3 * whole


def test_a_whole_file_is_as_always(codec: Codec, data: bytes) -> None:
    plain, partial = codec.decompress(data), codec.decompress(data, partial=True)
    assert partial == plain
    assert "share" not in partial.info
    assert hdcodec.decompress(data, partial=True, device="cpu") == plain


@pytest.mark.parametrize("kept", [0, 15])
@pytest.mark.parametrize("cut", [0.3, 0.7, 0.95])
def test_known_symbols_are_the_true_ones(
    codec: Codec, picture: Image.Image, kept: int, cut: float
) -> None:
    box = unpack(codec.compress(picture, quality=50, kept=kept))
    true, read = Recorded(Decoder(box.payload)), Recorded(PrefixDecoder(box.payload))
    for coder in (true, read):
        codec.family.symbols(box.header, coder)
    assert read.coder.share == 1 and true.seen == read.seen
    size = int(cut * len(box.payload))
    part = Recorded(PrefixDecoder(box.payload[:size]))
    codec.family.symbols(box.header, part)
    known = part.coder.known
    assert part.seen[:known] == true.seen[:known]
    assert 0.8 * 8 * size < part.coder.bits < 8 * size + 1


class Recorded:
    """A coder that keeps what it read."""

    def __init__(self, coder: Decoder | PrefixDecoder) -> None:
        self.coder, self.seen = coder, []

    @property
    def ended(self) -> bool:
        return self.coder.ended

    @property
    def bits(self) -> float:
        return self.coder.bits

    def code(self, symbols: object, frequencies: np.ndarray) -> np.ndarray:
        found = self.coder.code(None, frequencies)
        self.seen += found.tolist()
        return found


@cache
def tables(kind: str) -> np.ndarray:
    """Rows of frequencies: Gaussians of the shipped weights, or any."""
    if kind == "gaussians":
        return weights.find(1).arrays("entropy.safetensors")["gaussians"].astype(np.int64)
    rng = np.random.default_rng(0)
    rows = rng.integers(1, 1 << 16, (20, 7))
    rows[:, 0] = (1 << 24) - rows[:, 1:].sum(1)
    return rows


@settings(max_examples=60)
@given(st.sampled_from(["gaussians", "any"]), st.integers(0, 2**32 - 1), st.data())
def test_a_prefix_of_any_stream(kind: str, seed: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    table = tables(kind)
    rows = table[rng.integers(0, len(table), rng.integers(1, 300))]
    chances = rows / rows.sum(1, keepdims=True)
    symbols = np.array([rng.choice(len(p), p=p) for p in chances], np.int32)
    encoder = Encoder()
    encoder.code(symbols, rows)
    stream = encoder.finish()
    cut = data.draw(st.integers(0, len(stream)))
    decoder = PrefixDecoder(stream[:cut])
    split = data.draw(st.integers(0, len(rows)))
    found = np.concatenate([decoder.code(None, rows[:split]), decoder.code(None, rows[split:])])
    known = decoder.known
    assert (found[:known] == symbols[:known]).all()
    assert (found[known:] == rows[known:].argmax(1)).all()
    assert decoder.bits <= 8 * cut + 1
    spent = -np.log2(chances[np.arange(len(symbols)), symbols]).cumsum()
    assert known >= (spent < 8 * cut - 40).sum()


def test_a_cut_inside_the_chunks_is_an_error(codec: Codec, picture: Image.Image) -> None:
    transparent = picture.copy()
    transparent.putalpha(Image.linear_gradient("L").resize(picture.size))
    data = codec.compress(transparent, quality=40)
    box = unpack(data)
    chunks = len(data) - len(box.payload) - 3
    with pytest.raises(TruncatedError, match="alpha chunk"):
        codec.decompress(data[: chunks - 5], partial=True)
    image = codec.decompress(data[: chunks + len(box.payload) // 2], partial=True)
    assert image.mode == "RGBA" and 0 < image.info["share"] < 1
    assert np.array_equal(image.getchannel("A"), transparent.getchannel("A"))


@pytest.mark.parametrize("quality", [0.0, 50.0, 100.0])
def test_a_few_bytes_claim_no_large_picture(codec: Codec, quality: float) -> None:
    parameters = codec.family.parameters(quality, codec.family.Encoding())
    header = type(HEADER)(60000, 2000, codec.model_id, parameters)
    with pytest.raises(CorruptError, match="cannot hold 60000 x 2000 pixels"):
        codec.decompress(pack(header, b"")[:-3] + bytes(400), partial=True)


def test_a_cut_inside_the_hyper_latents_is_an_error(codec: Codec, data: bytes) -> None:
    box = unpack(data)
    with pytest.raises(TruncatedError, match="inside the hyper-latents"):
        codec.decompress(data[: box.header_bytes + 2], partial=True)


@settings(max_examples=40)
@given(st.binary(max_size=60))
def test_noise_behind_a_header_is_a_picture_or_an_error(codec: Codec, noise: bytes) -> None:
    family = codec.family
    header = type(HEADER)(64, 64, identify("hdc"), family.parameters(30, family.Encoding()))
    try:
        image = codec.decompress(pack(header, b"")[:-3] + noise, partial=True)
    except HdcError:
        return
    assert image.size == (64, 64)


HEADER = unpack(
    (Path(__file__).parents[1] / "hdcodec/conformance/data/tile.hdc").read_bytes()
).header


def test_the_command(hdc: Hdc, data: bytes, tmp_path: Path) -> None:
    cut = tmp_path / "cut.hdc"
    cut.write_bytes(data[: len(data) * 2 // 3])
    failed = hdc("decompress", cut)
    assert failed.code == 1 and not (tmp_path / "cut.png").exists()
    told = hdc("decompress", "--partial", "--json", cut)
    assert 0.3 < json.loads(told.out)["share"] < 0.9
    said = hdc("decompress", "--partial", "--force", cut)
    assert "% of its symbols" in said.out.decode() + said.err
    cut.write_bytes(data)
    assert json.loads(hdc("decompress", "--partial", "--json", "-f", cut).out)["share"] == 1
