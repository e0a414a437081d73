"""The family sprdiff from pixels to files and back, with small networks that no one has trained."""

import io
import json
import os
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import torch
from click.testing import CliRunner
from command import Hdc
from numpy.typing import NDArray
from PIL import Image
from small_sprdiff import MODEL_ID, untrained
from small_stages import ALL_SIZES
from torch import Tensor

import hdcodec
import hdcodec.pillow_plugin
from hdcodec import Codec, models, weights
from hdcodec._inspect import read_symbols
from hdcodec.batch import Item, Row
from hdcodec.batch.work import Job, Worker
from hdcodec.codec import forget
from hdcodec.conformance.suite import DATA
from hdcodec.entropy.coder import Decoder, PrefixDecoder
from hdcodec.entropy.fixedpoint import FRACTION_BITS
from hdcodec.format import pack, unpack
from hdcodec.models.hdc.config import Config
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.noise import noise
from hdcodec.models.sprdiff.config import SprdiffConfig
from hdcodec.models.sprdiff.diffusion import noise_of
from hdcodec.models.sprdiff.model import SprdiffModel
from hdcodec.models.sprdiff.options import SprdiffParameters
from hdcodec.models.sprdiff.runtime import SprdiffNetworks
from hdcodec.models.sprdiff.vae import Vae
from hdcodec.models.tiles import LEAST_AREA
from hdcodec.train.__main__ import main
from hdcodec.train.export_sprdiff import assembled
from hdcodec.train.finish import PictureCodec
from hdcodec.train.restore import restore_sprdiff

COMMANDS = ("compress", "decompress", "batch", "eval", "compare")

pytestmark = pytest.mark.usefixtures("sprdiff")


@pytest.fixture(scope="module")
def codecs(sprdiff: Path) -> dict[str, Codec]:
    return {name: Codec("sprdiff", "cpu", "float32", backend=name) for name in ("onnx", "torch")}


@pytest.fixture(scope="module")
def file(codecs: dict[str, Codec], face: Image.Image) -> bytes:
    return codecs["onnx"].compress(face, quality=60, protect="none")


def array(image: Image.Image) -> NDArray[np.int64]:
    return np.asarray(image).astype(np.int64)


# ---- there and back ----


@pytest.mark.parametrize("size", [(150, 100), (64, 64), (1, 1), (65, 130)])
def test_both_backends_give_the_same(
    codecs: dict[str, Codec], face: Image.Image, size: tuple[int, int]
) -> None:
    data = codecs["torch"].compress(face.resize(size), quality=60, protect="none")
    for options in ({}, {"fidelity": 0.5}, {"fidelity": 1.0}, {"steps": 2}, {"steps": 4}):
        one, two = (codec.decompress(data, **options) for codec in codecs.values())
        assert one.size == size
        assert np.abs(array(one) - array(two)).max() <= 1


def test_what_is_told_of_a_file(file: bytes) -> None:
    facts = hdcodec.info(file)
    assert (facts["model"], facts["model_id"], facts["quality"]) == ("sprdiff", MODEL_ID, 60)
    assert hdcodec.verify(file) == facts["symbols_sha256"]
    assert facts["bytes"] == len(file) > 60


def test_symbols_are_those_of_an_independent_decoder(codecs: dict[str, Codec], file: bytes) -> None:
    tensors = weights.find(MODEL_ID).arrays("entropy.safetensors")
    assert reference.Symbols(tensors, file).sha256() == hdcodec.verify(file)
    mapped = codecs["torch"].compress(
        Image.new("RGB", (130, 64), "teal"), regions=[(0, 0, 64, 64, 30)], protect="none"
    )
    assert reference.Symbols(tensors, mapped).sha256() == hdcodec.verify(mapped)


def test_quality_costs_bytes(codecs: dict[str, Codec], face: Image.Image) -> None:
    sizes = [
        len(codecs["onnx"].compress(face, quality=quality, protect="none"))
        for quality in (0, 50, 100)
    ]
    assert sizes == sorted(set(sizes))


def test_a_budget_is_kept(codecs: dict[str, Codec], face: Image.Image, file: bytes) -> None:
    limit = len(file) - 20
    data = codecs["onnx"].compress(face, target_size=limit, protect="none")
    assert 0.8 * limit < len(data) <= limit
    with pytest.raises(hdcodec.TargetError, match="the lowest quality takes"):
        codecs["onnx"].compress(face, target_size=9, protect="none")


def test_some_of_a_picture_is_better(codecs: dict[str, Codec], face: Image.Image) -> None:
    options: dict[str, Any] = {"quality": 40, "protect": "none"}
    plain = codecs["onnx"].compress(face, **options)
    better = codecs["onnx"].compress(face, regions=[(0, 0, 64, 64, 60)], **options)
    assert len(better) > len(plain)
    assert hdcodec.info(better)["quality_map"] == ["94", "44", "44"]
    assert codecs["torch"].decompress(better).size == face.size


def test_bfloat16_is_near(codecs: dict[str, Codec], file: bytes) -> None:
    codec = Codec("sprdiff", "cpu", "bfloat16", backend="torch")
    for options in ({"steps": 2}, {"fidelity": 1.0}):
        gap = array(codec.decompress(file, **options))
        gap -= array(codecs["torch"].decompress(file, **options))
        assert np.abs(gap).mean() < 2


# ---- what decoding chooses ----


def test_fidelity_goes_from_a_sample_to_the_coarse_picture(
    codecs: dict[str, Codec], file: bytes
) -> None:
    codec, ends = codecs["torch"], {}
    for fidelity in (0.0, 0.5, 1.0):
        ends[fidelity] = array(codec.decompress(file, fidelity=fidelity))
    assert np.abs(ends[0.0] - ends[1.0]).max() > 8
    assert np.abs((ends[0.0] + ends[1.0]) / 2 - ends[0.5]).mean() < 2  # clipped at its ends
    symbols = read_symbols(unpack(file))
    told = symbols.latent, symbols.qindex
    (coarse,) = codec.networks.graphs("coarse", *told)
    grid, dial = noise(12, 8, ALL_SIZES.vae.latent), np.ones(1, np.float32)
    (whole,) = codec.networks.graphs("picture", *told, grid, dial)
    assert np.array_equal(coarse, whole)
    assert np.array_equal(coarse[:192, :128], ends[1.0])


def test_steps_and_noise_make_other_pictures(codecs: dict[str, Codec], file: bytes) -> None:
    chosen: list[dict[str, Any]] = [{}, {"steps": 2}, {"steps": 4}, {"seed": 1}, {"seed": 2}]
    pictures = [codecs["onnx"].decompress(file, **options).tobytes() for options in chosen]
    assert len(set(pictures)) == len(pictures)
    assert codecs["onnx"].decompress(file).tobytes() == pictures[0]


def test_the_graph_that_is_taken_is_loaded_alone(coffee: Image.Image) -> None:
    """Of a picture that is large once it is padded, too."""
    large = coffee.resize((1040, 1000))
    data = Codec("sprdiff", "cpu", backend="onnx").compress(large, quality=10, protect="none")
    chosen: list[dict[str, Any]] = [{}, {"steps": 2}, {"fidelity": 1}]
    for options, graph in zip(chosen, ("picture", "picture-2", "coarse"), strict=True):
        codec = Codec("sprdiff", "cpu", backend="onnx")
        assert isinstance(codec.networks, SprdiffNetworks)
        codec.decompress(data, **options)
        assert loaded(codec.networks.graphs) == Counter([graph])


def loaded(graphs: Any) -> Counter[str]:
    """The graphs that there are sessions of, for pictures of any size."""
    sessions = [graphs._sessions, vars(graphs).get("_for_large", graphs)._sessions]
    unlike = {id(found): found for found in sessions}.values()
    return Counter(name for found in unlike for name in found)


def test_no_seed_takes_more_memory_than_another(codecs: dict[str, Codec], file: bytes) -> None:
    peaks = []
    for seed in (0, 255):
        codecs["onnx"].decompress(file, seed=seed)
        tracemalloc.start()
        codecs["onnx"].decompress(file, seed=seed)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


@pytest.mark.parametrize("options", [{"steps": 3}, {"steps": 8}, {"fidelity": 2}])
def test_options_that_cannot_be(
    codecs: dict[str, Codec], file: bytes, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        codecs["onnx"].decompress(file, **options)
    with pytest.raises((ValueError, TypeError), match=f"{next(iter(options))} must be"):
        codecs["onnx"].decompress(file, **dict.fromkeys(options))


def test_tiles_make_hardly_a_difference(
    codecs: dict[str, Codec], coffee: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = codecs["torch"]
    whole = codec.compress(coffee, quality=50, protect="none")
    picture = array(codec.decompress(whole))
    monkeypatch.setattr(codec.networks, "area", LEAST_AREA)
    assert codec.compress(coffee, quality=50, protect="none") == whole
    assert np.abs(array(codec.decompress(whole)) - picture).max() <= 1


# ---- parts of files, and damaged ones ----


def test_a_beginning_makes_a_picture(codecs: dict[str, Codec], file: bytes) -> None:
    box, shares = unpack(file), []
    true = codecs["onnx"].family.symbols(box.header, Decoder(box.payload))
    for cut in (0.3, 0.5, 0.7, 0.9):
        part = file[: round(cut * len(file))]
        image = codecs["onnx"].decompress(part, partial=True)
        assert image.size == (128, 192)
        shares.append(image.info["share"])
        found: Any = codecs["onnx"].family.symbols(
            box.header, PrefixDecoder(box.payload[: len(part) - box.header_bytes])
        )
        assert np.array_equal(found.z, true.z)
    assert shares == sorted(set(shares)) and shares[0] > 0 and shares[-1] < 1
    with pytest.raises(hdcodec.TruncatedError, match="inside the hyper-latents"):
        codecs["onnx"].decompress(file[: box.header_bytes + 3], partial=True)


@pytest.mark.parametrize(
    ("parameters", "flags", "message"),
    [
        (b"\x00\xc9", 0, "the quality is 201"),
        (b"\x01\x50", 0, "the first parameter is 1, not 0"),
        (b"\x00\x50", 2, "of which sprdiff has 1 alone"),
    ],
)
def test_what_no_encoder_writes_is_refused(
    file: bytes, parameters: bytes, flags: int, message: str
) -> None:
    box = unpack(file)
    wrong = pack(replace(box.header, parameters=parameters, flags=flags), box.payload)
    for read in (hdcodec.info, hdcodec.verify, hdcodec.decompress):
        with pytest.raises(hdcodec.CorruptError, match=message):
            read(wrong)


def test_a_small_file_cannot_claim_a_large_picture(file: bytes) -> None:
    header = replace(unpack(file).header, width=9000, height=9000)
    with pytest.raises(hdcodec.CorruptError, match="cannot hold"):
        hdcodec.info(pack(header, b"1"))


def test_parameters_come_back() -> None:
    family = models.open_model("sprdiff")
    for quality in (0, 33.5, 100):
        packed = family.parameters(quality, family.Encoding())
        assert family.settings(packed) == {"quality": quality}
        assert SprdiffParameters.parse(packed).pack() == packed


# ---- everything else that knows families ----


@pytest.fixture
def commands(hdc: Hdc) -> Iterator[Hdc]:
    """The command line, whose options are made when a command is imported."""
    for name in COMMANDS:
        sys.modules.pop(f"hdcodec.cli.{name}", None)
    yield hdc
    for name in COMMANDS:
        sys.modules.pop(f"hdcodec.cli.{name}", None)


def test_the_commands_know_it(commands: Hdc, face: Image.Image, tmp_path: Path) -> None:
    face.save(tmp_path / "a.png")
    made = commands(
        "compress", tmp_path / "a.png", "--model", "sprdiff", "--region", "0,0,64,64", "--json"
    )
    assert made.code == 0, made.err
    told = json.loads(commands("info", tmp_path / "a.hdc", "--json").out)
    assert told["model"] == "sprdiff" and len(told["quality_map"]) == 3
    shown = commands("decompress", tmp_path / "a.hdc", tmp_path / "b.png", "--steps", 2)
    assert shown.code == 0, shown.err
    with Image.open(tmp_path / "b.png") as image:
        assert image.size == face.size
    told = " ".join(commands("decompress", "--help").out.decode().split())
    assert "0.75 (hdc), 0.0 (sprdiff)" in told
    wrong = commands("decompress", tmp_path / "a.hdc", tmp_path / "c.png", "--steps", 3)
    assert wrong.code == 2 and "is not one of 1, 2, 4" in wrong.err


def test_a_folder_of_two(
    commands: Hdc, face: Image.Image, tmp_path: Path, sprdiff: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers know the family by what Python runs at its start."""
    (tmp_path / "sitecustomize.py").write_text(
        "from pathlib import Path\nfrom hdcodec import models, weights\n"
        "from hdcodec.format import MODELS, Model\n"
        "models.FAMILIES['sprdiff'] = 'hdcodec.models.sprdiff'\n"
        f"MODELS[{MODEL_ID}] = Model('sprdiff', 2, 'tests')\n"
        f"weights._PLACES = (Path({str(sprdiff.parent)!r}), *weights._PLACES)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        face.save(tmp_path / "in" / f"{name}.png")
    made = commands(
        "batch", "compress", tmp_path / "in", tmp_path / "hdc", "--model", "sprdiff", "--workers", 1
    )
    assert made.code == 0, made.err
    shown = commands("batch", "decompress", tmp_path / "hdc", tmp_path / "out", "--workers", 1)
    assert shown.code == 0, shown.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.png", "b.png"}


def test_an_option_that_a_file_of_a_folder_has_not(file: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.hdc").write_bytes(file)
    (tmp_path / "b.hdc").write_bytes((DATA / "one-pixel.hdc").read_bytes())
    worker = Worker(Job("decompress", "out", str(tmp_path), options={"steps": 2}), "cpu")
    rows = [worker(Item(0, f"{name}.hdc", f"out/{name}.png")) for name in "ab"]
    assert [row.status for row in rows if isinstance(row, Row)] == ["done", "failed"]
    assert isinstance(rows[1], Row) and rows[1].error == "steps is not an option of hdc"


def test_pillow_knows_it(face: Image.Image) -> None:
    stream = io.BytesIO()
    face.save(stream, "HDC", model="sprdiff", quality=30)
    with Image.open(stream) as image:
        assert image.size == face.size
        assert array(image).std() > 0


def test_its_networks_are_run_without_torch() -> None:
    script = "import sys, hdcodec.models.sprdiff.runtime; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


# ---- weights ----


def test_sizes_come_back_and_have_to_fit() -> None:
    assert SprdiffConfig.from_dict(ALL_SIZES.to_dict()) == ALL_SIZES
    for wrong in ({"codec": {"latent": -1}}, {"codec": 3}, {"other": {}}, {"vae": {"latent": 16}}):
        with pytest.raises(ValueError, match=r"model size|codec's vae is 32, not 16"):
            SprdiffConfig.from_dict(wrong)


def semantic_state(model: SprdiffModel) -> dict[str, Tensor]:
    """As a checkpoint of the stage `semantic` has it."""
    state = {f"encoder.{k}": v for k, v in model.semantic.state_dict().items()}
    return state | {"middle": torch.zeros(1)}


def saved(folder: Path, **states: dict[str, Tensor]) -> dict[str, Path]:
    """Checkpoints of these averaged states, by name."""
    for name, state in states.items():
        torch.save({"average": state}, folder / f"{name}.pt")
    return {name: folder / f"{name}.pt" for name in states}


def command_line(out: Path, paths: dict[str, Path]) -> list[str]:
    argv = ["export-sprdiff", str(out), "--model-id", str(MODEL_ID), "--note", "by=test"]
    return argv + [text for name, path in paths.items() for text in (f"--{name}", str(path))]


@pytest.fixture
def beside(tiny_config: Config) -> HdcModel:
    """hdc with an analysis of the size that the family has."""
    return HdcModel(replace(tiny_config, analysis_width=8, analysis_depth=1))


def test_checkpoints_become_weights(
    tmp_path: Path, beside: HdcModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = untrained()
    paths = saved(
        tmp_path,
        vae=Vae(ALL_SIZES.vae).state_dict(),
        semantic=semantic_state(model),
        finish=PictureCodec(model.codec, model.sampler, model.decoder).state_dict(),
    )
    vae = torch.load(paths["vae"], weights_only=True)["average"]
    analysis = beside.lic.analysis
    found = assembled(paths, analysis, ALL_SIZES).state_dict()
    for name in model.vae.state_dict():
        assert torch.equal(found[f"vae.{name}"], vae[name])
    assert torch.equal(found["distortion.0.embed.1.bias"], analysis.net[0].embed[1].bias)
    assert torch.equal(found["sampler.sigma"], model.sampler.sigma)
    with pytest.raises(ValueError, match="the vae does not fit the model"):
        assembled(paths, analysis, replace(ALL_SIZES, vae=replace(ALL_SIZES.vae, encoder_depth=2)))
    argv = command_line(tmp_path / "out", paths)
    refused = CliRunner().invoke(main, argv)
    assert refused.exit_code == 1 and "does not fit the model" in refused.output
    monkeypatch.setattr("hdcodec.train.export_sprdiff.SprdiffConfig", lambda: ALL_SIZES)
    monkeypatch.setattr("hdcodec.train.export_sprdiff.restore", lambda _: beside)
    made = CliRunner().invoke(main, argv)
    assert made.exit_code == 0, made.output
    manifest = weights.read_folder(tmp_path / "out").manifest
    assert manifest["config"] == ALL_SIZES.to_dict() and manifest["training"] == {"by": "test"}
    again = CliRunner().invoke(main, argv)
    assert again.exit_code == 1 and "new weights need a new model id" in again.output


def test_checkpoints_become_weights_that_decode_to_its_pictures(
    tmp_path: Path, beside: HdcModel, face: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = untrained().half().float()
    whole = PictureCodec(model.codec, model.sampler, model.decoder).eval()
    paths = saved(
        tmp_path,
        vae=model.vae.state_dict(),
        semantic=semantic_state(model),
        finish=whole.state_dict(),
    )
    monkeypatch.setattr("hdcodec.train.export_sprdiff.SprdiffConfig", lambda: ALL_SIZES)
    monkeypatch.setattr("hdcodec.train.export_sprdiff.restore", lambda _: beside)
    made = CliRunner().invoke(main, command_line(tmp_path / "sprdiff", paths))
    assert made.exit_code == 0, made.output
    monkeypatch.setattr(weights, "_PLACES", (tmp_path,))
    forget()
    codec = Codec("sprdiff", "cpu", "float32", backend="torch")
    data = codec.compress(face, quality=60, protect="none")
    symbols = read_symbols(unpack(data))
    latent = torch.tensor(symbols.latent).permute(2, 0, 1)[None].float() / 2**FRACTION_BITS
    with torch.inference_mode():
        given = whole.codec.decode(latent, torch.tensor(symbols.qindex)[None]).given
        z = whole.sampler.sample(given, noise_of(given.coarse))
        picture = whole.pictures(given, z)[1][0].permute(1, 2, 0)
    wanted = picture.clamp(0, 1).mul(255).round().numpy()[:192, :128]
    forget()
    assert wanted.std() > 5
    assert np.abs(array(codec.decompress(data, fidelity=0.0)) - wanted).max() <= 1


def test_weights_go_on_with_a_checkpoint(sprdiff: Path, tmp_path: Path) -> None:
    model = restore_sprdiff(weights.read_folder(sprdiff))
    model.sampler.sigma += 1
    state = PictureCodec(model.codec, model.sampler, model.decoder).state_dict()
    paths = saved(tmp_path, finish=state)
    argv = command_line(tmp_path / "out", paths)
    without = CliRunner().invoke(main, argv)
    assert without.exit_code == 2 and "--vae and --semantic, or --init" in without.output
    made = CliRunner().invoke(main, [*argv, "--init", str(sprdiff)])
    assert made.exit_code == 0, made.output
    again = restore_sprdiff(weights.read_folder(tmp_path / "out")).state_dict()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(again[name].float(), value.float(), rtol=1e-3, atol=1e-3)
