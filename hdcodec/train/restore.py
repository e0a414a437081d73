"""Landed weights back into a model that can be trained further."""

from __future__ import annotations

from safetensors.numpy import load as load_arrays
from safetensors.torch import load
from torch import Tensor, nn

from hdcodec.models.hdc.config import Config
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.latent.twins import restore_coding, restore_net
from hdcodec.models.sprdiff.config import SprdiffConfig
from hdcodec.models.sprdiff.model import SprdiffModel
from hdcodec.weights import Weights


def restore(weights: Weights) -> HdcModel:
    """The model behind a folder of weights: fp16 networks, and the integer networks' float twins.

    Raises WeightsError, or RuntimeError if a tensor is missing or misshapen.
    """
    model = HdcModel(Config.from_dict(weights.manifest["config"]))
    arrays = load_arrays(weights.read("entropy.safetensors"))
    restore_coding(model.lic.entropy, arrays)
    restore_net("prior", model.prior.net, arrays)
    _fill(model, weights)
    return model


def restore_sprdiff(weights: Weights) -> SprdiffModel:
    """The same for a folder of weights of sprdiff."""
    model = SprdiffModel(SprdiffConfig.from_dict(weights.manifest["config"]))
    restore_coding(model.codec.entropy, load_arrays(weights.read("entropy.safetensors")))
    _fill(model, weights)
    return model


def _fill(model: nn.Module, weights: Weights) -> None:
    state: dict[str, Tensor] = {}
    for file in ("networks.safetensors", "training.safetensors"):
        state |= {name: value.float() for name, value in load(weights.read(file)).items()}
    model.load_state_dict(model.state_dict() | state)
