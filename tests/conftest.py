"""Real photographs for all tests: those that lie inside scikit-image's wheel."""

import signal
import sys
from collections.abc import Iterator
from importlib.resources import as_file, files
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from command import Hdc, Run
from hypothesis import HealthCheck, settings
from metric_weights import write_random
from PIL import Image

from hdcodec import Codec, weights
from hdcodec.cli import main
from hdcodec.codec import forget
from hdcodec.models.hdc.config import Config

if TYPE_CHECKING:
    from hdcodec.models.hdc.model import HdcModel
    from hdcodec.train.codec import Encoders
    from hdcodec.train.data import Crops

# A machine with other work to do is slow, not wrong.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# A shell's background jobs ignore SIGINT, and so would what the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

PHOTOS = {"astronaut": "astronaut.png", "coffee": "coffee.png", "cat": "chelsea.png"}


@pytest.fixture
def hdc(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Hdc:
    """Runs the command in this process; `stdin` None is one that is closed, as Python has it."""

    def run(*arguments: object, stdin: bytes | None = b"") -> Run:
        stream = None if stdin is None else TextIOWrapper(BytesIO(stdin))
        monkeypatch.setattr(sys, "stdin", stream)
        code = main([str(argument) for argument in arguments])
        captured = capsysbinary.readouterr()
        return Run(code, captured.out, captured.err.decode())

    return run


@pytest.fixture(scope="session")
def photo_files() -> dict[str, Path]:
    """PNG files of the photographs: astronaut 512x512, coffee 600x400, cat 451x300."""
    folder = files("skimage.data")
    paths = {}
    for name, file in PHOTOS.items():
        with as_file(folder / file) as path:
            paths[name] = path
    return paths


@pytest.fixture(scope="session")
def data(photo_files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs, one of them large enough for the sheets of samples."""
    folder = tmp_path_factory.mktemp("photos")
    for name, size in [("astronaut", (256, 256)), ("cat", (160, 130))]:
        with Image.open(photo_files[name]) as image:
            image.convert("RGB").resize(size).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(device="cpu")


@pytest.fixture(scope="module")
def face(photo_files: dict[str, Path]) -> Image.Image:
    """128 x 192 pixels of the astronaut, without a colour profile."""
    with Image.open(photo_files["astronaut"]) as image:
        crop = image.convert("RGB").crop((160, 30, 288, 222))
    crop.info.clear()
    return crop


@pytest.fixture
def photos(photo_files: dict[str, Path]) -> dict[str, Image.Image]:
    """The photographs in RGB, fresh for each test."""
    return {name: _open(path) for name, path in photo_files.items()}


@pytest.fixture
def small_photos(photos: dict[str, Image.Image]) -> dict[str, Image.Image]:
    """The photographs at a quarter of their size: 128x128, 150x100 and 113x75."""
    return {name: image.reduce(4) for name, image in photos.items()}


@pytest.fixture
def astronaut(photos: dict[str, Image.Image]) -> Image.Image:
    return photos["astronaut"]


@pytest.fixture
def coffee(photos: dict[str, Image.Image]) -> Image.Image:
    return photos["coffee"]


@pytest.fixture
def cat(photos: dict[str, Image.Image]) -> Image.Image:
    return photos["cat"]


@pytest.fixture
def small_astronaut(small_photos: dict[str, Image.Image]) -> Image.Image:
    return small_photos["astronaut"]


@pytest.fixture
def small_coffee(small_photos: dict[str, Image.Image]) -> Image.Image:
    return small_photos["coffee"]


@pytest.fixture
def small_cat(small_photos: dict[str, Image.Image]) -> Image.Image:
    return small_photos["cat"]


@pytest.fixture(scope="session")
def tiny_config() -> Config:
    """The hdc family at a fraction of its size."""
    return Config(
        latent=8,
        hyper=4,
        context=8,
        analysis_width=8,
        analysis_depth=1,
        synthesis_width=16,
        synthesis_depth=1,
        detail_width=8,
        detail_depth=1,
        head_depth=1,
        codes=16,
        code_dim=4,
        vq_width=8,
        vq_depth=1,
        drv=32,
        denoiser_width=8,
        predictor_width=12,
        predictor_depth=1,
        decoder_width=16,
        decoder_depth=1,
        decoder_detail=8,
        decoder_detail_depth=1,
    )


@pytest.fixture
def tiny_hdc(tiny_config: Config) -> "HdcModel":
    """An untrained one."""
    import torch

    from hdcodec.models.hdc.model import HdcModel

    torch.manual_seed(0)
    return HdcModel(tiny_config)


@pytest.fixture
def encoders(tiny_hdc: "HdcModel") -> "Encoders":
    """Those of the sprdiff family, untrained."""
    from small_stages import small_encoders

    return small_encoders(tiny_hdc)


@pytest.fixture
def crops(data: Path) -> "Crops":
    from hdcodec.train.data import Crops, read_photos

    return Crops(read_photos(data), size=64, batch=4)


@pytest.fixture
def stage_options(
    data: Path,
    random_weights: Path,
    encoders: "Encoders",
    tiny_hdc: "HdcModel",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """Of a small stage of the sprdiff family behind the untrained encoders: the checkpoints that it
    names need not be there."""
    from small_stages import beside

    beside(encoders, tiny_hdc, monkeypatch)
    files = {name: tmp_path / f"{name}.pt" for name in ("vae", "semantic", "codec")}
    shared = {"minutes": 10, "batch": 4, "crop": 64, "data": data, "out": tmp_path}
    return shared | files | {"metric_weights": random_weights}


@pytest.fixture
def own_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder from which the weights of the hdc family are loaded during the test."""
    folder = tmp_path / "weights" / "hdc"
    folder.mkdir(parents=True)
    monkeypatch.setattr(weights, "_PLACES", (folder.parent,))
    forget()
    yield folder
    forget()


@pytest.fixture(scope="module")
def sprdiff(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of small weights of the sprdiff family, which is known during a module's tests."""
    pytest.importorskip("onnx", reason="making graphs takes onnx")
    from small_sprdiff import registered

    with registered(tmp_path_factory.mktemp("weights")) as folder:
        yield folder


def _open(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of metric weights that no one has trained."""
    folder = tmp_path_factory.mktemp("weights")
    write_random(folder)
    return folder
