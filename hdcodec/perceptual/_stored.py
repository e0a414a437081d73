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
from hdcodec.perceptual._backbone import Backbone, ConvWeights, Pool, layout
from hdcodec.perceptual._dists import DISTS, l2_pool
from hdcodec.perceptual._lpips import LPIPS

Folder = str | Path
Tensors = dict[str, Tensor]


def load_lpips(net: str, folder: Folder) -> LPIPS:
    """LPIPS over `net` ("alex" or "vgg"), float32 on the CPU.

    Raises WeightsError naming the file that is missing, unreadable or of the wrong content.
    """
    tensors, path = _net_file(net, folder)
    lins = [_tensor(tensors, f"lin{i}", path) for i in range(len(layout(net)))]
    return LPIPS(Backbone(net, _convs(tensors, net, path)), lins)


def load_dists(folder: Folder) -> DISTS:
    """DISTS, float32 on the CPU.

    Raises WeightsError naming the file that is missing, unreadable or of the wrong content.
    """
    path = Path(folder) / "dists_alpha_beta.safetensors"
    tensors = _read(path)
    backbone = load_backbone("vgg", folder, l2_pool)
    return DISTS(backbone, _tensor(tensors, "alpha", path), _tensor(tensors, "beta", path))


def load_backbone(net: str, folder: Folder, pool: Pool | None = None) -> Backbone:
    """The bare feature network, e.g. for a discriminator; `pool` replaces its max-pooling.

    Raises WeightsError naming the file that is missing, unreadable or of the wrong content.
    """
    tensors, path = _net_file(net, folder)
    return Backbone(net, _convs(tensors, net, path), pool)


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
