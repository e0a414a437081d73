"""Landed weights back into a model that can be trained further."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors.numpy import load as load_arrays
from safetensors.torch import load
from torch import Tensor, nn

from hdcodec.entropy.fixedpoint import FRACTION_BITS, WEIGHT_BITS
from hdcodec.models.hdc.config import Config
from hdcodec.models.hdc.fixed import FixedNet
from hdcodec.models.hdc.model import HdcModel
from hdcodec.weights import Weights

from .export import fixed_nets, stem


def restore(weights: Weights) -> HdcModel:
    """The model behind a folder of weights: fp16 networks, and the integer networks' float twins.

    Raises WeightsError, or RuntimeError if a tensor is missing or misshapen.
    """
    model = HdcModel(Config.from_dict(weights.manifest["config"]))
    arrays = load_arrays(weights.read("entropy.safetensors"))
    for name, net in fixed_nets(model).items():
        _restore_net(name, net, arrays)
    one = 2.0**FRACTION_BITS
    with torch.no_grad():
        model.lic.entropy.quality.copy_(torch.from_numpy(arrays["quality"]) / one)
        model.lic.entropy.z_log_scale.copy_(torch.from_numpy(arrays["z_log_scale"]) / one)
    state: dict[str, Tensor] = {}
    for file in ("networks.safetensors", "training.safetensors"):
        state |= {name: value.float() for name, value in load(weights.read(file)).items()}
    model.load_state_dict(model.state_dict() | state)
    return model


def _restore_net(name: str, net: FixedNet, arrays: Mapping[str, NDArray[Any]]) -> None:
    for k, layer in enumerate(net.layers):
        if layer.kind == "up":
            continue
        conv = net.convs[str(k)]
        assert isinstance(conv, nn.Conv2d) and conv.bias is not None
        place = stem(name, k, layer)
        weight = torch.from_numpy(arrays[f"{place}.weight"]).t().double() / 2**WEIGHT_BITS
        bias = torch.from_numpy(arrays[f"{place}.bias"]).double() / 2 ** (
            WEIGHT_BITS + FRACTION_BITS
        )
        with torch.no_grad():
            conv.weight.copy_(weight.reshape(conv.weight.shape))
            conv.bias.copy_(bias)
