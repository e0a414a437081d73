"""Two backends compute the networks: the same files, the same pictures within a level, and what
each of them cannot do is said in a line."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import hdcodec
from hdcodec import Codec, DeviceError, WeightsError, weights
from hdcodec.models import devices, onnx_graphs
from hdcodec.models.noise import noise, pcg3d
from hdcodec.models.onnx_graphs import LARGE, OnnxGraphs
from hdcodec.models.tiles import LEAST_AREA

ROOT = Path(__file__).parents[1]
SIZES = [(512, 512), (301, 200), (64, 64), (1, 1), (700, 90), (65, 513)]


@pytest.fixture(scope="module")
def codecs() -> dict[str, Codec]:
    return {
        name: Codec(device="cpu", precision="float32", backend=name) for name in ("onnx", "torch")
    }


def array(image: Image.Image) -> NDArray[np.int64]:
    return np.asarray(image).astype(np.int64)


# ---- the same from both ----


@pytest.mark.parametrize("size", SIZES)
def test_both_give_the_same(
    codecs: dict[str, Codec], size: tuple[int, int], astronaut: Image.Image
) -> None:
    picture = astronaut.resize(size)
    files = {name: codec.compress(picture, quality=40, kept=4) for name, codec in codecs.items()}
    one, two = (hdcodec.info(data) for data in files.values())
    assert one["bytes"] == pytest.approx(two["bytes"], rel=0.01, abs=2)
    for fidelity in (0.0, 1.0):
        pair = [array(c.decompress(files["torch"], fidelity=fidelity)) for c in codecs.values()]
        gap = np.abs(pair[0] - pair[1])
        assert gap.max() <= 1 and gap.mean() < 0.01


def test_both_give_the_same_in_tiles(
    codecs: dict[str, Codec], coffee: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    for codec in codecs.values():
        monkeypatch.setattr(codec.networks, "area", LEAST_AREA)
    data = codecs["onnx"].compress(coffee, quality=30, kept=3)
    pair = [array(codec.decompress(data)) for codec in codecs.values()]
    assert np.abs(pair[0] - pair[1]).max() <= 1


def test_a_large_picture_is_the_same_within_a_level(
    codecs: dict[str, Codec], astronaut: Image.Image
) -> None:
    """Graphs are optimised for it."""
    picture = astronaut.resize((1280, 896))
    assert LARGE <= 1280 * 896
    data = codecs["onnx"].compress(picture, quality=10)
    pair = [array(codec.decompress(data)) for codec in codecs.values()]
    assert np.abs(pair[0] - pair[1]).max() <= 1


def test_a_search_takes_torch(codecs: dict[str, Codec], small_cat: Image.Image) -> None:
    files = [codec.compress(small_cat, quality=50, effort=1) for codec in codecs.values()]
    assert files[0] != codecs["onnx"].compress(small_cat, quality=50)
    assert len(files[0]) == pytest.approx(len(files[1]), rel=0.01)
    pictures = [codec.decompress(files[0], denoising_steps=1) for codec in codecs.values()]
    assert np.array_equal(*map(array, pictures))


def test_many_threads_share_graphs(codecs: dict[str, Codec], small_cat: Image.Image) -> None:
    codec = Codec(device="cpu", backend="onnx")
    data = codec.compress(small_cat, quality=20)
    wanted = array(codec.decompress(data))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: array(codec.decompress(data)), range(16)))
    assert all(np.array_equal(picture, wanted) for picture in found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_has_graphs_of_its_own(small_cat: Image.Image, tmp_path: Path) -> None:
    small_cat.save(tmp_path / "cat.png")
    script = (
        "import os, sys, hdcodec\n"
        "codec = hdcodec.Codec(device='cpu', backend='onnx')\n"
        "data = codec.compress(sys.argv[1])\n"
        "wanted = codec.decompress(data).tobytes()\n"
        "for way in ('used', 'unused', 'dropped', 'forgotten'):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        if way == 'used':\n"
        "            assert codec.decompress(data).tobytes() == wanted\n"
        "        if way == 'dropped':\n"
        "            del codec\n"
        "        if way == 'forgotten':\n"
        "            hdcodec.codec.forget()\n"
        "        sys.exit(7)\n"
        "    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7, way\n"
        "assert codec.decompress(data).tobytes() == wanted\n"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "ignore", "-c", script, str(tmp_path / "cat.png")]
    subprocess.run(command, check=True, timeout=120, env=environment)


def test_no_telemetry_and_nothing_at_home(small_cat: Image.Image, tmp_path: Path) -> None:
    small_cat.save(tmp_path / "cat.png")
    (tmp_path / "home").mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    script = (
        "import os, hdcodec\n"
        "before = dict(os.environ)\n"
        "hdcodec.compress('cat.png', backend='onnx', device='cpu')\n"
        "assert dict(os.environ) == before\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list((tmp_path / "home").rglob("*")) == []


# ---- the choice ----


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes this machine one with or without some things."""

    def is_one(bfloat16: bool = False, driver: bool = False, lacking: str = "") -> None:
        monkeypatch.delenv("HDC_BACKEND", raising=False)
        monkeypatch.setattr(devices, "has_bfloat16", lambda device: bfloat16)
        monkeypatch.setattr(devices, "has_driver", lambda: driver)
        monkeypatch.setattr(devices, "find_spec", lambda name: None if name == lacking else name)

    return is_one


@pytest.mark.parametrize(
    ("things", "device", "pixels", "wanted"),
    [
        ({}, "auto", None, "onnx"),
        ({}, "cpu", 10**8, "onnx"),
        ({}, "cuda", 100, "torch"),
        ({"driver": True}, "auto", 100, "torch"),
        ({"driver": True}, "cpu", 100, "onnx"),
        ({"driver": True, "lacking": "torch"}, "auto", 100, "onnx"),
        ({"lacking": "onnxruntime"}, "cpu", 100, "torch"),
        ({"bfloat16": True}, "cpu", 100, "onnx"),
        ({"bfloat16": True}, "cpu", 10**8, "torch"),
        ({"bfloat16": True}, "auto", None, "torch"),
    ],
)
def test_auto_takes_what_is_fastest(
    machine: Callable[..., None],
    things: dict[str, Any],
    device: str,
    pixels: int | None,
    wanted: str,
) -> None:
    machine(**things)
    assert devices.choose_backend("auto", device, pixels) == wanted
    assert devices.choose_backend("torch", device, pixels) == "torch"


def test_the_environment_says_what_auto_is(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine()
    monkeypatch.setenv("HDC_BACKEND", "torch")
    assert devices.choose_backend("auto", "cpu") == "torch"
    assert devices.choose_backend("onnx", "cpu") == "onnx"
    monkeypatch.setenv("HDC_BACKEND", " ONNX")
    assert devices.choose_backend("auto", "cpu") == "onnx"
    monkeypatch.setenv("HDC_BACKEND", "")
    assert devices.choose_backend("auto", "cuda") == "torch"
    monkeypatch.setenv("HDC_BACKEND", "tpu")
    with pytest.raises(DeviceError, match="unknown backend 'tpu'; use auto, onnx, torch"):
        devices.choose_backend("auto", "cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "onnx", "device": "cuda"}, "onnx computes on the CPU, not on 'cuda'"),
        ({"backend": "onnx", "precision": "bfloat16"}, "onnx computes in float32"),
        ({"backend": "mlx"}, "unknown backend 'mlx'"),
    ],
)
def test_what_a_backend_cannot_do(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        Codec(**options)


def test_other_execution_providers_are_named_by_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HDC_PROVIDERS", "CPUExecutionProvider")
    assert Codec(device="cpu", backend="onnx").backend == "onnx"
    monkeypatch.setenv("HDC_PROVIDERS", "CoreMLExecutionProvider,AbacusExecutionProvider")
    with pytest.raises(DeviceError, match="no provider '"):
        Codec(device="cpu", backend="onnx")


def test_an_onnxruntime_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "__version__", "1.19.2")
    with pytest.raises(DeviceError, match=r"needs onnxruntime 1\.20 or later, not 1\.19\.2"):
        Codec(device="cpu", backend="onnx")


def test_an_onnxruntime_that_takes_no_weights_from_memory(
    monkeypatch: pytest.MonkeyPatch, astronaut: Image.Image
) -> None:
    """As those before 1.24, of which the last for Python 3.10 is one."""
    today = Codec(device="cpu", backend="onnx")
    data = today.compress(astronaut, quality=20, verify=False)
    monkeypatch.setattr(onnx_graphs, "IN_MEMORY", "not_yet")
    before = Codec(device="cpu", backend="onnx")
    assert before.compress(astronaut, quality=20, verify=False) == data
    assert np.array_equal(before.decompress(data), today.decompress(data))


@pytest.mark.parametrize("options", [{"backend": None}, {"backend": 1}, {"device": ["cpu"]}])
def test_wrong_types_are_type_errors(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="is text, not"):
        Codec(**options)
    with pytest.raises(TypeError, match="is text, not"):
        hdcodec.compress(Image.new("RGB", (8, 8)), **options)


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_a_precision_that_there_is_not(backend: str) -> None:
    with pytest.raises(ValueError, match="precision must be one of"):
        Codec(device="cpu", backend=backend, precision="float8")


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [("2", 2), ("4,2", 4), ("", 0), ("0", 0), ("\N{SUPERSCRIPT TWO}", 0), ("9" * 12, 256)],
)
def test_threads_are_those_of_openmp(
    monkeypatch: pytest.MonkeyPatch, asked: str, wanted: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert devices.usable_threads() == (wanted or devices.usable_cores())


@pytest.mark.parametrize(
    "content",
    ["raise ImportError('libfoo.so')", "raise OSError('dlopen')", "", "__version__ = '1.2'"],
)
def test_an_onnxruntime_that_does_not_work(content: str, tmp_path: Path) -> None:
    """torch takes its place, unless it is asked for."""
    (tmp_path / "onnxruntime.py").write_text(content)
    script = (
        "import hdcodec\n"
        "assert hdcodec.Codec(device='cpu').backend == 'torch'\n"
        "try:\n"
        "    hdcodec.Codec(device='cpu', backend='onnx')\n"
        "except hdcodec.DeviceError as error:\n"
        "    assert 'needs onnxruntime' in str(error)\n"
        "else:\n"
        "    raise AssertionError\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "HDC_BACKEND"}
    environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{ROOT}"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120, env=environment)


# ---- graphs gone wrong ----


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped weights, in use."""
    shipped, copied = weights.find(1).folder, tmp_path / "weights" / "hdc"
    copied.mkdir(parents=True)
    for path in shipped.iterdir():
        if path.is_file():
            (copied / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(weights, "_PLACES", (tmp_path / "weights",))
    return copied


def graphs_of(folder: Path) -> OnnxGraphs:
    return OnnxGraphs(weights.read_folder(folder))


def rewritten(folder: Path, name: str, data: bytes) -> None:
    """A graph file and a manifest that names it."""
    import hashlib

    (folder / name).write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["graphs"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


GOLDEN = [145, 167, -18, 267]
PIXELS = np.zeros((64, 64, 3), np.uint8)


def test_a_damaged_graph_is_named(folder: Path) -> None:
    path = folder / "analysis.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(WeightsError, match=r"analysis\.onnx is not the one that was shipped"):
        graphs_of(folder)("analysis", PIXELS)
    path.unlink()
    with pytest.raises(WeightsError, match=r"analysis\.onnx cannot be read"):
        graphs_of(folder)("analysis", PIXELS)


def test_a_graph_that_the_manifest_does_not_name_is_not_loaded(folder: Path) -> None:
    (folder / "other.onnx").write_bytes((folder / "analysis.onnx").read_bytes())
    with pytest.raises(WeightsError, match=r"does not list other\.onnx"):
        graphs_of(folder)("other", PIXELS)


@pytest.mark.parametrize("data", [b"", b"not a graph", bytes(1000)])
def test_a_file_that_is_no_graph(folder: Path, data: bytes) -> None:
    rewritten(folder, "analysis.onnx", data)
    with pytest.raises(WeightsError, match=r"onnxruntime .* cannot load analysis\.onnx|made for"):
        graphs_of(folder)("analysis", PIXELS)


def test_another_graph_in_its_place(folder: Path) -> None:
    rewritten(folder, "analysis.onnx", (folder / "picture.onnx").read_bytes())
    with pytest.raises(WeightsError, match=r"analysis\.onnx is another graph: it takes latent"):
        graphs_of(folder)("analysis", PIXELS)


@pytest.mark.parametrize("name", ["networks.safetensors", "../analysis.onnx", "", ".."])
def test_a_graph_has_no_name_of_weights(folder: Path, name: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["graphs"][name] = {"bytes": 1, "sha256": "0" * 64}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match="is not a manifest"):
        weights.read_folder(folder)


def test_a_graph_of_other_weights_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["training.safetensors"]["sha256"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match=r"analysis\.onnx was made for other weights"):
        graphs_of(folder)("analysis", PIXELS)


def test_weights_without_graphs_are_computed_by_torch(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["graphs"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    hdcodec.codec.forget()
    try:
        assert Codec(device="cpu").backend == "torch"
    finally:
        hdcodec.codec.forget()


def test_graphs_are_made_of_the_shipped_weights(tmp_path: Path, folder: Path) -> None:
    """Made again they compute the same, and the manifest keeps all else."""
    pytest.importorskip("onnx", reason="making graphs takes onnx")
    from hdcodec.train.graphs import write_graphs

    before = json.loads((folder / "manifest.json").read_text())
    shipped = graphs_of(folder)("analysis", PIXELS)
    for name in before["graphs"]:
        (folder / name).unlink()
    write_graphs(folder)
    after = json.loads((folder / "manifest.json").read_text())
    assert before.keys() == after.keys()
    assert before["graphs"].keys() == after["graphs"].keys()
    assert {k: v for k, v in before.items() if k != "graphs"} == {
        k: v for k, v in after.items() if k != "graphs"
    }
    assert np.array_equal(graphs_of(folder)("analysis", PIXELS)[0], shipped[0])
    assert sum(entry["bytes"] for entry in after["graphs"].values()) < 1e6


# ---- noise ----


def test_noise_is_the_one_of_the_format() -> None:
    """Golden numbers, and Python's own integers for one of them."""
    found = noise(2, 3, 4)
    assert found.dtype == np.float32
    assert (found[1, 2] * 256).astype(int).tolist() == GOLDEN
    words = [(v * 1664525 + 1013904223) % 2**32 for v in (1, 2, 3)]
    for last in (False, True):
        x, y, z = words
        x = (x + y * z) % 2**32
        y = (y + z * x) % 2**32
        z = (z + x * y) % 2**32
        words = [x, y, z] if last else [v ^ (v >> 16) for v in (x, y, z)]
    assert [int(v[0]) for v in pcg3d(*(np.array([v], np.uint32) for v in (1, 2, 3)))] == words
    total = sum(byte for word in words for byte in word.to_bytes(4, "little"))
    assert (total - 1530) / 256 == found[1, 2, 3]


def test_noise_is_nearly_normal_and_knows_no_neighbours() -> None:
    found = noise(64, 64, 64).astype(float)
    assert abs(found.mean()) < 0.01 and abs(found.std() - 1) < 0.01
    assert abs((found**4).mean() - 2.9) < 0.05  # of a sum of twelve; 3 of a normal number
    for axis in range(3):
        moved = np.moveaxis(found, axis, 0)
        for lag in (1, 2, 4, 8):
            assert abs((moved[lag:] * moved[:-lag]).mean()) < 0.01
    assert np.array_equal(found[:5, :7], noise(5, 7, 64))
    assert np.array_equal(found[:, :, 48:], noise(64, 64, 16, 48))
