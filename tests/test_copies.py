"""Training with weights in bfloat16 beside the ones that are optimized."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hdcodec.models.hdc.config import Config
from hdcodec.train.copies import Copies
from hdcodec.train.optimizer import Optimizer
from hdcodec.train.precision import compute_type
from hdcodec.train.run import train
from hdcodec.train.stages import STAGES

bfloat16 = pytest.mark.skipif(
    compute_type("cpu") != torch.bfloat16, reason="this CPU does not multiply bfloat16"
)


def small() -> nn.Sequential:
    """A few layers of each kind, one of them frozen."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 32, 1), nn.GroupNorm(4, 32), nn.Conv2d(32, 32, 1), nn.Conv2d(32, 2, 3)
    ).to(memory_format=torch.channels_last)
    layers[2].requires_grad_(False)
    return layers


def learning(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


def gradients(model: nn.Module, x: Tensor) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(x).float().square().mean()
    loss.backward()


def test_steps_are_those_of_autocast() -> None:
    model = small()
    trained, frozen = learning(model), model[2].weight.clone()
    plain = copy.deepcopy(model)
    copies = Copies(model, trained)
    mine, wanted = (Optimizer("muon", list(p), 1e-2) for p in (trained, learning(plain)))
    for step in range(3):
        x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        copies.zero_grad()
        gradients(model, x)
        copies.collect()
        mine.step()
        copies.refresh()
        wanted.zero_grad()
        gradients(plain, x)
        wanted.step()
    assert [p.dtype for p in model.parameters()] == [
        *(torch.bfloat16, torch.bfloat16, torch.float32, torch.float32),
        *(torch.float32, torch.float32, torch.bfloat16, torch.bfloat16),
    ]
    for p, q in zip(trained, learning(plain), strict=True):
        assert p.dtype == torch.float32
        assert torch.allclose(p, q, rtol=1e-5, atol=1e-7)
    assert torch.equal(model[2].weight, frozen)
    assert torch.equal(model[0].weight, copies.masters["0.weight"].bfloat16())


def test_the_norm_is_that_of_all_gradients() -> None:
    model = small()
    trained = learning(model)
    copies = Copies(model, trained)
    for _ in range(2):
        copies.zero_grad()
        gradients(model, torch.randn(2, 3, 8, 8))
        copies.collect()
    assert copies.gradient.grad is not None
    norm = nn.utils.clip_grad_norm_(trained, 1e9)
    assert norm > 0
    assert torch.allclose(copies.gradient.grad.norm(), norm)
    nn.utils.clip_grad_norm_([copies.gradient], 0.5 * float(norm))
    assert torch.allclose(nn.utils.clip_grad_norm_(trained, 1e9), 0.5 * norm, rtol=1e-4)


def test_without_a_gradient_a_weight_stays() -> None:
    model = small()
    copies = Copies(model, learning(model))
    copies.zero_grad()
    gradients(model[0], torch.randn(2, 3, 8, 8))
    copies.collect()
    assert copies.masters["0.weight"].grad is not None
    assert copies.masters["3.weight"].grad is None


def names(parts: Sequence[str], state: dict[str, Tensor]) -> list[str]:
    return [name for name in state if name.startswith(tuple(f"{part}." for part in parts))]


@bfloat16
def test_a_stage_with_copies(
    data: Path, random_weights: Path, tiny_config: Config, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"metric_weights": random_weights, "config": tiny_config, "batch": 1}
    options |= {"data": data, "minutes": 600, "optimizer": "muon"}
    found = {}
    for kind in ("plain", "copies"):
        out = tmp_path / kind
        train("whole", out=out, max_steps=1, copies=kind == "copies", **options)
        train("whole", out=out, max_steps=2, copies=kind == "copies", resume=True, **options)
        found[kind] = torch.load(out / "whole.pt", weights_only=True)
        assert found[kind]["step"] == 2
        assert all(x.dtype != torch.bfloat16 for x in found[kind]["model"].values())
    for name in names(STAGES["whole"].parts, found["plain"]["model"]):
        plain, mine = (found[kind]["model"][name] for kind in found)
        assert torch.allclose(mine, plain, rtol=0.02, atol=2e-4), name
        assert plain.dtype == mine.dtype, name


def test_what_copies_cannot_do(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"data": data, "out": tmp_path, "minutes": 1}
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    monkeypatch.setattr("hdcodec.train.run.compute_type", lambda device: kinds["float32"])
    with pytest.raises(ValueError, match="does not multiply bfloat16"):
        train("whole", copies=True, **options)
    monkeypatch.setattr("hdcodec.train.run.compute_type", lambda device: kinds["bfloat16"])
    with pytest.raises(ValueError, match="kernels are for a GPU"):
        train("whole", kernels=True, **options)
