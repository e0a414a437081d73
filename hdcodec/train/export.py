"""Runtime weights from trained networks: fp16 networks, integer entropy networks and tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save
from torch import nn

from hdcodec._atomic import write_bytes
from hdcodec.entropy.fixedpoint import FRACTION_BITS, WEIGHT_BITS
from hdcodec.entropy.intnet import IntNet
from hdcodec.entropy.order import BY_SCALE
from hdcodec.entropy.tables import exp_table, gaussian_tables
from hdcodec.format import MODELS
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.latent.coding import EntropyNets
from hdcodec.models.latent.fixed import FixedNet
from hdcodec.models.latent.sizes import Sizes
from hdcodec.models.latent.twins import coding_nets, stem
from hdcodec.weights import read_folder

FAMILY = "hdc"
LICENCE = (
    "MIT; trained on photographs some of which are for research use only, see weights/README.md"
)

TRAINING_ONLY = ("drv_encoder.",)
INTEGER = ("lic.entropy.", "prior.")

_WEIGHT_LIMIT = 32767


def export(model: HdcModel, folder: Path, notes: dict[str, Any], model_id: int) -> None:
    """Write the weights and their `manifest.json` into `folder`, under a registered model id.

    `entropy.safetensors` and `networks.safetensors` code and decode; `training.safetensors` holds
    what only a further training needs. Raises ValueError where `folder` holds weights of this id:
    new weights are a new model.
    """
    tensors = {
        "entropy.safetensors": entropy_tensors(model),
        "networks.safetensors": network_tensors(model),
        "training.safetensors": half(model, lambda name: name.startswith(TRAINING_ONLY)),
    }
    write_weights(folder, FAMILY, model_id, model.cfg, tensors, notes)


def write_weights(
    folder: Path,
    family: str,
    model_id: int,
    sizes: Sizes,
    tensors: dict[str, dict[str, NDArray[Any]]],
    notes: dict[str, Any],
) -> None:
    """Write files of tensors and their manifest into `folder`, which may hold weights of another
    model of the family. Raises ValueError for an id that is another family's or there already."""
    if model_id not in MODELS or MODELS[model_id].family != family:
        raise ValueError(f"model {model_id} is not of the family {family}")
    if (folder / "manifest.json").exists() and read_folder(folder).manifest["model_id"] == model_id:
        raise ValueError(f"{folder} holds model {model_id}: new weights need a new model id")
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: save(found) for name, found in tensors.items()}
    manifest = {
        "family": family,
        "model_id": model_id,
        "licence": LICENCE,
        "config": sizes.to_dict(),
        "files": {name: entry(data) for name, data in files.items()},
        **notes,
    }
    files["manifest.json"] = (json.dumps(manifest, indent=1) + "\n").encode()
    for name, data in files.items():
        write_bytes(folder / name, data, force=True)
        (folder / name).chmod(0o644)


def network_tensors(model: HdcModel) -> dict[str, NDArray[np.float16]]:
    """All float networks that encoding or decoding needs, as fp16."""
    return half(model, lambda name: not name.startswith((*TRAINING_ONLY, *INTEGER)))


def half(model: nn.Module, wanted: Callable[[str], bool]) -> dict[str, NDArray[np.float16]]:
    """The parameters and buffers with wanted names, as fp16."""
    state = {name: value for name, value in model.state_dict().items() if wanted(name)}
    return {k: v.detach().to(torch.float16).contiguous().cpu().numpy() for k, v in state.items()}


def entropy_tensors(model: HdcModel) -> dict[str, NDArray[Any]]:
    """The integer networks, the level tables and the frequency tables."""
    tensors = coding_tensors(model.lic.entropy) | {"exp": exp_table()}
    return tensors | checked_tensors("prior", model.prior.net)


def coding_tensors(nets: EntropyNets) -> dict[str, NDArray[Any]]:
    """What latents and hyper-latents are coded by, in any family."""
    tensors: dict[str, NDArray[Any]] = {
        "gaussians": gaussian_tables(),
        "quality": _fixed(nets.quality),
        "z_log_scale": _fixed(nets.z_log_scale),
        BY_SCALE: np.ones(1, np.int16),
    }
    for name, net in coding_nets(nets).items():
        tensors |= checked_tensors(name, net)
    return tensors


def checked_tensors(name: str, net: FixedNet) -> dict[str, NDArray[Any]]:
    """The layers of one integer network, as they are stored; raises WeightsError where it could
    overflow."""
    tensors = net_tensors(name, net)
    IntNet.load(tensors, name)
    return tensors


def net_tensors(name: str, net: FixedNet) -> dict[str, NDArray[Any]]:
    """The layers of one integer network, as they are stored."""
    tensors: dict[str, NDArray[Any]] = {}
    for k, layer in enumerate(net.layers):
        place = stem(name, k, layer)
        if layer.kind == "up":
            tensors[f"{place}.weight"] = tensors[f"{place}.bias"] = np.zeros(1, np.int16)
            continue
        conv = cast(nn.Conv2d, net.convs[str(k)])
        assert conv.bias is not None
        weight = conv.weight.detach().double().cpu().numpy()
        weight = weight[:, :, 0, 0].T if layer.kind == "pw" else weight.reshape(len(weight), 9).T
        scaled = np.clip(np.rint(weight * 2**WEIGHT_BITS), -_WEIGHT_LIMIT, _WEIGHT_LIMIT)
        bias = np.rint(
            conv.bias.detach().double().cpu().numpy() * 2 ** (WEIGHT_BITS + FRACTION_BITS)
        )
        tensors[f"{place}.weight"] = np.ascontiguousarray(scaled.astype(np.int16))
        tensors[f"{place}.bias"] = bias.astype(np.int32)
    return tensors


def _fixed(x: torch.Tensor) -> NDArray[np.int32]:
    values: NDArray[np.int32] = np.rint(
        x.detach().double().cpu().numpy() * 2**FRACTION_BITS
    ).astype(np.int32)
    return values


def entry(data: bytes) -> dict[str, Any]:
    """What a manifest says of a file."""
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
