"""Metric weights from a folder of safetensors files.

lpips_<net>.safetensors, or lpips_<net>_fp16.safetensors:
    conv<i>.weight, conv<i>.bias    the backbone, in its order of convolutions
    lin<i>                          the LPIPS channel weights of tap i
dists_alpha_beta.safetensors:
    alpha, beta                     1 x 1475 x 1 x 1; the backbone comes from the vgg file
"""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hdcodec._errors import WeightsError
from hdcodec.perceptual._backbone import ConvWeights, layout

Folder = str | Path
Tensors = dict[str, Tensor]


def of_lpips(net: str, folder: Folder) -> tuple[ConvWeights, list[Tensor]]:
    """Of LPIPS over `net`: the backbone's and those of the taps.

    Raises WeightsError naming the file that is missing, unreadable or incomplete.
    """
    tensors, path = _net_file(net, folder)
    lins = [_tensor(tensors, f"lin{i}", path) for i in range(len(layout(net)))]
    return _convs(tensors, net, path), lins


def of_dists(folder: Folder) -> tuple[ConvWeights, Tensor, Tensor]:
    """Of DISTS: the backbone's, alpha and beta. Raises WeightsError as `of_lpips` does."""
    path = Path(folder) / "dists_alpha_beta.safetensors"
    tensors = _read(path)
    alpha, beta = (_tensor(tensors, name, path) for name in ("alpha", "beta"))
    tensors, path = _net_file("vgg", folder)
    return _convs(tensors, "vgg", path), alpha, beta


def _net_file(net: str, folder: Folder) -> tuple[Tensors, Path]:
    layout(net)
    names = (f"lpips_{net}.safetensors", f"lpips_{net}_fp16.safetensors")
    paths = [Path(folder) / name for name in names]
    path = next((p for p in paths if p.is_file()), paths[0])
    if not path.is_file():
        raise WeightsError(f"metric weights missing: {paths[0]} (or {names[1]} beside it)")
    return _read(path), path


def _read(path: Path) -> Tensors:
    if not path.is_file():
        raise WeightsError(f"metric weights missing: {path}")
    try:
        return {name: tensor.float() for name, tensor in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"metric weights unreadable: {path}: {error}") from error


def _tensor(tensors: Tensors, name: str, path: Path) -> Tensor:
    if name not in tensors:
        raise WeightsError(f"metric weights incomplete: {path} has no {name}")
    return tensors[name]


def _convs(tensors: Tensors, net: str, path: Path) -> ConvWeights:
    count = sum(len(stage.convs) for stage in layout(net))
    return [
        (_tensor(tensors, f"conv{i}.weight", path), _tensor(tensors, f"conv{i}.bias", path))
        for i in range(count)
    ]
