"""Metric weights out of installed packages: torchvision for the backbones, torchmetrics (or lpips,
DISTS-pytorch) for the weights on top of them."""

import pickle
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from hdcodec._errors import WeightsError
from hdcodec.perceptual._backbone import ConvWeights, layout
from hdcodec.perceptual._stored import Tensors

BACKBONES = {"alex": ("alexnet", "AlexNet_Weights"), "vgg": ("vgg16", "VGG16_Weights")}
LPIPS_FILES = {
    "torchmetrics": "functional/image/lpips_models/{net}.pth",
    "lpips": "weights/v0.1/{net}.pth",
}
DISTS_FILES = {
    "torchmetrics": "functional/image/dists_models/weights.pt",
    "DISTS_pytorch": "weights.pt",
}


def is_installed(metric: str) -> bool:
    """Whether "lpips_alex", "lpips_vgg", "dists", "wd" or "kd" can be had without fetching
    anything."""
    net = "alex" if metric in ("lpips_alex", "kd") else "vgg"
    files = DISTS_FILES if metric == "dists" else LPIPS_FILES
    cached = Path(torch.hub.get_dir(), "checkpoints").glob(f"{BACKBONES[net][0]}-*.pth")
    here = any(path.is_file() for path in _places(files, net))
    return here and find_spec("torchvision") is not None and any(cached)


def of_lpips(net: str) -> tuple[ConvWeights, list[Tensor]]:
    """Of LPIPS over `net`: the backbone's and those of the taps.

    torchvision fetches its backbone at the first use. Raises WeightsError naming what to install.
    """
    tensors = _packaged(LPIPS_FILES, net)
    lins = [_tensor(tensors, f"lin{i}.model.1.weight") for i in range(len(layout(net)))]
    return _torchvision_convs(net), lins


def of_dists() -> tuple[ConvWeights, Tensor, Tensor]:
    """Of DISTS: the backbone's, alpha and beta; as `of_lpips`."""
    tensors = _packaged(DISTS_FILES, "vgg")
    return _torchvision_convs("vgg"), _tensor(tensors, "alpha"), _tensor(tensors, "beta")


def _torchvision_convs(net: str) -> ConvWeights:
    if find_spec("torchvision") is None:
        raise WeightsError(
            "metric weights need torchvision (pip install torchvision) or a folder of weights"
        )
    function, weights = BACKBONES[net]
    try:
        models: Any = import_module("torchvision.models")
        model = getattr(models, function)(weights=getattr(models, weights).IMAGENET1K_V1)
    except (ImportError, RuntimeError) as error:
        raise WeightsError(f"torchvision does not fit the installed torch: {error}") from error
    except OSError as error:
        raise WeightsError(f"torchvision could not fetch its {net} weights: {error}") from error
    convs = [m for m in model.features if isinstance(m, nn.Conv2d)]
    return [(conv.weight, cast(Tensor, conv.bias)) for conv in convs]


def _packaged(files: dict[str, str], net: str) -> Tensors:
    for path in _places(files, net):
        if path.is_file():
            return _read(path)
    raise WeightsError(
        f"metric weights need one of the packages {', '.join(files)} or a folder of weights"
    )


def _places(files: dict[str, str], net: str) -> Iterator[Path]:
    """Where packages that are installed keep such a file, if they do."""
    for package, name in files.items():
        spec = find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(root) / name.format(net=net)


def _read(path: Path) -> Tensors:
    try:
        return cast(Tensors, torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise WeightsError(f"metric weights unreadable: {path}: {error}") from error


def _tensor(tensors: Tensors, name: str) -> Tensor:
    if name not in tensors:
        raise WeightsError(f"metric weights incomplete: the package's file has no {name}")
    return tensors[name]
