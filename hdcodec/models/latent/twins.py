"""The float twins of the integer networks out of what is stored of these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from numpy.typing import NDArray
from torch import nn

from hdcodec.entropy.fixedpoint import FRACTION_BITS, WEIGHT_BITS

from .coding import EntropyNets
from .fixed import FixedNet, Layer


def coding_nets(nets: EntropyNets) -> dict[str, FixedNet]:
    """The float twins that latents and hyper-latents are coded by, in any family, by the names of
    their integer networks."""
    named = {"hyper_in": nets.hyper_in, "hyper": nets.hyper}
    return named | {f"parts.{p}": cast(FixedNet, net) for p, net in enumerate(nets.parts)}


def stem(name: str, number: int, layer: Layer) -> str:
    """Where layer `number` of the integer network `name` is stored."""
    return f"{name}.{number}.{layer.kind}" + (".relu" if layer.relu else "")


def restore_coding(nets: EntropyNets, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Fill the twins and level tables that latents and hyper-latents are coded by, in any family,
    from the tensors of `entropy.safetensors`. Raises KeyError or RuntimeError if one is missing or
    misshapen."""
    for name, net in coding_nets(nets).items():
        restore_net(name, net, arrays)
    one = 2.0**FRACTION_BITS
    with torch.no_grad():
        for table in ("quality", "z_log_scale"):
            getattr(nets, table).copy_(torch.from_numpy(arrays[table]).double() / one)


def restore_net(name: str, net: FixedNet, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Fill the twin of one integer network, of which nothing else is known than its name."""
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
