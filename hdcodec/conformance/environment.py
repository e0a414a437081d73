"""Where a run takes place: versions, device, threads, and settings that must not matter."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from hdcodec import __version__
from hdcodec.models.devices import usable_threads

PACKAGES = ("numpy", "constriction", "safetensors", "pillow")
BACKENDS = {"onnx": "onnxruntime", "torch": "torch"}
"""To the package that each of them is."""

SETTINGS = {
    "no-onednn": "convolutions without oneDNN",
    "deterministic": "torch.use_deterministic_algorithms",
    "tf32": "float32 products in TensorFloat-32",
    "cudnn-benchmark": "cuDNN chooses its algorithms by trial",
}
VARIABLES = (
    "OPENBLAS_CORETYPE",
    "NPY_DISABLE_CPU_FEATURES",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
)
"""What makes numpy and torch use other instructions than the processor's best."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def limit_threads(threads: int) -> None:
    """Let libraries that are not loaded yet use so many threads."""
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))


def apply(settings: tuple[str, ...], threads: int | None) -> None:
    """Set torch up for this process."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what determinism needs on CUDA

    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    if "no-onednn" in settings:
        torch.backends.mkldnn.set_flags(False)  # type: ignore[no-untyped-call]
    if "deterministic" in settings:
        torch.use_deterministic_algorithms(True)
    if "tf32" in settings:
        torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = "cudnn-benchmark" in settings


def describe_symbols(threads: int | None) -> dict[str, Any]:
    """What takes part in decoding symbols."""
    return {
        "hdcodec": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        **{name: _version(name) for name in PACKAGES},
        **dict.fromkeys(BACKENDS.values()),
        "device": None,
        "decoder": None,
        "threads": threads,
        "settings": [f"{name}={os.environ[name]}" for name in VARIABLES if os.environ.get(name)],
    }


def describe_pixels(
    backend: str, device: str, precision: str, settings: tuple[str, ...]
) -> dict[str, Any]:
    """What takes part in decoding pictures; `precision` is what the decoder computes in."""
    about = describe_symbols(None)
    return about | {
        BACKENDS[backend]: _version(BACKENDS[backend]),
        "device": f"{device} ({_in_full(device)})" if backend == "torch" else device,
        "decoder": precision,
        "threads": usable_threads(),
        "settings": [*about["settings"], *settings],
    }


def _in_full(device: str) -> str:
    """Which GPU it is, or what a CPU can do."""
    import torch

    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    return str(torch.backends.cpu.get_cpu_capability())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
