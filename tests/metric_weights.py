"""Weights of metrics for tests: random ones of the right shapes, and trained ones if there."""

import math
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

CHANNELS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}
CONVS = {
    "alex": [(64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3)],
    "vgg": [
        *[(64, 3, 3), (64, 64, 3), (128, 64, 3), (128, 128, 3), (256, 128, 3)],
        *[(256, 256, 3)] * 2,
        *[(512, 256, 3), *[(512, 512, 3)] * 5],
    ],
}


def shared_weights() -> Path:
    """Trained metric weights; tests that need them are skipped without."""
    beside = Path(__file__).parents[2] / "shared" / "weights"
    folder = Path(os.environ.get("HDC_METRIC_WEIGHTS", beside))
    if not folder.is_dir():
        pytest.skip("no trained metric weights: HDC_METRIC_WEIGHTS names their folder")
    return folder


def random_net(net: str) -> dict[str, torch.Tensor]:
    """Weights of the right shapes that keep the activations' size from layer to layer."""
    random = torch.Generator().manual_seed(0)
    tensors = {}
    for i, (outputs, inputs, side) in enumerate(CONVS[net]):
        spread = math.sqrt(2 / (inputs * side * side))
        kernel = torch.randn(outputs, inputs, side, side, generator=random) * spread
        tensors[f"conv{i}.weight"], tensors[f"conv{i}.bias"] = kernel, torch.zeros(outputs)
    lins = {f"lin{i}": torch.rand(c, generator=random) / c for i, c in enumerate(CHANNELS[net])}
    return tensors | lins


def write_random(folder: Path) -> None:
    """A folder of such weights."""
    save_file(random_net("alex"), folder / "lpips_alex.safetensors")
    halves = {name: tensor.half() for name, tensor in random_net("vgg").items()}
    save_file(halves, folder / "lpips_vgg_fp16.safetensors")
    ones = torch.ones(1, 1475, 1, 1)
    save_file({"alpha": ones, "beta": ones.clone()}, folder / "dists_alpha_beta.safetensors")
