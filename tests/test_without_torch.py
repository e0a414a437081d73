"""Where torch is not installed: what works, and what says in a line that it is needed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
HIDDEN = ("torch", "functorch", "torchvision", "torchmetrics", "triton", "nvidia", "sympy")

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all installed packages but torch and those that need it."""
    folder = tmp_path_factory.mktemp("packages")
    for place in map(Path, reversed([path for path in sys.path if path and Path(path).is_dir()])):
        for found in place.iterdir():
            name = found.name.lower()
            if place != ROOT and not name.startswith(HIDDEN) and place.name != "tests":
                (folder / found.name).unlink(missing_ok=True)
                (folder / found.name).symlink_to(found)
    return folder


@pytest.fixture
def bare(packages: Path, tmp_path: Path) -> Callable[..., Done]:
    """Runs Python there."""

    def run(*arguments: object) -> Done:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        environment = {k: v for k, v in kept.items() if k != "HDC_BACKEND"}
        environment |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{packages}"}
        command = [sys.executable, "-S", "-W", "error", *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )

    return run


@pytest.fixture
def cat(small_cat: Image.Image, tmp_path: Path) -> Path:
    small_cat.save(tmp_path / "cat.png")
    return tmp_path / "cat.png"


def test_torch_is_hidden(bare: Callable[..., Done]) -> None:
    assert "No module named 'torch'" in bare("-c", "import torch").stderr
    assert bare("-c", "import numpy, onnxruntime").returncode == 0


def test_the_main_job(bare: Callable[..., Done], cat: Path) -> None:
    done = bare("-m", "hdcodec", "compress", cat, "--bpp", 0.2, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["backend"] == "onnx"
    done = bare("-m", "hdcodec", "decompress", "cat.hdc", "out.png", "--fidelity", 1)
    assert done.returncode == 0, done.stderr
    with Image.open(cat.with_name("out.png")) as out, Image.open(cat) as original:
        assert out.size == original.size
    for command in (["info"], ["verify"]):
        done = bare("-m", "hdcodec", *command, "cat.hdc")
        assert done.returncode == 0, done.stderr


def test_folders(bare: Callable[..., Done], cat: Path) -> None:
    folder = cat.parent / "photos"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.png").write_bytes(cat.read_bytes())
    for job in (["compress", "photos", "small"], ["decompress", "small", "back"]):
        done = bare("-m", "hdcodec", "batch", *job, "--workers", 2, "--quiet")
        assert done.returncode == 0, done.stderr
    assert {path.name for path in (cat.parent / "back").iterdir()} == {"a.png", "b.png"}


def test_pages_that_compare(bare: Callable[..., Done], cat: Path) -> None:
    assert bare("-m", "hdcodec", "compress", cat).returncode == 0
    done = bare("-m", "hdcodec", "compare", cat, "cat.hdc", "--against", "jpeg", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["codecs"][0]["psnr"] > 15


def test_python_and_pillow(bare: Callable[..., Done], cat: Path) -> None:
    script = (
        "import sys, hdcodec, hdcodec.pillow_plugin\n"
        "from PIL import Image\n"
        "data = hdcodec.compress('cat.png', quality=20)\n"
        "assert hdcodec.decompress(data).size == Image.open('cat.png').size\n"
        "Image.open('cat.png').save('cat.hdc', quality=20)\n"
        "assert open('cat.hdc', 'rb').read() == data\n"
        "Image.open('cat.hdc').load()\n"
    )
    done = bare("-c", script)
    assert done.returncode == 0, done.stderr


def test_measuring(bare: Callable[..., Done], cat: Path) -> None:
    metrics = ["--metrics", "psnr,ssim,msssim", "--against", "jpeg", "--json"]
    done = bare("-m", "hdcodec", "eval", ".", "--qualities", 10, *metrics)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["settings"]) > 1


def test_conformance(bare: Callable[..., Done]) -> None:
    done = bare("-m", "hdcodec.conformance", "kept-05", "alpha")
    assert done.returncode == 0, done.stderr
    assert "2 files: all symbols are exact" in done.stdout
    assert "onnxruntime" in done.stdout and "torch" not in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["compress", "cat.png", "--effort", "1"],
        ["compress", "cat.png", "--backend", "torch"],
        ["compress", "cat.png", "--device", "cuda"],
        ["eval", ".", "--metrics", "dists"],
        ["compare", "cat.png", "cat.hdc", "--metrics", "lpips_alex"],
    ],
)
def test_what_needs_torch_says_so(
    bare: Callable[..., Done], cat: Path, arguments: list[str]
) -> None:
    assert bare("-m", "hdcodec", "compress", cat).returncode == 0
    force = ["--force"] if arguments[0] != "eval" else []
    done = bare("-m", "hdcodec", *arguments, *force)
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("hdc: this needs PyTorch: pip install 'hdcodec[torch]'")
    assert done.stderr.count("\n") == 1
