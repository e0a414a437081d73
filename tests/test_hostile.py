"""Files made to do harm: damage of every bit and byte, bombs, limits, what is opened for them."""

import ast
import copy
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crafted import png_chunk, png_file, sealed
from headers import header
from PIL import Image

import hdcodec
from hdcodec import Codec, HdcError, weights
from hdcodec.conformance.suite import DATA
from hdcodec.format import ALPHA, EXIF, MAX_PIXELS, MAX_SIDE, MODELS, pack, unpack
from hdcodec.images import attach, decode_alpha
from hdcodec.models.hdc.family import Hdc

PACKAGE = Path(hdcodec.__file__).parent
GOLDEN = sorted(DATA.glob("*.hdc"))
MIB = 1 << 20


def png(size: tuple[int, int], pixels: bytes, *others: bytes, depth: int = 8) -> bytes:
    """A gray PNG around compressed `pixels`."""
    header = struct.pack(">IIBBBBB", *size, depth, 0, 0, 0, 0)
    return png_file(header, *others, png_chunk(b"IDAT", pixels))


# Damage


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_flipped_bit_every_cut_and_every_added_byte_is_found(path: Path) -> None:
    data = path.read_bytes()
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(HdcError):
            unpack(bytes(damaged))
    for size in range(len(data)):
        with pytest.raises(HdcError):
            unpack(data[:size])
    for added in [bytes([byte]) for byte in range(256)] + [bytes(n) for n in (2, 3, 4, 100)]:
        with pytest.raises(HdcError):
            unpack(data + added)


# Limits of sizes, and products of sizes


@pytest.mark.parametrize(
    ("width", "height"),
    [(65_535, 65_535), (65_535, 2_731), (65_535, 32_769), (46_341, 46_341), (13_378, 13_378)],
)
def test_products_of_sizes_are_not_cut_to_some_bits(width: int, height: int) -> None:
    """Among them those whose product does not fit 31 or 32 bits."""
    data = pack(header(width, height, 100, 7), bytes(1 << 18))
    with pytest.raises(hdcodec.TooLargeError, match=f"{width}x{height}"):
        unpack(data)
    with pytest.raises(hdcodec.TooLargeError):
        unpack(data, max_pixels=width * height - 1)
    assert unpack(data, max_pixels=width * height).header.width == width
    with pytest.raises(hdcodec.CorruptError, match="cannot hold"):
        hdcodec.info(pack(header(width, height, 100, 7), b"\1"), max_pixels=MAX_SIDE**2)


def test_the_largest_allowed_area_is_allowed() -> None:
    assert unpack(pack(header(MAX_PIXELS // 10_000, 10_000, 0, 0), b"")).header.height == 10_000


@pytest.mark.parametrize("length", ["ffffff7f", "80808001", "ffff7f", "7f"])
@pytest.mark.parametrize("kind", [1, 2, 3, 128, 255])
def test_a_length_beyond_the_end_takes_no_memory(kind: int, length: str) -> None:
    import tracemalloc

    data = sealed(bytes.fromhex(f"ab48 10 03 01 01 00 {kind:02x} {length}") + bytes(20))
    tracemalloc.start()
    try:
        with pytest.raises(hdcodec.CorruptError, match="ends inside"):
            unpack(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 16
    finally:
        tracemalloc.stop()


def test_metadata_over_the_limit_is_refused_when_compressing(codec: Codec) -> None:
    image = Image.new("RGB", (1, 1))
    image.info["xmp"] = bytes((1 << 24) + 1)
    with pytest.raises(hdcodec.TooLargeError, match="metadata"):
        codec.compress(image, keep_metadata=True)
    assert len(codec.compress(image)) < 40


# Alpha channels


BOMB_BYTES = 256 * MIB


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """256 MiB of zeros, compressed to a thousandth."""
    packer = zlib.compressobj(1)
    parts = [packer.compress(bytes(MIB)) for _ in range(BOMB_BYTES // MIB)]
    return b"".join(parts) + packer.flush()


CONFINED = """
import resource, sys
from pathlib import Path
import hdcodec, hdcodec.images.chunks
from PIL import Image, PngImagePlugin, IcoImagePlugin, GifImagePlugin
from hdcodec.images import attach, load, save
import io

def name(path):
    data = Path(path).read_bytes()
    try:
        if data[:2] == b"\\xabH":
            box = hdcodec.format.unpack(data)
            attach(Image.new("RGB", (box.header.width, box.header.height)), box.chunks)
        else:
            load(io.BytesIO(data))
    except hdcodec.HdcError as error:
        return type(error).__name__
    return "accepted"

name(sys.argv[1])
status = Path("/proc/self/status").read_text().splitlines()
size = next(int(line.split()[1]) for line in status if line.startswith("VmSize:")) * 1024
resource.setrlimit(resource.RLIMIT_AS, (size + (64 << 20),) * 2)
print(*map(name, sys.argv[2:]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is bounded on Linux")
def test_bombs_are_decoded_in_64_mib(bomb: bytes, tmp_path: Path) -> None:
    """An alpha channel whose pixels go on for 256 MiB, and pictures with such pixels and texts."""
    flat = zlib.compress(bytes(30 * 41))
    text = png_chunk(b"zTXt", b"name\0\0" + bomb)
    hidden = png((30_000, 30_000), bomb)
    icon = struct.pack("<6H", 0, 1, 1, 0, 0, 1) + struct.pack("<HII", 32, len(hidden), 22) + hidden
    head = header(40, 30, 0, 0)
    tried = {
        "intact": (pack(head, b"", {ALPHA: png((40, 30), flat)}), "accepted"),
        "alpha": (pack(head, b"", {ALPHA: png((40, 30), bomb)}), "CorruptError"),
        "pixels": (png((40, 30), bomb), "accepted"),
        "text": (png((40, 30), flat, text), "accepted"),
        "profile": (png((40, 30), flat, png_chunk(b"iCCP", b"name\0\0" + bomb)), "accepted"),
        "texts": (png((40, 30), flat, png_chunk(b"iTXt", b"n\0\1\0\0\0" + bomb)), "accepted"),
        "icon": (icon, "TooLargeError"),
    }
    for name, (data, _) in tried.items():
        (tmp_path / name).write_bytes(data)
    paths = map(str, [tmp_path / "intact", *map(tmp_path.joinpath, tried)])
    command = [sys.executable, "-c", CONFINED, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [outcome for _, outcome in tried.values()]


FLAT = zlib.compress(bytes(30 * 41))
BROKEN_ALPHA = {
    "too few rows": png((40, 30), zlib.compress(bytes(29 * 41))),
    "too many rows": png((40, 30), zlib.compress(bytes(31 * 41))),
    "more after the pixels": png((40, 30), FLAT + b"more"),
    "no rows": png((40, 30), zlib.compress(b"")),
    "no compression": png((40, 30), b"\xff" * 50),
    "cut compression": png((40, 30), FLAT[:-8]),
    "a filter that does not exist": png((40, 30), zlib.compress(b"\x09" * 30 * 41)),
    "size of other pixels": png((30, 40), FLAT),
    "two bits": png((40, 30), FLAT, depth=2),
    "16 bits": png((40, 30), zlib.compress(bytes(30 * 81)), depth=16),
    "palette": png((40, 30), FLAT).replace(b"\x08\0\0\0\0", b"\x08\3\0\0\0", 1),
    "no png": b"GIF89a" + bytes(50),
}


@pytest.mark.parametrize("kind", BROKEN_ALPHA)
def test_broken_alpha_is_one_error(kind: str) -> None:
    with pytest.raises(hdcodec.CorruptError, match="alpha"):
        attach(Image.new("RGB", (40, 30)), {ALPHA: BROKEN_ALPHA[kind]})


def test_the_limit_of_pixels_for_alpha_is_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert decode_alpha(png((40, 30), FLAT), (40, 30)).size == (40, 30)


# Metadata


def test_metadata_that_say_nothing_are_none() -> None:
    assert attach(Image.new("RGB", (2, 2)), {EXIF: b""}).info == {}


# Models and weights: nothing is opened that a file names


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(device="cpu")


WATCHED = """
import json, sys
seen, watching = [], False
def hook(event, arguments):
    if watching and event.split(".")[0] in {
        "open", "socket", "subprocess", "os", "urllib", "pickle", "shutil", "ctypes", "http",
        "tempfile", "exec", "compile", "marshal",
    }:
        seen.append((event, str(arguments[0]) if arguments else ""))
sys.addaudithook(hook)
import hdcodec, hdcodec.codec
from pathlib import Path
files = [Path(path).read_bytes() for path in sys.argv[1:]]
for data in files:  # imports what reads them
    hdcodec.info(data), hdcodec.decompress(data, device="cpu")
data = files[0]
import zlib
outcomes = {}
for model in range(128):
    body = data[:3] + bytes([model << 1 | data[3] & 1]) + data[4:-3]
    made = body + (zlib.crc32(body) & 0xFFFFFF).to_bytes(3, "little")
    hdcodec.codec.forget()
    for read in (hdcodec.info, lambda data: hdcodec.decompress(data, device="cpu")):
        watching = True
        try:
            read(made)
        except hdcodec.HdcError as error:
            outcomes.setdefault(type(error).__name__, []).append(model)
        else:
            outcomes.setdefault("decoded", []).append(model)
        finally:
            watching = False
print(json.dumps([outcomes, seen]))
"""


def test_a_model_id_opens_nothing_but_the_weights_of_its_family() -> None:
    """All 128 ids that a file can name, watched by the interpreter's audit events."""
    one_each = [DATA / f"{name}.hdc" for name in ("all-chunks", "sprdiff-all-chunks")]
    command = [sys.executable, "-c", WATCHED, *map(str, one_each)]
    known = os.environ | {"OMP_NUM_THREADS": "1"}  # else it looks how many cores there are
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=known)
    assert done.returncode == 0, done.stderr
    outcomes, seen = json.loads(done.stdout)
    assert outcomes["decoded"] == [1, 1]
    assert sum(map(len, outcomes.values())) == 256
    assert set(outcomes) == {"decoded", "UnknownModelError", "CorruptError"}
    assert {event for event, _ in seen} == {"open"}
    assert {Path(path).parent for _, path in seen} <= {weights.find(n).folder for n in MODELS}
    assert {Path(path).suffix for _, path in seen} - {".onnx"} == {".json", ".safetensors"}


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE), ast.parse(path.read_text())


def imported(tree: ast.Module) -> set[str]:
    """The top-level packages that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


UNPICKLERS = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "jsonpickle",
}
NETWORK = {"urllib", "urllib3", "http", "requests", "httpx", "aiohttp", "ftplib", "ssl", "socket"}
CATCH = {Path("perceptual/_installed.py"), Path("train/checkpoint.py")}
"""Modules that import one of those for the name of an exception that `torch.load` raises."""

TOOLS = ("train", "perceptual", "eval")
"""Packages that no command but `hdc eval` runs."""


def test_nothing_is_unpickled_and_nothing_fetched() -> None:
    """Pickles in weights run code. (The processes of `hdc batch` talk by multiprocessing's.)"""
    for path, tree in sources():
        names = imported(tree)
        if path not in CATCH:
            assert not names & UNPICKLERS, path
        assert not names & NETWORK or path.parent.name == "batch", path
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            check_call(path, ast.unparse(call.func), call)


def check_call(path: Path, name: str, call: ast.Call) -> None:
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if path.parts[0] not in TOOLS:
        assert name not in ("eval", "exec", "compile", "__import__", "os.system"), path
    assert name not in ("pickle.load", "pickle.loads", "torch.hub.load", "torch.jit.load"), path
    if name in ("np.load", "numpy.load"):
        assert keywords.get("allow_pickle", "False") == "False", path
    if name == "torch.load":
        assert path.parts[0] in ("train", "perceptual"), path
        assert keywords.get("weights_only") == "True", path


def test_the_check_for_pickles_can_fail() -> None:
    call = ast.parse("torch.load(path)").body[0].value  # type: ignore[attr-defined]
    with pytest.raises(AssertionError):
        check_call(Path("train/x.py"), "torch.load", call)
    assert imported(ast.parse("def f():\n    from pickle import loads")) == {"pickle"}


def manifest_with(folder: Path, **changes: Any) -> None:
    shipped = json.loads((weights.find(1).folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(shipped | changes))


BAD_DATA = {
    "none": {"entropy.safetensors": None},
    "number": {"entropy.safetensors": 5},
    "list": {"entropy.safetensors": ["bytes", "sha256"]},
    "outside": {"../entropy.safetensors": {"bytes": 1, "sha256": ""}},
    "absolute": {"/etc/hostname": {"bytes": 1, "sha256": ""}},
}


@pytest.mark.parametrize("kind", BAD_DATA)
def test_a_manifest_names_files_beside_it(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    manifest_with(tmp_path, files=BAD_DATA[kind])
    with pytest.raises(hdcodec.WeightsError, match="not a manifest"):
        weights.read_folder(tmp_path)


@pytest.mark.parametrize("text", ["", "[" * 100_000, "nul", '"\\ud800"', "[]"])
def test_a_manifest_that_is_none_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(hdcodec.WeightsError, match=r"manifest\.json"):
        weights.read_folder(tmp_path)


@pytest.mark.parametrize("value", [None, "big", 0, -4, 1 << 40, 1.5, True])
def test_senseless_sizes_in_a_manifest_are_weights_errors(own_weights: Path, value: object) -> None:
    shipped = PACKAGE.parent / "weights" / "hdc"
    for path in shipped.glob("*.safetensors"):
        os.symlink(path, own_weights / path.name)
    config = json.loads((shipped / "manifest.json").read_text())
    config["config"]["latent"] = value
    (own_weights / "manifest.json").write_text(json.dumps(config))
    with pytest.raises(hdcodec.WeightsError, match="latent"):
        Codec(device="cpu")


# What an encoder gone wrong would write


@pytest.fixture
def faulty(codec: Codec) -> Codec:
    """A codec whose encoder takes its tables from other rows than a decoder will."""
    broken = copy.copy(codec)
    broken.networks = copy.copy(codec.networks)
    broken.networks.family = family = Hdc(codec.model_id)
    family.symbol_codec.gaussians = family.symbol_codec.gaussians[::-1]
    family.symbol_codec.context.gaussians = family.symbol_codec.gaussians
    return broken


def test_verification_catches_a_faulty_encoder(
    codec: Codec, faulty: Codec, small_coffee: Image.Image
) -> None:
    with pytest.raises(hdcodec.CorruptError, match="verification failed"):
        faulty.compress(small_coffee)
    data = faulty.compress(small_coffee, verify=False)
    assert data != codec.compress(small_coffee)
